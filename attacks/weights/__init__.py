"""Attacks on the weights of the encrypted model.

`public_model` compares them with the plain checkpoint, `public_statistics` with what batch norms keep of plain speech;
`shifted_kernels` needs nothing else. `kernel_rows` and `norm_statistics` read the weights for them.
"""

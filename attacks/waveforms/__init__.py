"""Attacks that see encrypted waveforms and no model.

`sign_chain`, `sample_order`, `block_pattern`, `polyphase` and `linear_prediction` are the attacks; the files named
`…_settings` hold their tuning constants, and the other files are their parts.
"""

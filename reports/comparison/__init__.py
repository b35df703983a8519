"""What `wrongkey compare` asks: whether run B protects at least as well as run A.

`compare` is the whole of it. `gate` lists the hypotheses, the files named `gain_of_…` test each kind, `noninferiority`
combines them, and `warnings` says how else the two runs differ.
"""

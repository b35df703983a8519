"""The paper's published values and experiments, and our own results beside them.

`experiments` lists what `wrongkey reproduce` repeats, `reproduction` writes a table or figure of it, and `published`
finds the values that belong beside any run. The values are in `published.toml`.
"""

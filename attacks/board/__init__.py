"""A fixed protocol over a list of schemes and block sizes: what `wrongkey board` runs (docs/board.md).

`protocol` reads the file that says what is run, `entries` opens the schemes, `cells` plans, `folder` keeps, `running`
runs; `keystream` is the reference row.
"""

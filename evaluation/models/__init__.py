"""Models: those that come with wrongkey, and adapters to those of others.

`protocol` says what a model must offer, `registry` opens one by name, `completed` fills in what it leaves out, and
`checkpoints` reads weights. `bundled` and `adapters` hold the models themselves.
"""

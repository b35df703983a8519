"""The attack that sees encrypted spectrograms and no model (`moments`), and its parts.

`statistics` collects second moments of blocks, `likelihood` compares them with public speech, and `search`,
`signs_and_orders` and `annealing` look for the key by scheme. Tuning constants are in `settings`.
"""

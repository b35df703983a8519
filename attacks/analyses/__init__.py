"""What `wrongkey analyse` measures, about keys and about ciphertext.

Of a sweep: `weak_keys` (`key_measures`, `rank_regression`) and `near_keys`. Of speech alone: `leaks` and `phase`.
`base` is what an analysis is, `folder` writes it into a run folder, `trust` says what a manifest may open.
"""

"""Attacks that want no key: `linkability` compares ciphertexts, `informed` returns a model that reads them.

`informed` retrains a public model (`retraining`) behind a learned matrix (`adaptive_front_end`), and keeps the result
only if held-out people confirm it (`held_out_people`). Its tuning constants are in `settings`.
"""

"""Attacks that ask the encrypted model: by its weights (`learned_key`) or by its answers alone (`answers_only`).

`keyed_answers` asks it under keys that are still being searched for; `losses`, `criterion` and `answer_loss` judge the
answers; `search` moves the key. Tuning constants are in `settings`.
"""

"""How the bundled models were trained, and how to train them again (extra `train`). Only in the repository.

`asv_raw`, `asr_words` and `asc_convmixer` are the trainings, run as `python -m training.asv_raw …`. `speech` and
`augment` make their data, `averaging` and `checkpoint` are parts of the loop, `cards` and `timing` measure the result.
"""

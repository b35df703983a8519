"""The models that come with wrongkey: `asv_raw`, `asr_words` and `asc_convmixer`.

Their weights are in `weights/`, each with a card that says how it was trained and what it achieves. The scripts that
trained them are in the folder `training/` of the repository.
"""

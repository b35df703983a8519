"""Phase reconstruction (paper, Fig. 8): from a magnitude spectrogram, plain or encrypted, back to speech.

`reconstruction` is the analysis and `cases` its magnitudes. `gabor` is the transform, `pghi` and `griffin_lim` are the
methods, `scores` and `media` what is kept of their speech.
"""

"""Phase reconstruction (paper, Fig. 8): from a magnitude spectrogram, plain or encrypted, back to speech."""

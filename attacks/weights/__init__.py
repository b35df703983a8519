"""Attacks on the weights of the encrypted model: against the plain checkpoint, against statistics, or alone."""

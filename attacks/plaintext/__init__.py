"""Attacks that know some plain speech beside its ciphertext, or choose it."""

"""Attacks that ask the encrypted model: by its weights (`learned_key`) or by its answers alone (`answers_only`)."""

"""Attacks: what an adversary does without the key, one file per family, and the suite that runs and scores them."""

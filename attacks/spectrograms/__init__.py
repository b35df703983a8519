"""The attack that sees encrypted spectrograms and no model (`moments`), and its parts."""

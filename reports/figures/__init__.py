"""Figures, as matplotlib figures: violins, scores against block size, attacks, analyses, confusions."""

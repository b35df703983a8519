"""Figures, as matplotlib figures that are made without pyplot.

A file for each kind: `violins`, `block_size`, `attacks`, `analyses`, `confusion`. `score_axes` and `density` are what
figures of scores share; `style` has colours, marks and `save_figure`.
"""

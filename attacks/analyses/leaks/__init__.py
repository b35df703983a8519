"""What encrypted waveforms and spectrograms (paper, Figs. 3 to 6) show without any key, in numbers.

`analysis` is the whole of it: `contours` are about energy over time, `linkability` about who speaks, `public_models`
about what models hear that know no key, and `media` keeps examples for figures.
"""

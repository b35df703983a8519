"""What a sample of incorrect keys shows, in numbers.

`key_statistics` summarises a run, `intervals` and `proportions` give intervals over keys, and `tails` extrapolates how
many guesses an adversary needs. docs/statistics.md says how each was checked.
"""

"""Metrics of trial scores, and intervals over speakers. They know arrays, no corpus and no model.

`error_rates` has EER and minDCF for one key or thousands. `calibration`, `affine`, `linkage` and `disclosure` measure
how much a score reveals, `subgroups` whom a key protects less, and `bootstrap` gives the intervals.
"""

"""The run folder on disk: all that passes from computing to reporting.

`schema`, `tables`, `scores`, `attack_rows` and `vocabulary` read and check its files without torch.
"""

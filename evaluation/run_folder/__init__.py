"""The run folder on disk: the only thing that passes between computing and looking.

`schema`, `tables`, `scores` and `attack_rows` read and check its files without torch.
"""

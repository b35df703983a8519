"""Attacks read from run folders, and the verdicts on them (docs/threat-model.md).

`rows` reads what was run, `successes` says which trials succeeded, `decisions` whether that is more than chance.
`cases` and `verdicts` say what it means for each asset and adversary (`threats`), `verdict_file` for programs.
"""

"""Attacks read from run folders, and the verdicts on them (docs/threat-model.md)."""

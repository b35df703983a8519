"""The strength of a key: how probably a random key works, measured by multilevel splitting (docs/strength.md)."""

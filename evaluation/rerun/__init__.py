"""A run made again from its manifest, and whether its scores are the same."""

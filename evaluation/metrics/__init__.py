"""Metrics of trial scores, and intervals over speakers. They know arrays, no corpus and no model."""

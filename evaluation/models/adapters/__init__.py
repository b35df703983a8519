"""Adapters: other people's models, opened from their own files so that a key fits their first layer."""

"""What a sample of incorrect keys says: summaries, intervals over keys, tails and guess numbers."""

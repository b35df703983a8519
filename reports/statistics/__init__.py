"""What a sample of incorrect keys shows: summaries, intervals over keys, tails and guess numbers."""

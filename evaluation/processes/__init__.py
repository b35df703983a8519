"""Processes that compute for a sweep or an attack: pools, shards, time-outs, and the sentence when one fails."""

"""Processes that compute for a sweep or an attack: pools, shards, time-outs, and what is said when one fails."""

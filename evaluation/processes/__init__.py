"""Processes that compute for a sweep or an attack.

`pool` keeps processes of this machine, `workers` divides shards among them or over a Dask cluster, `dispatch` collects
answers, `watch` reports a call that hangs, `late` gives a shard that does to another process, and `failures` words what
failed while the rest continued.
"""

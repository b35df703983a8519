"""Processes that compute for a sweep or an attack.

`pool` keeps processes of this machine, `cluster` finds those of a Dask scheduler, `spread` divides calls among either,
`lists` brings lists of utterances to other machines, and `workers` computes shards of keys there. `dispatch` collects
answers, `watch` reports a call that hangs, `late` gives one that does to another process, and `failures` words what
failed while the rest continued.
"""

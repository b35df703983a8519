"""Attacks that know or choose plain speech.

`known` fits a key to plain blocks and their ciphertext, exact or in noise; `chosen` has an authorised device encrypt
what it likes. Both fit in closed form, with `wrongkey.attacks.solvers.procrustes`.
"""

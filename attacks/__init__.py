"""What an adversary does without the key.

The packages follow the adversaries of docs/threat-model.md, by what they have: plaintext, weights, waveforms,
spectrograms, through_model, keyless. `base` is the seam, `harness` runs and scores, `solvers` is shared mathematics,
`analyses` is what `wrongkey analyse` measures.
"""

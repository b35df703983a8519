"""What an adversary does without the key.

The packages follow the adversaries of docs/threat-model.md, by what they have: plaintext, weights, waveforms,
spectrograms, through_model, keyless. `base` is the seam, `harness` runs and scores, `solvers` is shared mathematics,
`analyses` is what `wrongkey analyse` measures. Names are loaded when they are first used (SPEC 1); `__init__.pyi` lists
them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

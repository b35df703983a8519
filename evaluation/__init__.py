"""What a key does to a model: corpora, trials, models, metrics, the multi-key engine, sweeps and run folders.

Names are loaded when they are first used (SPEC 1), so that a program that only reads run folders loads no torch;
`__init__.pyi` lists them. The sweep itself is `wrongkey.evaluation.sweep.sweep`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

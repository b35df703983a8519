"""The verdict board: each scheme, block size and model against each adversary, and what that means in one sentence.

`joining` brings sweeps, attacks and analyses of one setting together, `cells` judges them for one adversary, `commands`
says what tries the rest, `headline` and `cautions` sum up, `table` shows. Names are loaded when they are first used;
`__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

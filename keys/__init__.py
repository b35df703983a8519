"""What a key is: schemes, draws, key files and key spaces; what it does to queries and to models.

Names are loaded when they are first used (SPEC 1); `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

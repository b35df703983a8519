"""What people look at: numbers, figures, tables and the HTML report of run folders.

This package reads run folders and imports no model. Names are loaded when they are first used (SPEC 1), so that a
command that only prints help loads neither pandas nor matplotlib; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

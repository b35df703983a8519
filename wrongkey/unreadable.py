"""What zipfile, tarfile, NumPy and the libraries below them raise on a file that is damaged, cut or of another kind."""

import zipfile
import zlib
from contextlib import suppress
from struct import error as StructError
from tarfile import TarError
from tokenize import TokenError

# OverflowError: of a shape without end; SyntaxError and TokenError: of the header of an array, which is Python;
# RuntimeError: an encrypted member, and NotImplementedError, which is one, an unknown method of compression.
UNREADABLE: tuple[type[Exception], ...] = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    StructError,
    SyntaxError,
    TarError,
    TokenError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
with suppress(ImportError):  # a Python may be built without it, and then opens no such file
    from lzma import LZMAError

    UNREADABLE += (LZMAError,)

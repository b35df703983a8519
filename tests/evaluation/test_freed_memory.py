"""What the C library keeps of freed memory, in processes of their own: what tests before left would count."""

import subprocess
import sys

import pytest

from wrongkey.evaluation.freed_memory import _malloc_trim

pytestmark = pytest.mark.skipif(_malloc_trim() is None, reason="the C library is not glibc")

# Blocks of 64 kB lie below the size from which glibc maps them; each of 2 kB behind one holds the heap in place.
PINNED = """
import ctypes, psutil
from wrongkey.evaluation.freed_memory import Freed

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    return psutil.Process().memory_info().rss

def used_and_freed(blocks):
    large = []
    for _ in range(blocks):
        large.append(libc.malloc(2**16))
        ctypes.memset(ctypes.c_void_p(large[-1]), 1, 2**16)
        libc.malloc(2**11)
    for block in large:
        libc.free(block)

freed = Freed(2**24)
before = resident()
"""


def said_by(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", PINNED + program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_freed_is_given_back_once_the_process_has_grown():
    said = said_by("""
assert not freed.bound()
used_and_freed(2000)
assert resident() - before > 120e6, "glibc gave it back by itself"
assert freed.bound()
assert resident() - before < 20e6, f"{resident() - before:,}"
assert not freed.bound()
used_and_freed(100)  # 6.5 MB
assert not freed.bound()
used_and_freed(400)
assert freed.bound()
print("all")
""")
    assert said == "all\n"


def test_mapped_files_are_no_growth(tmp_path):
    said = said_by(f"""
import numpy as np
np.save({str(tmp_path / "speech.npy")!r}, np.ones(10**8, np.uint8))
freed.bound()
speech = np.load({str(tmp_path / "speech.npy")!r}, mmap_mode="r")
assert speech.max() == 1
assert resident() - before > 90e6
print(freed.bound())
""")
    assert said == "False\n"

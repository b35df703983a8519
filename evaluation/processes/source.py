"""What the process imports that others are forked from (`wrongkey.evaluation.processes.forks`), and no other one."""

from __future__ import annotations

import atexit
import os

import wrongkey.evaluation.processes.elsewhere  # noqa: F401

# It ends with its caller, at once: to take PyTorch apart takes a second, or many where others compute. What is forked
# from it runs none of this, since multiprocessing ends it by os._exit.
atexit.register(os._exit, 0)

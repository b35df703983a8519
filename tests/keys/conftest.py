"""Small tensors: one thread is fastest, and no test depends on how fast the machine is."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("keys", deadline=None)
settings.load_profile("keys")


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

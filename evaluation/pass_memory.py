"""How much memory a pass holds at once, on any device, by what its operations return."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakMemory(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
    """Counts the bytes of tensors that are alive at once, within a ``with`` block.

    What was there before is not counted, nor what an operation uses inside itself.

    Attributes
    ----------
    peak : int
        The most bytes at any time.

    Examples
    --------
    >>> with PeakMemory() as held:
    ...     total = (torch.ones(250) + 1.0).sum()
    >>> held.peak
    2000
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.peak = self._now = 0
        self._alive: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No need: nothing is compiled within a mode, and to skip it PyTorch would import it, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it made."""
        before = {_place(one) for one in _tensors((args, kwargs))}
        found = func(*args, **(kwargs or {}))
        for one in _tensors(found):
            if (place := _place(one)) not in before | self._alive:
                self._hold(one.untyped_storage(), place)
        return found

    def _hold(self, storage: torch.UntypedStorage, place: int) -> None:
        size = storage.nbytes()
        self._alive.add(place)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._release, place, size)

    def _release(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self._now -= size


def _tensors(tree: Any) -> list[Tensor]:
    """All tensors but weights that oneDNN has packed, whose storage cannot be seen and which outlive a pass."""
    return [one for one in tree_leaves(tree) if isinstance(one, Tensor) and not one.is_mkldnn]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata

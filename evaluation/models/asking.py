"""Asking a model: the function that answers a task, and what becomes of a user's model that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from torch import Tensor, nn

from wrongkey.errors import BadInput, in_one_line
from wrongkey.evaluation.config import ASKED
from wrongkey.evaluation.hardware import is_out_of_memory
from wrongkey.evaluation.models.protocol import Model


def answer_function(model: Model, task: str) -> Callable[[Tensor], Any]:
    """Return the function of a model that answers a task.

    Raises BadInput where the model has none, or does not name its classes.
    """
    function = getattr(model, ASKED[task], None)
    if not callable(function):
        tasks = [task for task, name in ASKED.items() if callable(getattr(model, name, None))]
        raise BadInput(f"Model {model.name} cannot do --task {task}; it does {' and '.join(tasks)}.")
    if task == "asc" and not _are_names(getattr(model, "classes", None)):
        raise BadInput(f"Model {model.name} does not name its classes: give it classes, a tuple with the name of each.")
    return cast(Callable[[Tensor], Any], function)


@contextmanager
def model_at_fault(name: str) -> Iterator[None]:
    """Turn any error inside the block, where the model `name` is asked, into BadInput.

    Python's MemoryError stays: the command says a sentence of its own.
    """
    try:
        yield
    except (BadInput, MemoryError, BrokenPipeError):  # the last: nobody reads the log any more
        raise
    except Exception as error:  # a user's model may fail in any way
        if is_out_of_memory(error):
            raise BadInput(
                f"Memory ran out while model {name} was asked ({in_one_line(error)}): free some, or ask for less at a "
                "time; results written before are kept."
            ) from error
        raise BadInput(
            f"Model {name} fails ({in_one_line(error)}): mend it; results written before are kept."
        ) from error


def _are_names(classes: Any) -> bool:
    """Whether these are names in the order of the logits.

    A set has no order, and a dict has one only where it numbers its names from 0.
    """
    if isinstance(classes, str | nn.Module) or not hasattr(classes, "__getitem__") or not len(classes):
        return False
    if isinstance(classes, Mapping) and list(classes.values()) != list(range(len(classes))):
        return False
    return all(isinstance(name, str) for name in classes)

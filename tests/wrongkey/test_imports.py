"""Imports without the garbage collector."""

import gc
from importlib import import_module

import pytest

from wrongkey.imports import importing


@pytest.fixture(autouse=True)
def _as_before():
    yield
    gc.unfreeze()
    gc.enable()


def test_the_collector_waits_and_then_leaves_alone_what_was_made():
    frozen = gc.get_freeze_count()
    with importing():
        made: list[list[int]] = [[] for _ in range(1000)]
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() >= frozen + len(made)


def test_it_is_on_again_after_a_failed_import():
    with pytest.raises(ModuleNotFoundError), importing():
        import_module("no_such_module")
    assert gc.isenabled()


def test_where_it_was_off_it_stays_off_and_nothing_is_frozen():
    gc.disable()
    frozen = gc.get_freeze_count()
    with importing():
        pass
    assert not gc.isenabled() and gc.get_freeze_count() == frozen

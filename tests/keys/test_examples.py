"""The examples in the docstrings of keys/ are true."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

KEYS = Path(__file__).parents[2] / "keys"
WITH_EXAMPLES = [path.stem for path in sorted(KEYS.glob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_are_true(module: str) -> None:
    result = doctest.testmod(import_module(f"wrongkey.keys.{module}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and not result.failed

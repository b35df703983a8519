"""What a test knows of a value beyond its declared type: asserted, so that it is checked and type checkers learn it."""

from typing import TypeVar

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """The value, which is not None."""
    assert value is not None
    return value


def of_type(kind: type[Value], value: object) -> Value:
    """The value, which is of this type."""
    assert isinstance(value, kind), type(value)
    return value

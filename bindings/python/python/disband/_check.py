"""Checks of the fields of dataclasses, made when an instance is made."""

from __future__ import annotations

LARGEST = 2**64 - 1


def whole(value: object, name: str, lowest: int = 0, highest: int = LARGEST) -> None:
    """Raises `TypeError` unless `value` is an `int`, and `OverflowError` unless it is in the range."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    if not lowest <= value <= highest:
        raise OverflowError(f"{name} is from {lowest} to {highest}")


def limit(value: object, name: str) -> None:
    """Like `whole`, but `None` is allowed."""
    if value is not None:
        whole(value, name)


def instance(value: object, of: type, name: str) -> None:
    """Raises `TypeError` unless `value` is an instance of `of`."""
    if not isinstance(value, of):
        raise TypeError(f"{name} is a {of.__name__}, not {type(value).__name__}")

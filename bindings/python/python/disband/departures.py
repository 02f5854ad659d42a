"""What happened when a user left a group: the `value` of `Engine.leave`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, Union

from ._native import Dissolved

Id = TypeVar("Id", int, str)


@dataclass(frozen=True, slots=True)
class Left:
    """The user left, and the group continues."""

    stint: int
    """The stint that ended."""


@dataclass(frozen=True)
class Succeeded(Generic[Id]):
    """The user owned the group, and an admin is the owner now."""

    stint: int
    """The stint that ended."""
    owner: Id
    """The new owner."""


Departure = Union[Left, Succeeded[Id], Dissolved[Id]]

__all__ = ["Departure", "Dissolved", "Left", "Succeeded"]

"""Why a user is not a member of a group, as far as the engine knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, Union

Id = TypeVar("Id", int, str)


@dataclass(frozen=True, slots=True)
class StintOver:
    """The given stint is not the user's present one: the user is a member under another stint."""


@dataclass(frozen=True, slots=True)
class Left:
    """The user left."""

    at: int
    """When they left."""


@dataclass(frozen=True)
class Kicked(Generic[Id]):
    """The user was kicked."""

    by: Id
    """Who kicked them."""
    at: int
    """When they were kicked."""


@dataclass(frozen=True, slots=True)
class NoRecord:
    """The user never was a member, or their departure is no longer remembered."""


Absence = Union[StintOver, Left, Kicked[Id], NoRecord]

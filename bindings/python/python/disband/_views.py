"""What is read of an engine, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from ._options import Rank

Id = TypeVar("Id", int, str)


@dataclass(frozen=True)
class Member(Generic[Id]):
    """A member of a group."""

    user: Id
    """The member."""
    stint: int
    """The number of the membership."""
    rank: Rank
    """The member's rank."""


@dataclass(frozen=True)
class PastMember(Generic[Id]):
    """A membership that ended, which a group remembers."""

    user: Id
    """The former member."""
    at: int
    """When the membership ended."""
    kicked_by: Id | None
    """Who kicked them; `None` if they left."""


@dataclass(frozen=True)
class Membership(Generic[Id]):
    """A group that a user is a member of."""

    group: Id
    """The group."""
    stint: int
    """The number of the membership."""


@dataclass(frozen=True)
class Sanction(Generic[Id]):
    """A ban or a mute."""

    user: Id
    """Who is banned or muted."""
    by: Id
    """Who banned or muted them."""
    until: int | None
    """When it ends; `None` if it only ends when it is lifted."""


@dataclass(frozen=True)
class Entry(Generic[Id]):
    """One message in a group's log."""

    seq: int
    """The number of the entry. The first entry of a group is 0."""
    at: int
    """When it was posted. Never earlier than the entry before it."""
    author: Id
    """Who posted it."""
    message: str
    """The text. Empty after it was erased."""
    edited: int | None
    """When the author last changed the text; `None` if they did not, or if it was erased."""
    erased_by: Id | None
    """Who erased the text, if it was erased."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How large a dissolved group was."""

    members: int
    """How many members it had, including the owner."""
    entries: int
    """How many entries its log had."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The sizes of an engine."""

    groups: int
    """Groups."""
    memberships: int
    """Memberships in all groups."""
    entries: int
    """Entries in all logs, including those past their retention that are not dropped yet."""
    message_bytes: int
    """Bytes of the messages of those entries."""
    tombstones: int
    """Dissolved groups that are remembered, including those that expired and are not cleaned yet."""
    cells: int
    """Rate cells. A cell is the state of one rate limit of one user."""
    unswept: int
    """Entries of dissolved groups in the index from users to groups, which the sweep has not removed
    yet."""

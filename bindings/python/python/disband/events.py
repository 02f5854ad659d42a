"""What a signal says. `from_` is the field of the signal; the *staff* of a group is its owner and its
admins; a group is *quiet* if its options say `Announce.STAFF`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, Union

from ._native import MessageEdit, MessagePost
from ._options import Rank

Id = TypeVar("Id", int, str)


@dataclass(frozen=True)
class MemberJoin(Generic[Id]):
    """`from_` joined, or was added by `by`. Audience: if `from_` joined, the other members; if `from_`
    was added, every member except `by`. In a quiet group: the staff except `by`, and `from_` if they
    were added."""

    by: Id | None
    """Who added them; `None` if they joined."""


@dataclass(frozen=True, slots=True)
class MemberLeave:
    """`from_` left. Audience: the remaining members. In a quiet group, if `from_` was a plain member: the
    staff."""


@dataclass(frozen=True)
class MemberKick(Generic[Id]):
    """If `from_` is `by`, the owner dissolved the group, and everyone in the audience lost their
    membership. Else `from_` was kicked. Audience: in a dissolution, every member except the owner. Else
    the remaining members, and `from_`; in a quiet group, if `from_` was a plain member: the staff, and
    `from_`."""

    by: Id
    """Who kicked them, or dissolved the group."""


@dataclass(frozen=True)
class HistoryPurge(Generic[Id]):
    """The group was dissolved by its owner, who is `from_`, and its log is gone. Audience: every former
    member except the owner."""

    before: int
    """The number that the next entry would have had. All entries below it are gone."""
    note: str | None
    """The owner's text, if there is one."""
    successor: Id | None
    """The group that replaces this one, if the owner named one."""


@dataclass(frozen=True)
class OwnerChange(Generic[Id]):
    """`from_` is the new owner. Audience: every member. After a transfer `previous` is an admin now; if
    the previous owner left, their `MemberLeave` came before."""

    previous: Id
    """The previous owner."""


@dataclass(frozen=True, slots=True)
class RankChange:
    """`from_` has another rank. Audience: every member."""

    rank: Rank
    """The new rank."""


@dataclass(frozen=True, slots=True)
class MessageErase:
    """`from_` erased a message. Audience: the other members."""

    seq: int
    """The number of its entry in the log."""


@dataclass(frozen=True)
class Mute(Generic[Id]):
    """`from_` may not post or edit any more. Audience: every member."""

    by: Id
    """Who muted them."""
    until: int | None
    """When the mute ends; `None` if it only ends when it is lifted."""


@dataclass(frozen=True)
class Unmute(Generic[Id]):
    """`from_` may post and edit again. Audience: every member."""

    by: Id
    """Who lifted the mute."""


Event = Union[
    MemberJoin[Id],
    MemberLeave,
    MemberKick[Id],
    HistoryPurge[Id],
    MessagePost,
    OwnerChange[Id],
    RankChange,
    MessageEdit,
    MessageErase,
    Mute[Id],
    Unmute[Id],
]

__all__ = [
    "Event",
    "HistoryPurge",
    "MemberJoin",
    "MemberKick",
    "MemberLeave",
    "MessageEdit",
    "MessageErase",
    "MessagePost",
    "Mute",
    "OwnerChange",
    "RankChange",
    "Unmute",
]

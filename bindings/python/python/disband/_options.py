"""The options of one group, and the names that the engine uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import _check


class _Name(str, Enum):
    """A name that the engine uses, as a string."""

    def __str__(self) -> str:
        return str(self.value)


class Rank(_Name):
    """A member's rank, the lowest first. It ends with the membership."""

    MEMBER = "member"
    """May read, and by default post."""
    ADMIN = "admin"
    """May also kick, ban and mute users of lower rank, erase their messages, and by default add users."""
    OWNER = "owner"
    """May also act on admins, set ranks and options, transfer the group and dissolve it."""

    # As strings they would be compared by the alphabet.

    def __lt__(self, other: object) -> bool:
        return self._place < other._place if isinstance(other, Rank) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._place <= other._place if isinstance(other, Rank) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._place > other._place if isinstance(other, Rank) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._place >= other._place if isinstance(other, Rank) else NotImplemented

    @property
    def _place(self) -> int:
        return list(Rank).index(self)


class OwnerExit(_Name):
    """What happens to a group when its owner leaves. If the owner is the only member, the group is
    always dissolved."""

    DISSOLVE = "dissolve"
    """The group is dissolved."""
    REFUSE = "refuse"
    """The owner cannot leave. They must transfer the group or dissolve it. For `leave_all`, like
    `SUCCEED`."""
    SUCCEED = "succeed"
    """The admin with the longest membership becomes the owner. Without an admin, the group is
    dissolved."""


class HistoryAccess(_Name):
    """How far back a member may read."""

    FROM_JOIN = "from_join"
    """Entries posted since the member last joined."""
    FULL = "full"
    """The whole log."""


class Admission(_Name):
    """Who may join a group."""

    OPEN = "open"
    """Every user who is not banned."""
    CLOSED = "closed"
    """No user. Users become members only by `add`."""


class Announce(_Name):
    """Who gets the signals that a plain member joined, left or was kicked."""

    EVERYONE = "everyone"
    """Every member."""
    STAFF = "staff"
    """Only the owner and the admins, who are the group's *staff*. The group is called *quiet*. These
    signals do not increase the group's version."""


class Operation(_Name):
    """The kinds of command. Each has its own rate limit."""

    CREATE = "create"
    JOIN = "join"
    LEAVE = "leave"
    KICK = "kick"
    POST = "post"
    DISSOLVE = "dissolve"
    TRANSFER = "transfer"
    SET_RANK = "set_rank"
    SET_OPTIONS = "set_options"
    BAN = "ban"
    UNBAN = "unban"
    LEAVE_ALL = "leave_all"
    ADD = "add"
    MUTE = "mute"
    UNMUTE = "unmute"
    EDIT = "edit"
    ERASE = "erase"


class Limit(_Name):
    """Which limit a command would have exceeded. Each has the name of its field in `Limits`."""

    MEMBERS_PER_GROUP = "members_per_group"
    GROUPS_PER_USER = "groups_per_user"
    MESSAGE_BYTES = "message_bytes"
    ENTRIES_PER_GROUP = "entries_per_group"
    BANS_PER_GROUP = "bans_per_group"
    MUTES_PER_GROUP = "mutes_per_group"
    NOTE_BYTES = "note_bytes"
    MESSAGE_BYTES_TOTAL = "message_bytes_total"
    MEMBERSHIPS_TOTAL = "memberships_total"


@dataclass(frozen=True, slots=True)
class GroupOptions:
    """The options of one group. They are set when the group is created, and the owner can change them."""

    owner_exit: OwnerExit = OwnerExit.DISSOLVE
    """What happens to the group when its owner leaves."""
    history: HistoryAccess = HistoryAccess.FROM_JOIN
    """How far back a member may read."""
    keep_entries: int | None = None
    """How many entries the log keeps. `None` keeps all; 0 keeps none."""
    keep_ms: int | None = None
    """For how many milliseconds the log keeps an entry. `None` is for ever; 0 keeps none."""
    admission: Admission = Admission.OPEN
    """Who may join."""
    add: Rank = Rank.ADMIN
    """The lowest rank that may add a user."""
    post: Rank = Rank.MEMBER
    """The lowest rank that may post."""
    announce: Announce = Announce.EVERYONE
    """Who gets the signals that plain members joined, left or were kicked."""

    def __post_init__(self) -> None:
        for name, of in _ENUMS.items():
            _check.instance(getattr(self, name), of, name)
        _check.limit(self.keep_entries, "keep_entries")
        _check.limit(self.keep_ms, "keep_ms")

    def to_dict(self) -> dict[str, Any]:
        """The fields, as they are in JSON."""
        enums = {name: getattr(self, name).value for name in _ENUMS}
        return {"keep_entries": self.keep_entries, "keep_ms": self.keep_ms, **enums}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> GroupOptions:
        """The options with these fields, as they are in JSON. Those that are left out have their defaults."""
        return cls(
            **{
                **fields,
                **{name: of(fields[name]) for name, of in _ENUMS.items() if name in fields},
            }
        )


_ENUMS: dict[str, type[_Name]] = {
    "owner_exit": OwnerExit,
    "history": HistoryAccess,
    "admission": Admission,
    "add": Rank,
    "post": Rank,
    "announce": Announce,
}

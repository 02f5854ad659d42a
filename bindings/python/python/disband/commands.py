"""Commands as data: to log, to route or to batch them. `Engine.apply` carries one out. The time is not a
part of a command.

Each class is named after the method of `Engine` that does the same, and has its arguments as fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Optional, TypeVar

from ._native import Dissolved
from ._options import GroupOptions, Operation, Rank
from .departures import Departure

Value = TypeVar("Value")
Id = TypeVar("Id", int, str)


class Command(Generic[Value, Id]):
    """A command whose outcome has a `value` of the type `Value`."""

    __slots__ = ()

    operation: ClassVar[Operation]
    """Which operation the command is."""


@dataclass(frozen=True)
class Create(Command[int, Id]):
    """`Engine.create`"""

    operation = Operation.CREATE

    owner: Id
    """The new group's owner."""
    group: Id
    """The new group's id."""
    options: GroupOptions | None = None
    """The group's options; `None` for the defaults."""


@dataclass(frozen=True)
class Join(Command[int, Id]):
    """`Engine.join`"""

    operation = Operation.JOIN

    user: Id
    """Who joins."""
    group: Id
    """Which group."""


@dataclass(frozen=True)
class Leave(Command[Departure[Id], Id]):
    """`Engine.leave`"""

    operation = Operation.LEAVE

    user: Id
    """Who leaves."""
    group: Id
    """Which group."""
    stint: int | None = None
    """The membership to end; `None` for the present one."""


@dataclass(frozen=True)
class LeaveAll(Command[tuple[tuple[Id, Departure[Id]], ...], Id]):
    """`Engine.leave_all`"""

    operation = Operation.LEAVE_ALL

    user: Id
    """Who leaves every group."""


@dataclass(frozen=True)
class Post(Command[int, Id]):
    """`Engine.post`"""

    operation = Operation.POST

    author: Id
    """Who writes."""
    group: Id
    """In which group."""
    message: str
    """The text."""


@dataclass(frozen=True)
class Edit(Command[None, Id]):
    """`Engine.edit`"""

    operation = Operation.EDIT

    author: Id
    """Who wrote the message."""
    group: Id
    """In which group."""
    seq: int
    """The number of the entry."""
    message: str
    """The new text."""


@dataclass(frozen=True)
class Erase(Command[None, Id]):
    """`Engine.erase`"""

    operation = Operation.ERASE

    by: Id
    """Who erases."""
    group: Id
    """In which group."""
    seq: int
    """The number of the entry."""


@dataclass(frozen=True)
class Add(Command[int, Id]):
    """`Engine.add`"""

    operation = Operation.ADD

    by: Id
    """Who adds."""
    group: Id
    """To which group."""
    user: Id
    """Who is added."""


@dataclass(frozen=True)
class Kick(Command[int, Id]):
    """`Engine.kick`"""

    operation = Operation.KICK

    by: Id
    """Who kicks."""
    group: Id
    """From which group."""
    user: Id
    """Who is kicked."""


@dataclass(frozen=True)
class Ban(Command[Optional[int], Id]):
    """`Engine.ban`"""

    operation = Operation.BAN

    by: Id
    """Who bans."""
    group: Id
    """From which group."""
    user: Id
    """Who is banned."""
    until: int | None = None
    """When the ban ends; `None` if it only ends when it is lifted."""


@dataclass(frozen=True)
class Unban(Command[None, Id]):
    """`Engine.unban`"""

    operation = Operation.UNBAN

    by: Id
    """Who lifts the ban."""
    group: Id
    """In which group."""
    user: Id
    """Whose ban to lift."""


@dataclass(frozen=True)
class Mute(Command[None, Id]):
    """`Engine.mute`"""

    operation = Operation.MUTE

    by: Id
    """Who mutes."""
    group: Id
    """In which group."""
    user: Id
    """Who is muted."""
    until: int | None = None
    """When the mute ends; `None` if it only ends when it is lifted."""


@dataclass(frozen=True)
class Unmute(Command[None, Id]):
    """`Engine.unmute`"""

    operation = Operation.UNMUTE

    by: Id
    """Who lifts the mute."""
    group: Id
    """In which group."""
    user: Id
    """Whose mute to lift."""


@dataclass(frozen=True)
class SetRank(Command[None, Id]):
    """`Engine.set_rank`"""

    operation = Operation.SET_RANK

    by: Id
    """The owner."""
    group: Id
    """In which group."""
    user: Id
    """Whose rank to set."""
    rank: Rank
    """The new rank."""


@dataclass(frozen=True)
class SetOptions(Command[None, Id]):
    """`Engine.set_options`"""

    operation = Operation.SET_OPTIONS

    by: Id
    """The owner."""
    group: Id
    """Of which group."""
    options: GroupOptions
    """The new options, all of them."""


@dataclass(frozen=True)
class Transfer(Command[None, Id]):
    """`Engine.transfer`"""

    operation = Operation.TRANSFER

    owner: Id
    """The present owner."""
    group: Id
    """Which group."""
    user: Id
    """The new owner."""


@dataclass(frozen=True)
class Dissolve(Command[Dissolved[Id], Id]):
    """`Engine.dissolve`"""

    operation = Operation.DISSOLVE

    owner: Id
    """The owner."""
    group: Id
    """Which group."""
    note: str | None = None
    """A text for the members."""
    successor: Id | None = None
    """The group that replaces this one."""


BY_OPERATION: dict[Operation, type[Command[Any, Any]]] = {
    one.operation: one
    for one in (
        Create,
        Join,
        Leave,
        LeaveAll,
        Post,
        Edit,
        Erase,
        Add,
        Kick,
        Ban,
        Unban,
        Mute,
        Unmute,
        SetRank,
        SetOptions,
        Transfer,
        Dissolve,
    )
}
"""The class of each operation."""

"""Batches: commands that are carried out all together or not at all."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, TypeVar

from . import commands
from ._native import Engine, Outcome
from ._options import GroupOptions, Rank
from .commands import Command

Id = TypeVar("Id", int, str)


class Batch(Generic[Id]):
    """Collects commands in a `with` block. At the end of the block all of them are carried out, or, if
    one is refused, none. If an exception leaves the block, none is carried out. Rate limits do not apply.
    A batch has one block.

    Its methods are those of `Engine`, without `now`. Each appends one command.
    """

    def __init__(self, engine: Engine[Id], now: int) -> None:
        self._engine: Engine[Id] = engine
        self._now = now
        self._entered = False
        self._outcome: Outcome[tuple[Any, ...], Id] | None = None
        self.commands: list[Command[Any, Id]] = []
        """The commands, in the order in which they will be carried out."""

    @property
    def outcome(self) -> Outcome[tuple[Any, ...], Id]:
        """The results of all commands, and the signals of all. `RuntimeError` before the end of the block,
        and if the batch was not carried out."""
        if self._outcome is None:
            raise RuntimeError("the batch was not carried out")
        return self._outcome

    def __enter__(self) -> Batch[Id]:
        if self._entered:
            raise RuntimeError("a batch has one block: make another one")
        self._entered = True
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._outcome = self._engine.apply_all(self.commands, self._now)

    def append(self, command: Command[Any, Id]) -> None:
        """Appends a command that is given as data."""
        self.commands.append(command)

    def create(self, owner: Id, group: Id, options: GroupOptions | None = None) -> None:
        self.append(commands.Create(owner, group, options))

    def join(self, user: Id, group: Id) -> None:
        self.append(commands.Join(user, group))

    def leave(self, user: Id, group: Id, stint: int | None = None) -> None:
        self.append(commands.Leave(user, group, stint))

    def leave_all(self, user: Id) -> None:
        self.append(commands.LeaveAll(user))

    def post(self, author: Id, group: Id, message: str) -> None:
        self.append(commands.Post(author, group, message))

    def edit(self, author: Id, group: Id, seq: int, message: str) -> None:
        self.append(commands.Edit(author, group, seq, message))

    def erase(self, by: Id, group: Id, seq: int) -> None:
        self.append(commands.Erase(by, group, seq))

    def add(self, by: Id, group: Id, user: Id) -> None:
        self.append(commands.Add(by, group, user))

    def kick(self, by: Id, group: Id, user: Id) -> None:
        self.append(commands.Kick(by, group, user))

    def ban(self, by: Id, group: Id, user: Id, until: int | None = None) -> None:
        self.append(commands.Ban(by, group, user, until))

    def unban(self, by: Id, group: Id, user: Id) -> None:
        self.append(commands.Unban(by, group, user))

    def mute(self, by: Id, group: Id, user: Id, until: int | None = None) -> None:
        self.append(commands.Mute(by, group, user, until))

    def unmute(self, by: Id, group: Id, user: Id) -> None:
        self.append(commands.Unmute(by, group, user))

    def set_rank(self, by: Id, group: Id, user: Id, rank: Rank) -> None:
        self.append(commands.SetRank(by, group, user, rank))

    def set_options(self, by: Id, group: Id, options: GroupOptions) -> None:
        self.append(commands.SetOptions(by, group, options))

    def transfer(self, owner: Id, group: Id, user: Id) -> None:
        self.append(commands.Transfer(owner, group, user))

    def dissolve(
        self, owner: Id, group: Id, note: str | None = None, successor: Id | None = None
    ) -> None:
        self.append(commands.Dissolve(owner, group, note, successor))

"""A group of the naive model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from disband import GroupOptions, HistoryAccess, PastMember, Rank, Sanction, absences

Id = Any
"""An `int` or a `str`."""
RANKS = [Rank.MEMBER, Rank.ADMIN, Rank.OWNER]


@dataclass
class Message:
    seq: int
    at: int
    author: Id
    text: str
    before: int
    edited: int | None = None
    erased_by: Id | None = None


@dataclass
class Sanctions:
    """Bans or mutes. Some that ended are still stored."""

    of: dict[Any, Sanction[Any]] = field(default_factory=dict)

    def holding(self, user: Id, now: int) -> Sanction[Any] | None:
        one = self.of.get(user)
        return one if one and (one.until is None or now < one.until) else None

    def all(self, now: int) -> list[Sanction[Any]]:
        return [self.of[user] for user in sorted(self.of) if self.holding(user, now)]

    def ended(self, now: int) -> list[tuple[int, Any]]:
        ends = [(one.until, user) for user, one in self.of.items() if one.until is not None]
        return sorted(end for end in ends if end[0] <= now)

    def len_with(self, user: Id, now: int) -> int:
        replaced = user in self.of or self.ended(now)
        return len(self.of) + (0 if replaced else 1)

    def lift(self, user: Id, now: int) -> None:
        self.of.pop(user, None)
        for _, other in self.ended(now)[:2]:
            del self.of[other]

    def put(self, one: Sanction[Any], now: int) -> None:
        self.lift(one.user, now)
        self.of[one.user] = one


@dataclass
class Group:
    owner: Any
    version: int
    options: GroupOptions
    members: dict[Any, int]
    admins: set[Any] = field(default_factory=set)
    bans: Sanctions = field(default_factory=Sanctions)
    mutes: Sanctions = field(default_factory=Sanctions)
    log: list[Message] = field(default_factory=list)
    next_seq: int = 0
    last_at: int = 0
    past: list[PastMember[Any]] = field(default_factory=list)

    def rank(self, user: Id) -> Rank | None:
        if user not in self.members:
            return None
        return (
            Rank.OWNER if user == self.owner else Rank.ADMIN if user in self.admins else Rank.MEMBER
        )

    def absence(self, user: Id) -> Any:
        for one in self.past:
            if one.user == user:
                return (
                    absences.Left(one.at)
                    if one.kicked_by is None
                    else absences.Kicked(one.kicked_by, one.at)
                )
        return absences.NoRecord()

    def by_stint(self) -> list[Any]:
        return sorted(self.admins, key=self.members.__getitem__)

    def staff(self) -> set[Any]:
        return self.admins | {self.owner}

    def live(self, now: int) -> list[Message]:
        """The entries within their retention."""
        keep, ms = self.options.keep_entries, self.options.keep_ms
        recent = [one for one in self.log if keep is None or one.seq >= self.next_seq - keep]
        return [one for one in recent if ms is None or now - one.at < ms]

    def readable(self, reader: Id, now: int) -> list[Message]:
        full = self.options.history == HistoryAccess.FULL
        return [one for one in self.live(now) if full or one.before > self.members[reader]]

    def drop(self, now: int, most: int | None) -> None:
        self.log = self.log[
            min(len(self.log) - len(self.live(now)), len(self.log) if most is None else most) :
        ]

    def append(self, author: Id, text: str, before: int, now: int) -> Message:
        self.last_at = max(self.last_at, now)
        entry = Message(self.next_seq, self.last_at, author, text, before)
        self.log.append(entry)
        self.next_seq += 1
        self.drop(now, 4)
        return entry

    def remove(self, user: Id, now: int, by: Id | None, kept: int) -> None:
        del self.members[user]
        self.admins.discard(user)
        past = [one for one in self.past if one.user != user] + [PastMember(user, now, by)]
        self.past = past[len(past) - kept :] if len(past) > kept else past

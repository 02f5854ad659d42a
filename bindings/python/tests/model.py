"""A naive model of the engine, written from the rules: dictionaries and lists, every cost linear.

It assumes that the clock does not go back.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields
from fractions import Fraction
from math import ceil
from typing import Any

from model_group import RANKS, Group, Id, Message, Sanctions

from disband import (
    Admission,
    Announce,
    Config,
    Entry,
    GroupOptions,
    Limit,
    Member,
    Membership,
    OwnerExit,
    Rank,
    Sanction,
    absences,
    departures,
    events,
)


class Refusal(Exception):
    """The name of the class of a refusal, and its fields."""

    def __init__(self, name: str, **data: Any) -> None:
        super().__init__(name, data)
        self.name, self.data = name, data
        self.index: int | None = None


@dataclass(frozen=True)
class Ended:
    """How large a dissolved group was."""

    members: int
    entries: int


@dataclass
class Signal:
    key: int
    group: Id
    from_: Id
    actor: Id
    version: int
    event: Any
    audience: list[Any]


def size(text: str) -> int:
    return len(text.encode())


class Model:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.groups: dict[Any, Group] = {}
        self.tombstones: dict[Any, dict[str, Any]] = {}
        self.full_at: dict[tuple[str, Any, Any], Fraction] = {}
        self.next_stint = 1
        self.next_key = 1
        self.signals: list[Signal] = []

    def apply(self, command: Any, now: int) -> tuple[Any, list[Signal]]:
        """The value and the signals of a command. Raises `Refusal`."""
        self.charge(command, now)
        return self.execute(command, now)

    def apply_all(self, batch: list[Any], now: int) -> tuple[tuple[Any, ...], list[Signal]]:
        before = deepcopy(self.__dict__)
        values, signals = [], []
        for index, command in enumerate(batch):
            try:
                value, more = self.execute(command, now)
            except Refusal as refusal:
                self.__dict__ = before
                refusal.index = index
                raise
            values.append(value)
            signals += more
        return tuple(values), signals

    def set_config(self, config: Config) -> None:
        old, self.config = self.config.quotas, config
        changed = [
            one.name
            for one in fields(old)
            if getattr(old, one.name) != getattr(config.quotas, one.name)
        ]
        self.full_at = {key: at for key, at in self.full_at.items() if key[0] not in changed}

    def charge(self, command: Any, now: int) -> None:
        operation = command.operation.value
        rate = getattr(self.config.quotas, operation)
        if rate is None:
            return
        actor = getattr(command, fields(command)[0].name)
        group = getattr(command, "group", None)
        key = (operation, actor, group if group in self.groups else None)
        price, window = (
            Fraction(rate.per_ms, rate.cells),
            Fraction(rate.burst * rate.per_ms, rate.cells),
        )
        owes = max(self.full_at.get(key, Fraction(now)) - now, Fraction(0)) + price
        if owes > window:
            raise Refusal("TooFast", retry_at=now + ceil(owes - window))
        self.full_at[key] = now + owes

    def execute(self, command: Any, now: int) -> tuple[Any, list[Signal]]:
        self.signals = []
        arguments = [getattr(command, one.name) for one in fields(command)]
        value = getattr(self, command.operation.value)(*arguments, now)
        return value, self.signals

    # What the commands share.

    def limit(self, limit: Limit, before: int, after: int) -> None:
        most = getattr(self.config.limits, limit.value)
        if most is not None and after > most and after > before:
            raise Refusal("OverLimit", limit=limit, max=most)

    def room(self, user: Id, members: int) -> None:
        groups, total = len(self.groups_of(user)), self.memberships()
        self.limit(Limit.MEMBERS_PER_GROUP, members, members + 1)
        self.limit(Limit.GROUPS_PER_USER, groups, groups + 1)
        self.limit(Limit.MEMBERSHIPS_TOTAL, total, total + 1)

    def find(self, id: Id, now: int) -> Group:
        if id in self.groups:
            return self.groups[id]
        raise self.missing(id, now)

    def missing(self, id: Id, now: int) -> Refusal:
        grave = self.tombstones.get(id)
        if grave and now - grave["at"] < self.config.tombstone_ms:
            return Refusal("Dissolved", **grave)
        return Refusal("NoSuchGroup")

    def acting(self, user: Id, id: Id, needs: Rank, now: int) -> tuple[Group, Rank]:
        group = self.find(id, now)
        rank = group.rank(user)
        if rank is None:
            raise Refusal("NotMember", absence=group.absence(user))
        if RANKS.index(rank) < RANKS.index(needs):
            raise Refusal("NotAdmin" if needs == Rank.ADMIN else "NotOwner")
        return group, rank

    def lower(self, group: Group, by: Id, acting: Rank, user: Id) -> bool:
        """Whether `user`, who must have a lower rank than `by`, is a member."""
        rank = group.rank(user)
        if by == user or (rank and RANKS.index(rank) >= RANKS.index(acting)):
            raise Refusal("Outranked")
        return rank is not None

    def signal(
        self, id: Id, actor: Id, from_: Id, version: int, event: Any, audience: set[Any]
    ) -> None:
        self.signals.append(
            Signal(self.next_key, id, from_, actor, version, event, sorted(audience))
        )
        self.next_key += 1

    def announce(self, id: Id, actor: Id, from_: Id, event: Any) -> None:
        group = self.groups[id]
        group.version += 1
        self.signal(id, actor, from_, group.version, event, set(group.members))

    def told(self, group: Group, rank: Rank) -> tuple[int, set[Any]]:
        """The version and the audience of the signal that a user of this rank joined or left."""
        if rank == Rank.MEMBER and group.options.announce == Announce.STAFF:
            return group.version, group.staff()
        group.version += 1
        return group.version, set(group.members)

    def admit(self, id: Id, user: Id, by: Id | None, now: int) -> int:
        group = self.groups[id]
        stint, self.next_stint = self.next_stint, self.next_stint + 1
        group.bans.lift(user, now)
        group.members[user] = stint
        quiet = group.options.announce == Announce.STAFF
        version, audience = self.told(group, Rank.MEMBER)
        if by is not None:
            audience = (audience | {user}) - {by}
        elif not quiet:
            audience -= {user}
        self.signal(id, user if by is None else by, user, version, events.MemberJoin(by), audience)
        return stint

    def expel(self, id: Id, by: Id, user: Id, now: int) -> int:
        group = self.groups[id]
        stint, rank = group.members[user], group.rank(user)
        assert rank is not None
        group.remove(user, now, by, self.config.departures)
        version, audience = self.told(group, rank)
        self.signal(id, by, user, version, events.MemberKick(by), audience | {user})
        return stint

    def end(self, id: Id, by: Id, note: str | None, successor: Id | None, now: int) -> Ended:
        group = self.groups.pop(id)
        self.tombstones[id] = {"by": by, "at": now, "note": note, "successor": successor}
        self.next_stint = max(self.next_stint, group.version + 3)
        others = set(group.members) - {by}
        self.signal(id, by, by, group.version + 1, events.MemberKick(by), others)
        purge = events.HistoryPurge(group.next_seq, note, successor)
        self.signal(id, by, by, group.version + 2, purge, others)
        return Ended(len(group.members), len(group.log))

    def depart(self, id: Id, user: Id, now: int) -> Any:
        group = self.groups[id]
        stint, rank = group.members[user], group.rank(user)
        assert rank is not None
        heirs = group.by_stint()
        if rank == Rank.OWNER and (not heirs or group.options.owner_exit == OwnerExit.DISSOLVE):
            return self.end(id, user, None, None, now)
        group.remove(user, now, None, self.config.departures)
        version, audience = self.told(group, rank)
        self.signal(id, user, user, version, events.MemberLeave(), audience)
        if rank != Rank.OWNER:
            return departures.Left(stint)
        group.owner = heirs[0]
        group.admins.discard(heirs[0])
        self.announce(id, user, heirs[0], events.OwnerChange(user))
        return departures.Succeeded(stint, heirs[0])

    def message(self, id: Id, actor: Id, event: Any) -> None:
        group = self.groups[id]
        self.signal(id, actor, actor, group.version, event, set(group.members) - {actor})

    def sanction(
        self, by: Id, id: Id, user: Id, until: int | None, now: int, of: str, limit: Limit
    ) -> tuple[Group, bool]:
        group, acting = self.acting(by, id, Rank.ADMIN, now)
        is_member = self.lower(group, by, acting, user)
        if until is not None and until <= now:
            raise Refusal("AlreadyExpired")
        sanctions: Sanctions = getattr(group, of)
        self.limit(limit, len(sanctions.of), sanctions.len_with(user, now))
        sanctions.put(Sanction(user, by, until), now)
        return group, is_member

    def entry(self, group: Group, reader: Id, seq: int, now: int) -> Message:
        for one in group.readable(reader, now):
            if one.seq == seq:
                return one
        raise Refusal("NoSuchEntry")

    def muted(self, group: Group, user: Id, now: int) -> None:
        mute = group.mutes.holding(user, now)
        if mute:
            raise Refusal("Muted", by=mute.by, until=mute.until)

    # The commands. Their arguments are the fields of the classes in `disband.commands`.

    def create(self, owner: Id, id: Id, options: GroupOptions | None, now: int) -> int:
        if id in self.groups:
            raise Refusal("GroupExists")
        if self.missing(id, now).name == "Dissolved":
            raise Refusal("IdReserved", until=self.tombstones[id]["at"] + self.config.tombstone_ms)
        self.room(owner, 0)
        stint, self.next_stint = self.next_stint, self.next_stint + 1
        self.groups[id] = Group(owner, stint, options or GroupOptions(), {owner: stint})
        self.tombstones.pop(id, None)
        return stint

    def join(self, user: Id, id: Id, now: int) -> int:
        group = self.find(id, now)
        ban = group.bans.holding(user, now)
        if ban:
            raise Refusal("Banned", by=ban.by, until=ban.until)
        if group.options.admission == Admission.CLOSED:
            raise Refusal("Closed")
        if user in group.members:
            raise Refusal("AlreadyMember")
        self.room(user, len(group.members))
        return self.admit(id, user, None, now)

    def add(self, by: Id, id: Id, user: Id, now: int) -> int:
        group, _ = self.acting(by, id, self.find(id, now).options.add, now)
        if user in group.members:
            raise Refusal("AlreadyMember")
        ban = group.bans.holding(user, now)
        if ban:
            raise Refusal("TargetBanned", by=ban.by, until=ban.until)
        self.room(user, len(group.members))
        return self.admit(id, user, by, now)

    def leave(self, user: Id, id: Id, stint: int | None, now: int) -> Any:
        group, rank = self.acting(user, id, Rank.MEMBER, now)
        if stint is not None and stint != group.members[user]:
            raise Refusal("NotMember", absence=absences.StintOver())
        refuses = group.options.owner_exit == OwnerExit.REFUSE
        if refuses and rank == Rank.OWNER and len(group.members) > 1:
            raise Refusal("OwnerMustStay")
        return self.depart(id, user, now)

    def leave_all(self, user: Id, now: int) -> tuple[Any, ...]:
        return tuple((one.group, self.depart(one.group, user, now)) for one in self.groups_of(user))

    def kick(self, by: Id, id: Id, user: Id, now: int) -> int:
        group, acting = self.acting(by, id, Rank.ADMIN, now)
        if not self.lower(group, by, acting, user):
            raise Refusal("TargetNotMember", absence=group.absence(user))
        return self.expel(id, by, user, now)

    def ban(self, by: Id, id: Id, user: Id, until: int | None, now: int) -> int | None:
        _, is_member = self.sanction(by, id, user, until, now, "bans", Limit.BANS_PER_GROUP)
        return self.expel(id, by, user, now) if is_member else None

    def unban(self, by: Id, id: Id, user: Id, now: int) -> None:
        group, _ = self.acting(by, id, Rank.ADMIN, now)
        if not group.bans.holding(user, now):
            raise Refusal("NotBanned")
        group.bans.lift(user, now)

    def mute(self, by: Id, id: Id, user: Id, until: int | None, now: int) -> None:
        _, is_member = self.sanction(by, id, user, until, now, "mutes", Limit.MUTES_PER_GROUP)
        if is_member:
            self.announce(id, by, user, events.Mute(by, until))

    def unmute(self, by: Id, id: Id, user: Id, now: int) -> None:
        group, acting = self.acting(by, id, Rank.ADMIN, now)
        is_member = self.lower(group, by, acting, user)
        if not group.mutes.holding(user, now):
            raise Refusal("NotMuted")
        group.mutes.lift(user, now)
        if is_member:
            self.announce(id, by, user, events.Unmute(by))

    def set_rank(self, by: Id, id: Id, user: Id, rank: Rank, now: int) -> None:
        group, acting = self.acting(by, id, Rank.OWNER, now)
        is_member = self.lower(group, by, acting, user)
        if rank == Rank.OWNER:
            raise Refusal("Outranked")
        if not is_member:
            raise Refusal("TargetNotMember", absence=group.absence(user))
        if group.rank(user) == rank:
            raise Refusal("AlreadyRanked")
        (group.admins.add if rank == Rank.ADMIN else group.admins.discard)(user)
        self.announce(id, by, user, events.RankChange(rank))

    def set_options(self, by: Id, id: Id, options: GroupOptions, now: int) -> None:
        group, _ = self.acting(by, id, Rank.OWNER, now)
        group.drop(now, None)
        group.options = options

    def transfer(self, owner: Id, id: Id, user: Id, now: int) -> None:
        group, _ = self.acting(owner, id, Rank.OWNER, now)
        if user not in group.members:
            raise Refusal("TargetNotMember", absence=group.absence(user))
        if owner == user:
            raise Refusal("AlreadyOwner")
        group.owner = user
        group.admins = (group.admins - {user}) | {owner}
        self.announce(id, owner, user, events.OwnerChange(owner))

    def dissolve(
        self, owner: Id, id: Id, note: str | None, successor: Id | None, now: int
    ) -> Ended:
        self.acting(owner, id, Rank.OWNER, now)
        self.limit(Limit.NOTE_BYTES, 0, size(note or ""))
        return self.end(id, owner, note, successor, now)

    def post(self, author: Id, id: Id, text: str, now: int) -> int:
        group, _ = self.acting(author, id, self.find(id, now).options.post, now)
        self.muted(group, author, now)
        self.limit(Limit.MESSAGE_BYTES, 0, size(text))
        after = deepcopy(group)
        entry = after.append(author, text, self.next_stint, now)
        live, kept = len(group.live(now)), group.options.keep_entries
        self.limit(Limit.ENTRIES_PER_GROUP, live, live + 1 if kept is None else min(live + 1, kept))
        total = self.message_bytes()
        grown = sum(size(one.text) for one in after.log) - sum(size(one.text) for one in group.log)
        self.limit(Limit.MESSAGE_BYTES_TOTAL, total, total + grown)
        self.groups[id] = after
        self.message(id, author, events.MessagePost(entry.seq, entry.at, text))
        return entry.seq

    def edit(self, author: Id, id: Id, seq: int, text: str, now: int) -> None:
        group, _ = self.acting(author, id, Rank.MEMBER, now)
        entry = self.entry(group, author, seq, now)
        self.muted(group, author, now)
        if entry.author != author:
            raise Refusal("NotAuthor")
        if entry.erased_by is not None:
            raise Refusal("AlreadyErased")
        self.limit(Limit.MESSAGE_BYTES, 0, size(text))
        total = self.message_bytes()
        self.limit(Limit.MESSAGE_BYTES_TOTAL, total, total - size(entry.text) + size(text))
        entry.text, entry.edited = text, max(entry.at, now)
        self.message(id, author, events.MessageEdit(seq, entry.edited, text))

    def erase(self, by: Id, id: Id, seq: int, now: int) -> None:
        group, rank = self.acting(by, id, Rank.MEMBER, now)
        entry = self.entry(group, by, seq, now)
        if entry.author != by:
            if rank == Rank.MEMBER:
                raise Refusal("NotAuthor")
            theirs = group.rank(entry.author)
            if theirs and RANKS.index(theirs) >= RANKS.index(rank):
                raise Refusal("Outranked")
        if entry.erased_by is not None:
            raise Refusal("AlreadyErased")
        entry.text, entry.edited, entry.erased_by = "", None, by
        self.message(id, by, events.MessageErase(seq))

    # Reads.

    def memberships(self) -> int:
        return sum(len(group.members) for group in self.groups.values())

    def message_bytes(self) -> int:
        return sum(size(one.text) for group in self.groups.values() for one in group.log)

    def groups_of(self, user: Id) -> list[Membership[Any]]:
        stints = [
            (group.members[user], id) for id, group in self.groups.items() if user in group.members
        ]
        return [Membership(id, stint) for stint, id in sorted(stints)]

    def owned_by(self, user: Id) -> list[Any]:
        return [one.group for one in self.groups_of(user) if self.groups[one.group].owner == user]

    def members(self, id: Id) -> list[Member[Any]]:
        group = self.groups[id]
        return [
            Member(user, group.members[user], group.rank(user) or Rank.MEMBER)
            for user in sorted(group.members)
        ]

    def history(
        self, reader: Id, id: Id, now: int, before: int | None, limit: int
    ) -> list[Entry[Any]]:
        group, _ = self.acting(reader, id, Rank.MEMBER, now)
        page = [one for one in group.readable(reader, now) if before is None or one.seq < before]
        return [
            Entry(one.seq, one.at, one.author, one.text, one.edited, one.erased_by)
            for one in reversed(page[max(0, len(page) - limit) :])
        ]

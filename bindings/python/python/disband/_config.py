"""The configuration of an engine: rate limits, and limits on sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Optional

from . import _check


class EngineClosed(RuntimeError):
    """The engine was closed, so it cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: `burst` commands at once, and then `cells` commands every `per_ms` milliseconds."""

    cells: int
    """How many commands the user regains every `per_ms`. At least 1."""
    per_ms: int
    """The period, in milliseconds. At least 1."""
    burst: int
    """How many commands may come at once when the allowance is full. At least 1."""

    def __post_init__(self) -> None:
        _check.whole(self.cells, "cells", 1, 2**32 - 1)
        _check.whole(self.per_ms, "per_ms", 1)
        _check.whole(self.burst, "burst", 1, 2**32 - 1)


Quota = Optional[Rate]
"""How often one user may repeat one operation in one group: a `Rate`, or `None` for no limit."""

_OFTEN = Rate(1, 250, 20)


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quota of each operation."""

    create: Quota = Rate(1, 10_000, 5)
    join: Quota = Rate(1, 2_000, 3)
    leave: Quota = Rate(1, 2_000, 3)
    kick: Quota = _OFTEN
    post: Quota = _OFTEN
    dissolve: Quota = _OFTEN
    transfer: Quota = _OFTEN
    set_rank: Quota = _OFTEN
    set_options: Quota = _OFTEN
    ban: Quota = _OFTEN
    unban: Quota = _OFTEN
    leave_all: Quota = _OFTEN
    add: Quota = _OFTEN
    mute: Quota = _OFTEN
    unmute: Quota = _OFTEN
    edit: Quota = _OFTEN
    erase: Quota = _OFTEN

    def __post_init__(self) -> None:
        for one in fields(self):
            if getattr(self, one.name) is not None:
                _check.instance(getattr(self, one.name), Rate, one.name)

    @classmethod
    def all(cls, quota: Quota) -> Quotas:
        """The same quota for every operation; `Quotas.all(None)` limits none."""
        return cls(**{one.name: quota for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on sizes. `None` is no limit. A limit on a number refuses growth only."""

    members_per_group: int | None = 10_000_000
    """Members of one group, the owner among them."""
    groups_per_user: int | None = 20_000
    """Groups that one user is in."""
    message_bytes: int | None = 65_536
    """Bytes of one message in UTF-8."""
    entries_per_group: int | None = 100_000_000
    """Entries in the log of one group, without those past their retention."""
    bans_per_group: int | None = 100_000
    """Bans in one group."""
    mutes_per_group: int | None = 100_000
    """Mutes in one group."""
    note_bytes: int | None = 1_024
    """Bytes of the note of one dissolution."""
    message_bytes_total: int | None = None
    """Bytes of the messages in all logs together."""
    memberships_total: int | None = None
    """Memberships in all groups together."""

    def __post_init__(self) -> None:
        for one in fields(self):
            _check.limit(getattr(self, one.name), one.name)

    @classmethod
    def none(cls) -> Limits:
        """No limits."""
        return cls(**{one.name: None for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of an engine. It is part of the engine's state and of its snapshots."""

    instance: int = 0
    """The upper half of the key of every signal. If signals of several engines can reach one client,
    give each engine another number. It cannot be changed later."""
    quotas: Quotas = field(default_factory=Quotas)
    """The rate limits."""
    tombstone_ms: int = 31 * 24 * 60 * 60 * 1000
    """For how many milliseconds a dissolved group is remembered and its id reserved; 0 remembers
    nothing."""
    departures: int = 16
    """How many departures (memberships that ended) each group remembers, at most 255."""
    limits: Limits = field(default_factory=Limits)
    """Limits on sizes."""

    def __post_init__(self) -> None:
        _check.whole(self.instance, "instance")
        _check.instance(self.quotas, Quotas, "quotas")
        _check.whole(self.tombstone_ms, "tombstone_ms")
        _check.whole(self.departures, "departures", 0, 255)
        _check.instance(self.limits, Limits, "limits")

    def to_dict(self) -> dict[str, Any]:
        """The fields, as they are in JSON."""
        quotas = {
            name: "unlimited" if rate is None else {"limited": rate}
            for name, rate in asdict(self.quotas).items()
        }
        return {**asdict(self), "quotas": quotas}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Config:
        """The configuration with these fields, as they are in JSON. Those that are left out have their
        defaults."""
        quotas = {
            name: None if quota == "unlimited" else Rate(**quota["limited"])
            for name, quota in given.get("quotas", {}).items()
        }
        limits = Limits(**given.get("limits", {}))
        return cls(**{**given, "quotas": Quotas(**quotas), "limits": limits})

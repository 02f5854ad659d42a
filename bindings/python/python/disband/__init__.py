"""Group membership as a state machine: who is in which group, with which rank, and what was said there.
Dissolving a group takes microseconds, whether it has ten members or a million."""

from . import absences, commands, departures, events, refusals
from ._batch import Batch
from ._config import Config, EngineClosed, Limits, Quota, Quotas, Rate
from ._native import Audience, Dissolved, Engine, Group, Outcome, Signal
from ._options import (
    Admission,
    Announce,
    GroupOptions,
    HistoryAccess,
    Limit,
    Operation,
    OwnerExit,
    Rank,
)
from ._views import Entry, Member, Membership, PastMember, Sanction, Stats, Summary
from .refusals import Refused

__all__ = [
    "Admission",
    "Announce",
    "Audience",
    "Batch",
    "Config",
    "Dissolved",
    "Engine",
    "EngineClosed",
    "Entry",
    "Group",
    "GroupOptions",
    "HistoryAccess",
    "Limit",
    "Limits",
    "Member",
    "Membership",
    "Operation",
    "Outcome",
    "OwnerExit",
    "PastMember",
    "Quota",
    "Quotas",
    "Rank",
    "Rate",
    "Refused",
    "Sanction",
    "Signal",
    "Stats",
    "Summary",
    "absences",
    "commands",
    "departures",
    "events",
    "refusals",
]

"""Configurations, options and reads as values."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from disband import (
    Admission,
    Announce,
    Config,
    Engine,
    Entry,
    GroupOptions,
    HistoryAccess,
    Limits,
    Member,
    Membership,
    OwnerExit,
    PastMember,
    Quotas,
    Rank,
    Rate,
    Sanction,
    Stats,
    Summary,
    absences,
    commands,
    departures,
    events,
)

NOW = 1_000


def test_defaults_are_those_of_the_engine() -> None:
    engine = Engine(int)
    assert engine.config == Config()
    engine.create(1, 7, NOW)
    group = engine.group(7)
    assert group is not None and group.options == GroupOptions()


def test_every_field_of_a_configuration_reaches_the_engine() -> None:
    names = list(Quotas.__slots__)
    quotas = Quotas(**{name: Rate(1 + at, 2 + at, 3 + at) for at, name in enumerate(names)})
    quotas = replace(quotas, post=None)
    limits = Limits(**{name: at for at, name in enumerate(Limits.__slots__)})
    config = Config(2**64 - 1, quotas, 2**64 - 1, 255, limits)
    assert Engine(int, config).config == config
    none = Config(quotas=Quotas.all(None), limits=Limits.none())
    assert Engine(str, none).config == none
    assert Config.from_dict(config.to_dict()) == config


def test_every_option_reaches_the_engine() -> None:
    engine = Engine(int)
    options = GroupOptions(
        OwnerExit.SUCCEED,
        HistoryAccess.FULL,
        5,
        2**64 - 1,
        Admission.CLOSED,
        Rank.OWNER,
        Rank.ADMIN,
        Announce.STAFF,
    )
    engine.create(1, 7, NOW, options)
    group = engine.group(7)
    assert group is not None and group.options == options
    assert GroupOptions.from_dict(options.to_dict()) == options
    assert GroupOptions.from_dict({}) == GroupOptions()


def test_the_instance_cannot_change() -> None:
    engine = Engine(int, Config(instance=5))
    with pytest.raises(ValueError, match="the instance number cannot change"):
        engine.set_config(Config())
    assert engine.config == Config(instance=5)
    engine.set_config(Config(instance=5, departures=0))
    assert engine.config.departures == 0


def test_values_are_immutable_and_picklable() -> None:
    values: list[Any] = [
        Config(),
        Limits(),
        Quotas(),
        Rate(1, 2, 3),
        GroupOptions(),
        Entry(0, 1, 2, "a", None, None),
        Member(1, 2, Rank.ADMIN),
        Membership(1, 2),
        PastMember(1, 2, None),
        Sanction(1, 2, 3),
        Stats(1, 2, 3, 4, 5, 6, 7),
        Summary(1, 2),
        absences.Kicked(1, 2),
        commands.Join(1, 2),
        departures.Succeeded(1, 2),
        events.MessagePost(1, 2, "a"),
    ]
    for value in values:
        copy = pickle.loads(pickle.dumps(value))
        assert copy == value and hash(copy) == hash(value) and repr(copy) == repr(value)
        with pytest.raises(AttributeError):
            setattr(value, value.__match_args__[0], 1)


def test_reads() -> None:
    engine = Engine(str, Config(quotas=Quotas.all(None)))
    engine.create("alice", "music", NOW)
    engine.create("alice", "art", NOW)
    engine.join("bob", "music", NOW)
    engine.join("carol", "music", NOW)
    engine.set_rank("alice", "music", "bob", Rank.ADMIN, NOW)
    engine.mute("alice", "music", "carol", NOW, until=NOW + 5)
    engine.ban("alice", "music", "dave", NOW)
    engine.kick("alice", "music", "carol", NOW)
    engine.post("bob", "music", "hello", NOW)

    assert (len(engine), list(engine.groups())) == (2, ["art", "music"])
    assert engine.groups_of("bob") == [Membership("music", 3)]
    assert engine.groups_of("nobody") == []
    assert engine.owned_by("alice") == ["music", "art"]
    assert "music" in engine and "sport" not in engine
    assert engine.group("sport") is None
    group = engine.group("music")
    assert group is not None
    assert (group.owner, group.version, len(group)) == ("alice", 6, 2)
    assert list(group.members()) == [
        Member("alice", 1, Rank.OWNER),
        Member("bob", 3, Rank.ADMIN),
    ]
    assert group.admins() == [Member("bob", 3, Rank.ADMIN)]
    assert (group.rank("bob"), group.rank("dave")) == (Rank.ADMIN, None)
    assert (group.stint("bob"), group.stint("dave")) == (3, None)
    assert group.bans(NOW) == [Sanction("dave", "alice", None)]
    assert group.ban("dave", NOW) == Sanction("dave", "alice", None)
    assert group.mutes(NOW) == [Sanction("carol", "alice", NOW + 5)]
    assert (group.mutes(NOW + 5), group.mute("carol", NOW + 5)) == ([], None)
    assert group.departures() == [PastMember("carol", NOW, "alice")]
    assert (group.entries, group.next_seq) == (1, 1)
    assert engine.history("bob", "music", NOW) == [Entry(0, NOW, "bob", "hello", None, None)]
    assert engine.stats() == Stats(2, 3, 1, 5, 0, 0, 0)
    assert repr(group) == "<disband.Group of 'alice', 2 members>"
    assert repr(engine) == "<disband.Engine of str: 2 groups, 3 memberships>"


def test_pages_of_history() -> None:
    engine = Engine(int, Config(quotas=Quotas.all(None)))
    engine.create(1, 7, NOW)
    for at in range(120):
        engine.post(1, 7, str(at), NOW)
    assert [one.seq for one in engine.history(1, 7, NOW)] == list(range(119, 69, -1))
    assert [one.seq for one in engine.history(1, 7, NOW, before=3)] == [2, 1, 0]
    assert [one.seq for one in engine.history(1, 7, NOW, limit=2)] == [119, 118]
    assert len(engine.history(1, 7, NOW, limit=2**64 - 1)) == 120


def test_a_view_does_not_change() -> None:
    engine = Engine(int)
    engine.create(1, 7, NOW)
    group = engine.group(7)
    assert group is not None
    members = group.members()
    engine.join(2, 7, NOW)
    assert (len(group), 2 in group, [one.user for one in members]) == (1, False, [1])
    assert group == group and group != engine.group(7)
    engine.dissolve(1, 7, NOW)
    assert group.owner == 1


def test_sweep() -> None:
    engine = Engine(int)
    engine.create(1, 7, NOW)
    engine.join(2, 7, NOW)
    engine.dissolve(1, 7, NOW)
    assert engine.stats().unswept == 2
    engine.sweep(100)
    assert engine.stats().unswept == 0
    engine.check()

"""Engines as a whole: audiences, snapshots, batches, closing."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from typing import Any, Literal, get_origin

import pytest

from disband import (
    Config,
    Engine,
    EngineClosed,
    GroupOptions,
    Quotas,
    Rank,
    Refused,
    commands,
    departures,
    refusals,
)

NOW = 1_000
FREE = Config(quotas=Quotas.all(None))


def group_of(members: int) -> Engine[int]:
    """An engine with group 7, whose members are 0, which owns it, and the numbers after it."""
    engine = Engine(int, FREE)
    engine.create(0, 7, NOW)
    engine.apply_all([commands.Join(user, 7) for user in range(1, members)], NOW)
    return engine


def named() -> Engine[str]:
    engine = Engine(str, FREE)
    engine.create("alice", "music", NOW)
    engine.join("bob", "music", NOW)
    engine.set_rank("alice", "music", "bob", Rank.ADMIN, NOW)
    engine.post("bob", "music", "grüße", NOW)
    engine.ban("alice", "music", "carol", NOW)
    engine.create("bob", "art", NOW)
    engine.dissolve("bob", "art", NOW, note="bye", successor="music")
    return engine


@pytest.mark.parametrize("members", [2, 15, 16, 17, 18, 1_000, 5_000])
def test_an_audience_is_walked_in_pages(members: int) -> None:
    engine = group_of(members)
    audience = engine.post(1, 7, "hello", NOW).signals[0].audience
    users = [user for user in range(members) if user != 1]
    assert (list(audience), len(audience)) == (users, members - 1)
    assert list(audience) == users, "it can be walked twice"
    assert 0 in audience and 1 not in audience and members not in audience


def test_an_audience_is_a_snapshot() -> None:
    engine = group_of(3_000)
    outcome = engine.post(0, 7, "hello", NOW)
    audience = outcome.signals[0].audience
    walk, deliveries = iter(audience), outcome.deliveries()
    assert next(walk) == 1
    assert next(deliveries) == (1, outcome.signals[0])
    for user in range(2, 3_000):
        engine.kick(0, 7, user, NOW)
    assert list(walk) == list(range(2, 3_000))
    assert [user for user, _ in deliveries] == list(range(2, 3_000))
    engine.dissolve(0, 7, NOW)
    assert list(audience) == list(range(1, 3_000))
    assert audience == outcome.signals[0].audience
    assert audience != engine.create(0, 8, NOW) and list(walk) == []


def test_the_engine_is_used_inside_its_own_iterators() -> None:
    engine = group_of(100)
    for id in range(100, 150):
        engine.create(0, id, NOW)
    for id in engine.groups():
        engine.dissolve(0, id, NOW)
    assert len(engine) == 0
    engine.create(0, 200, NOW)
    engine.apply_all([commands.Join(user, 200) for user in range(1, 100)], NOW)
    group = engine.group(200)
    assert group is not None
    for member in group.members():
        if member.user != 0:
            engine.leave(member.user, 200, NOW)
    with pytest.raises(StopIteration):
        next(iter(engine.groups_of(1)))


def test_an_iterator_of_commands_may_use_the_engine() -> None:
    engine = group_of(2)

    def lazily() -> Any:
        for user in range(10, 20):
            engine.post(0, 7, "hello", NOW)
            yield commands.Join(user, 7)

    engine.apply_all(lazily(), NOW)
    assert (engine.stats().memberships, engine.stats().entries) == (12, 10)


@pytest.mark.parametrize("format", ["json", "postcard"])
def test_snapshots(format: Literal["json", "postcard"]) -> None:
    for engine, ids in ((group_of(2_000), int), (named(), str)):
        data = engine.save(format)
        loaded: Engine[Any] = Engine.load(ids, data, format)
        assert loaded == engine and loaded.save(format) == data and loaded.ids is ids
        assert Engine.load(ids, bytearray(data), format) == engine
    with pytest.raises(TypeError):
        Engine.load(int, "text", format)  # type: ignore[arg-type]


def test_snapshots_of_another_type() -> None:
    formats: list[Literal["json", "postcard"]] = ["json", "postcard"]
    for format in formats:
        with pytest.raises(ValueError):
            Engine.load(int, named().save(format), format)
    with pytest.raises(ValueError):
        Engine.load(str, group_of(200).save())
    with pytest.raises(ValueError):
        Engine.load(int, named().save("json"), "postcard")


@pytest.mark.parametrize("format", ["json", "postcard"])
def test_no_damaged_snapshot_is_an_invalid_engine(format: Literal["json", "postcard"]) -> None:
    data = named().save(format)
    for end in range(len(data)):
        with pytest.raises(ValueError):
            Engine.load(str, data[:end], format)
    with pytest.raises(ValueError):
        Engine.load(str, data + b"0", format)
    read = 0
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            try:
                engine = Engine.load(str, damaged, format)
            except ValueError:
                continue
            engine.check()
            engine.leave_all("alice", NOW)
            read += 1
    assert read, "a changed letter of a message is still a snapshot"


def test_copies_are_independent() -> None:
    engine = named()
    for snapshot in (
        engine.copy(),
        copy.copy(engine),
        copy.deepcopy(engine),
        pickle.loads(pickle.dumps(engine)),
    ):
        assert snapshot == engine
        snapshot.join("dave", "music", NOW)
        assert snapshot != engine and "dave" not in (engine.group("music") or [])
    assert engine == named() and engine != Engine(str) and Engine(int) != Engine(str)
    assert engine != 5
    with pytest.raises(TypeError, match="unhashable"):
        hash(engine)


def test_every_signal_and_entry_of_a_pickled_engine() -> None:
    engine: Engine[str] = pickle.loads(pickle.dumps(named()))
    engine.check()
    assert engine.ids is str
    assert [one.message for one in engine.history("bob", "music", NOW)] == ["grüße"]
    with pytest.raises(refusals.IdReserved):
        engine.create("bob", "art", NOW)


def test_a_batch() -> None:
    engine = group_of(3)
    with engine.batch(NOW) as batch:
        batch.transfer(0, 7, 1)
        batch.leave(0, 7)
        assert engine.owned_by(0) == [7], "nothing is done before the end of the block"
    assert batch.outcome.value == (None, departures.Left(1))
    assert len(batch.outcome.signals) == 2
    assert engine.owned_by(1) == [7]
    with pytest.raises(ValueError, match="a batch has no reply"):
        batch.outcome.reply()


def test_a_batch_has_one_block() -> None:
    engine = Engine(int)
    engine.create(1, 7, NOW)
    batch = engine.batch(NOW)
    with pytest.raises(KeyError), batch:
        batch.post(1, 7, "from the failed block")
        raise KeyError
    with pytest.raises(RuntimeError, match="one block"), batch:
        pass
    assert engine.history(1, 7, NOW) == []


def test_an_engine_is_true() -> None:
    engine = Engine(int)
    assert engine and len(engine) == 0
    engine.close()
    assert engine


def test_ranks_are_ordered() -> None:
    assert sorted([Rank.OWNER, Rank.MEMBER, Rank.ADMIN]) == [Rank.MEMBER, Rank.ADMIN, Rank.OWNER]
    assert Rank.ADMIN > Rank.MEMBER and Rank.ADMIN >= Rank.ADMIN
    assert Rank.MEMBER < Rank.OWNER and Rank.MEMBER <= Rank.MEMBER
    with pytest.raises(TypeError):
        sorted([Rank.OWNER, 1])  # type: ignore[type-var]


def test_generic_dataclasses_are_made_with_their_type() -> None:
    assert commands.Join[str]("alice", "music") == commands.Join("alice", "music")
    with pytest.raises(FrozenInstanceError):
        commands.Join(1, 7).user = 2  # type: ignore[misc]


def test_a_refused_batch_does_nothing() -> None:
    engine, before = group_of(3), group_of(3)
    with pytest.raises(refusals.NotMember) as caught:
        with engine.batch(NOW) as batch:
            batch.post(0, 7, "hello")
            batch.kick(0, 7, 1)
            batch.leave(1, 7)
            batch.leave(2, 7)
    assert caught.value.index == 2 and engine == before
    assert pickle.loads(pickle.dumps(caught.value)).index == 2
    with pytest.raises(RuntimeError, match="was not carried out"):
        batch.outcome


def test_an_exception_in_the_block_of_a_batch() -> None:
    engine, before = group_of(3), group_of(3)
    with pytest.raises(KeyError):
        with engine.batch(NOW) as batch:
            batch.leave(1, 7)
            raise KeyError
    assert engine == before
    with pytest.raises(RuntimeError, match="was not carried out"):
        batch.outcome


def test_a_batch_has_every_command() -> None:
    engine = Engine(int)
    batch = engine.batch(NOW)
    batch.create(1, 7, GroupOptions(post=Rank.ADMIN))
    batch.join(2, 7)
    batch.add(1, 7, 3)
    batch.post(1, 7, "hello")
    batch.edit(1, 7, 0, "hi")
    batch.erase(1, 7, 0)
    batch.set_rank(1, 7, 2, Rank.ADMIN)
    batch.mute(2, 7, 3, until=NOW + 1)
    batch.unmute(2, 7, 3)
    batch.kick(2, 7, 3)
    batch.ban(2, 7, 3, until=NOW + 1)
    batch.unban(2, 7, 3)
    batch.set_options(1, 7, GroupOptions())
    batch.transfer(1, 7, 2)
    batch.leave(1, 7, stint=1)
    batch.dissolve(2, 7, note="bye", successor=8)
    batch.leave_all(2)
    assert {type(one) for one in batch.commands} == set(commands.BY_OPERATION.values())
    with batch:
        batch.append(commands.Create(1, 8))
    assert len(batch.outcome.value) == 18 and list(engine.groups()) == [8]


def test_a_batch_of_a_million() -> None:
    engine = group_of(1)
    joins = [commands.Join(user, 7) for user in range(1, 1_000_001)]
    with pytest.raises(refusals.AlreadyMember) as caught:
        engine.apply_all([*joins, commands.Join(1, 7)], NOW)
    assert caught.value.index == 1_000_000 and engine.stats().memberships == 1
    outcome = engine.apply_all(joins, NOW)
    assert engine.stats().memberships == 1_000_001
    assert outcome.value[-1] == 1_000_001 and len(outcome.signals) == 1_000_000
    assert len(outcome.signals[-1].audience) == 1_000_000


def test_a_closed_engine() -> None:
    engine = named()
    outcome = engine.post("bob", "music", "hello", NOW)
    group, groups = engine.group("music"), engine.groups()
    batch = engine.batch(NOW)
    batch.leave("bob", "music")
    with engine as same:
        assert same is engine and not engine.closed
    assert engine.closed and repr(engine) == "<disband.Engine, closed>"
    engine.close()
    for use in (
        lambda: engine.join("bob", "music", NOW),
        lambda: engine.leave_all("bob", NOW),
        lambda: engine.apply(commands.LeaveAll("bob"), NOW),
        lambda: engine.preview(commands.LeaveAll("bob"), NOW),
        lambda: engine.apply_all([], NOW),
        lambda: engine.apply_all([commands.LeaveAll("bob")] * 2_000, NOW),
        lambda: batch.__exit__(None, None, None),
        lambda: engine.charge(commands.Join.operation, "bob", "music", NOW),
        lambda: engine.group("music"),
        lambda: engine.history("bob", "music", NOW),
        lambda: engine.groups(),
        lambda: engine.groups_of("bob"),
        lambda: engine.owned_by("bob"),
        lambda: "music" in engine,
        lambda: len(engine),
        lambda: engine.config,
        lambda: engine.set_config(Config()),
        lambda: engine.stats(),
        lambda: engine.sweep(1),
        lambda: engine.check(),
        lambda: engine.copy(),
        lambda: copy.deepcopy(engine),
        lambda: engine.save(),
        lambda: pickle.dumps(engine),
        lambda: engine == named(),
        lambda: named() == engine,
        lambda: engine.__enter__(),
    ):
        with pytest.raises(EngineClosed, match="the engine is closed"):
            use()
    assert list(outcome.signals[0].audience) == ["alice"]
    assert group is not None and group.owner == "alice" and list(groups) == ["music"]


def test_a_block_closes_the_engine_also_after_an_exception() -> None:
    with pytest.raises(Refused):
        with Engine(int) as engine:
            engine.leave(1, 7, NOW)
    assert engine.closed


def test_classes_are_generic_and_final() -> None:
    assert get_origin(Engine[int]) is Engine
    with pytest.raises(TypeError):
        type("Other", (Engine,), {})

"""Bad arguments: typed errors, and nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from disband import Config, Engine, GroupOptions, Limits, Quotas, Rank, Rate, commands

NOW = 1_000
LARGEST = 2**64 - 1


def numbers() -> Engine[int]:
    engine = Engine(int)
    engine.create(1, 7, NOW)
    engine.post(1, 7, "hello", NOW)
    return engine


def text() -> Engine[str]:
    engine = Engine(str)
    engine.create("alice", "music", NOW)
    return engine


BAD_NUMBERS: list[tuple[object, type[Exception]]] = [
    (-1, OverflowError),
    (LARGEST + 1, OverflowError),
    (True, TypeError),
    (1.0, TypeError),
    (float("nan"), TypeError),
    ("1", TypeError),
    (None, TypeError),
    (b"1", TypeError),
]

NUMBER_USES: dict[str, Callable[[Engine[int], Any], object]] = {
    "user": lambda e, bad: e.join(bad, 7, NOW),
    "group": lambda e, bad: e.join(1, bad, NOW),
    "target": lambda e, bad: e.kick(1, 7, bad, NOW),
    "now": lambda e, bad: e.join(2, 7, bad),
    "seq": lambda e, bad: e.erase(1, 7, bad, NOW),
    "command": lambda e, bad: e.apply(commands.Join(bad, 7), NOW),
    "command's seq": lambda e, bad: e.apply(commands.Erase(1, 7, bad), NOW),
    "now of apply": lambda e, bad: e.apply(commands.Join(2, 7), bad),
    "second command": lambda e, bad: e.apply_all([commands.Join(2, 7), commands.Join(bad, 7)], NOW),
    "now of a batch": lambda e, bad: e.apply_all([commands.Join(2, 7)], bad),
    "reader": lambda e, bad: e.history(bad, 7, NOW),
    "limit": lambda e, bad: e.history(1, 7, NOW, limit=bad),
    "group read": lambda e, bad: e.group(bad),
    "groups of": lambda e, bad: e.groups_of(bad),
    "owned by": lambda e, bad: e.owned_by(bad),
    "in the engine": lambda e, bad: bad in e,
    "in a group": lambda e, bad: bad in (e.group(7) or []),
    "rank": lambda e, bad: (e.group(7) or pytest.fail()).rank(bad),
    "budget": lambda e, bad: e.sweep(bad),
}


@pytest.mark.parametrize("use", NUMBER_USES)
@pytest.mark.parametrize("bad, error", BAD_NUMBERS, ids=repr)
def test_bad_numbers(use: str, bad: object, error: type[Exception]) -> None:
    engine, before = numbers(), numbers()
    with pytest.raises(error) as caught:
        NUMBER_USES[use](engine, bad)
    said = str(caught.value)
    assert "0 to 2**64 - 1" in said if error is OverflowError else "is an int" in said, said
    assert engine == before


@pytest.mark.parametrize("bad", [-1, 1.0, True, "1"], ids=repr)
def test_bad_optional_numbers(bad: Any) -> None:
    engine, before = numbers(), numbers()
    for use in (
        lambda: engine.leave(1, 7, NOW, stint=bad),
        lambda: engine.ban(1, 7, 2, NOW, until=bad),
        lambda: engine.mute(1, 7, 2, NOW, until=bad),
        lambda: engine.history(1, 7, NOW, before=bad),
        lambda: engine.dissolve(1, 7, NOW, successor=bad),
        lambda: engine.apply(commands.Dissolve(1, 7, None, bad), NOW),
        lambda: engine.apply(commands.Ban(1, 7, 2, bad), NOW),
    ):
        with pytest.raises((TypeError, OverflowError)):
            use()
        assert engine == before


def test_a_number_that_has_too_many_digits_to_be_printed() -> None:
    engine = numbers()
    with pytest.raises(OverflowError, match="0 to 2"):
        engine.join(10**5_000, 7, NOW)


def test_the_largest_numbers_are_ids_and_times() -> None:
    engine = Engine(int)
    engine.create(LARGEST, 0, LARGEST)
    assert list(engine.groups()) == [0] and engine.owned_by(LARGEST) == [0]


@pytest.mark.parametrize("bad", [1, True, None, b"a", 1.5, ["a"]], ids=repr)
def test_ids_of_another_type(bad: Any) -> None:
    engine, before = text(), text()
    for use in (
        lambda: engine.join(bad, "music", NOW),
        lambda: engine.join("bob", bad, NOW),
        lambda: engine.apply(commands.Join("bob", bad), NOW),
        lambda: bad in engine,
        lambda: engine.groups_of(bad),
    ):
        with pytest.raises(TypeError, match="an id of this engine is a str"):
            use()
        assert engine == before


def test_lone_surrogates() -> None:
    engine, before = text(), text()
    for use in (
        lambda: engine.join("\ud800", "music", NOW),
        lambda: engine.join("bob", "a\udfff", NOW),
        lambda: engine.post("alice", "music", "hi \ud83e", NOW),
        lambda: engine.dissolve("alice", "music", NOW, note="\ud800"),
        lambda: engine.apply(commands.Post("alice", "music", "\ud800"), NOW),
    ):
        with pytest.raises(ValueError, match="surrogates not allowed"):
            use()
        assert engine == before


def test_text_that_is_no_str() -> None:
    engine, before = numbers(), numbers()
    bad: Any
    for bad in (1, None, b"hello", ["hello"]):
        with pytest.raises(TypeError):
            engine.post(1, 7, bad, NOW)
        with pytest.raises(TypeError):
            engine.edit(1, 7, 0, bad, NOW)
    assert engine == before


def test_any_text_is_kept_as_it_is() -> None:
    engine = Engine(str)
    for user in ("", "\0", "é", "🦀", " a ", "a" * 10_000):
        engine.create(user, user, NOW)
        engine.post(user, user, user, NOW)
        assert [entry.message for entry in engine.history(user, user, NOW)] == [user]
    assert list(engine.groups()) == sorted(["", "\0", "é", "🦀", " a ", "a" * 10_000])


def test_values_of_another_class() -> None:
    engine, before = numbers(), numbers()
    bad: Any
    for bad in (None, 1, {}, Config(), "open"):
        with pytest.raises(TypeError):
            engine.set_options(1, 7, bad, NOW)
    for bad in (None, 1, {}, GroupOptions()):
        with pytest.raises(TypeError):
            engine.set_config(bad)
    for bad in (None, 1, "join", object(), commands.Join):
        with pytest.raises(TypeError, match="disband.commands.Command"):
            engine.apply(bad, NOW)
        with pytest.raises(TypeError, match="disband.commands.Command"):
            engine.apply_all([commands.Join(2, 7), bad], NOW)
    for bad in (5, None):
        with pytest.raises(TypeError):
            engine.apply_all(bad, NOW)
    with pytest.raises(TypeError):
        Engine(int, GroupOptions())  # type: ignore[arg-type]
    assert engine == before


def test_names() -> None:
    engine, before = numbers(), numbers()
    bad: Any
    for bad in ("king", "Owner", ""):
        with pytest.raises(ValueError, match="is not the name of a rank"):
            engine.set_rank(1, 7, 2, bad, NOW)
        with pytest.raises(ValueError, match="is not the name of an operation"):
            engine.charge(bad, 1, 7, NOW)
        with pytest.raises(ValueError, match="is not a format of snapshots"):
            engine.save(bad)
        with pytest.raises(ValueError, match="is not a format of snapshots"):
            Engine.load(int, b"", bad)
    with pytest.raises(TypeError):
        engine.set_rank(1, 7, 2, 1, NOW)  # type: ignore[arg-type]
    assert engine == before


@pytest.mark.parametrize("ids", [bool, float, "int", 1, None, object], ids=repr)
def test_types_of_ids(ids: Any) -> None:
    with pytest.raises(TypeError, match="the type int or the type str"):
        Engine(ids)
    with pytest.raises(TypeError, match="the type int or the type str"):
        Engine.load(ids, b"")


def test_fields_of_values() -> None:
    bad: Any
    for bad in (-1, 1.5, True, "1", 2**64):
        for use in (
            lambda: Config(instance=bad),
            lambda: Config(tombstone_ms=bad),
            lambda: Config(departures=bad),
            lambda: Limits(note_bytes=bad),
            lambda: GroupOptions(keep_entries=bad),
            lambda: GroupOptions(keep_ms=bad),
            lambda: Rate(bad, 1, 1),
            lambda: Rate(1, bad, 1),
            lambda: Rate(1, 1, bad),
        ):
            with pytest.raises((TypeError, OverflowError)):
                use()
    for use in (
        lambda: Rate(0, 1, 1),
        lambda: Rate(1, 0, 1),
        lambda: Rate(2**32, 1, 1),
        lambda: Config(departures=256),
    ):
        with pytest.raises(OverflowError, match="is from"):
            use()
    bad = 5
    of_another_class: list[Callable[[], object]] = [
        lambda: Config(quotas=bad),
        lambda: Config(limits=bad),
        lambda: Quotas(join=bad),
        lambda: GroupOptions(add=bad),
        lambda: GroupOptions(admission=bad),
    ]
    for of in of_another_class:
        with pytest.raises(TypeError, match="not int"):
            of()
    assert Rank("admin") == "admin" and str(Rank.ADMIN) == "admin"

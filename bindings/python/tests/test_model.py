"""Random commands, compared with the naive model after each. `DISBAND_EXAMPLES` sets how many runs."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import fields, replace
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from model import Ended, Model, Refusal, Signal

from disband import (
    Admission,
    Announce,
    Config,
    Dissolved,
    Engine,
    GroupOptions,
    HistoryAccess,
    Limits,
    OwnerExit,
    Quotas,
    Rank,
    Rate,
    Refused,
    commands,
)

NAMES = ["", "alice", "bob", "carol é", "dave 🦀", "eve"]

TEXTS = ["", "a", "hello", "grüße", "🦀" * 3]
seeds = st.integers(0, 2**32 - 1)
counts = st.integers(0, 60)


def some_options(random: Random) -> GroupOptions:
    return GroupOptions(
        owner_exit=random.choice(list(OwnerExit)),
        history=random.choice(list(HistoryAccess)),
        keep_entries=random.choice([None, None, None, 0, 1, 3]),
        keep_ms=random.choice([None, None, None, 0, 10, 40]),
        admission=random.choice([Admission.OPEN, Admission.OPEN, Admission.CLOSED]),
        add=random.choice(list(Rank)),
        post=random.choice([Rank.MEMBER, Rank.MEMBER, *Rank]),
        announce=random.choice(list(Announce)),
    )


rates = st.none() | st.builds(Rate, st.integers(1, 3), st.integers(1, 30), st.integers(1, 4))
quotas = st.builds(Quotas.all, rates) | st.builds(Quotas, join=rates, post=rates, create=rates)
some = st.none() | st.none() | st.integers(0, 6)
limits = st.builds(
    Limits,
    some,
    some,
    st.integers(4, 20),
    some,
    some,
    some,
    some,
    st.none() | st.integers(0, 40),
    some,
)
configs = st.builds(
    Config,
    instance=st.just(0),
    quotas=st.just(Quotas.all(None)) | st.just(Quotas.all(None)) | quotas,
    tombstone_ms=st.just(60),
    departures=st.integers(0, 3),
    limits=st.just(Limits()) | st.just(Limits()) | limits,
)


ENDING = (commands.Leave, commands.LeaveAll, commands.Dissolve)
CLASSES = [
    class_
    for class_ in commands.BY_OPERATION.values()
    for _ in range(1 if class_ in ENDING else 8 if class_ is commands.Post else 4)
]


def plain(value: Any) -> Any:
    """A value of an outcome, with the size of each dissolved group in its place."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if isinstance(value, Dissolved):
        return Ended(value.summary.members, value.summary.entries)
    return value


class Machine(RuleBasedStateMachine):
    ids: Callable[[int], Any]
    type: Any

    @initialize(config=configs, seed=seeds)
    def begin(self, config: Config, seed: int) -> None:
        self.engine: Engine[Any] = Engine(self.type, config)
        self.model = Model(config)
        self.now = 100
        one, two, three, four = map(self.ids, range(4))
        setup = [
            commands.Create(one, one, None),
            commands.Create(two, two, some_options(Random(seed))),
            *(commands.Join(user, group) for user in (two, three, four) for group in (one, two)),
            *(commands.SetRank(one, one, user, Rank.ADMIN) for user in (two, three)),
            *(commands.Post(user, one, "hello") for user in (one, two, three, four)),
        ]
        for command in setup:
            self.batch([command])

    def compare(
        self, ours: Callable[[], Any], model: Callable[[], tuple[Any, list[Signal]]]
    ) -> None:
        try:
            value, signals = model()
        except Refusal as expected:
            try:
                outcome = ours()
            except Refused as refused:
                data = {
                    name: one
                    for name, one in vars(refused).items()
                    if name not in ("_data", "index")
                }
                assert (type(refused).__name__, data) == (expected.name, expected.data)
                assert refused.index == expected.index
                copy = pickle.loads(pickle.dumps(refused))
                assert (type(copy), str(copy), copy.index) == (
                    type(refused),
                    str(refused),
                    refused.index,
                )
                assert copy.reply(self.now) == refused.reply(self.now)
            else:
                raise AssertionError(f"{outcome} instead of {expected}")
            return
        outcome = ours()
        assert plain(outcome.value) == value
        self.compare_signals(outcome, signals)

    def compare_signals(self, outcome: Any, signals: list[Signal]) -> None:
        assert len(outcome.signals) == len(signals)
        for one, expected in zip(outcome.signals, signals):
            assert int(one.key, 16) == expected.key
            assert (one.group, one.from_, one.actor) == (
                expected.group,
                expected.from_,
                expected.actor,
            )
            assert (one.version, one.event) == (expected.version, expected.event)
            assert list(one.audience) == expected.audience
            assert len(one.audience) == len(expected.audience)
            for user in map(self.ids, range(6)):
                assert (user in one.audience) == (user in expected.audience)
        pairs = [(user, signal.key) for user, signal in outcome.deliveries()]
        assert pairs == [(user, f"{one.key:032x}") for one in signals for user in one.audience]

    @rule(seed=seeds, count=counts)
    def run(self, seed: int, count: int) -> None:
        random = Random(seed)
        for _ in range(count):
            command = self.choose(random)
            self.now += random.choice([0, 0, 1, 5, 30])
            self.compare(
                lambda: self.engine.apply(command, self.now),
                lambda: self.model.apply(command, self.now),
            )
            self.is_the_same()

    @rule(seed=seeds, count=counts, size=st.integers(0, 3))
    def run_batch(self, seed: int, count: int, size: int) -> None:
        self.run(seed, count)
        random = Random(seed)
        self.batch([self.choose(random) for _ in range(size)])

    def batch(self, batch: list[Any]) -> None:
        self.compare(
            lambda: self.engine.apply_all(batch, self.now),
            lambda: self.model.apply_all(batch, self.now),
        )

    def choose(self, random: Random) -> Any:
        """A command that is not always refused: mostly of members, on groups and entries that exist."""
        class_: Any = random.choice(CLASSES)
        groups, users = list(map(self.ids, range(3))), list(map(self.ids, range(6)))
        id = random.choice(groups + 3 * sorted(self.model.groups))
        group = self.model.groups.get(id)
        actors, seqs, stints = users, [0, 2**64 - 1], [1]
        if group is not None:
            members, staff = sorted(group.members), sorted(group.staff())
            actors = users + 2 * members + 3 * staff + 6 * [group.owner]
            users = users + 2 * members + list(group.bans.of) + list(group.mutes.of)
            seqs += 3 * [one.seq for one in group.log]
            stints += group.members.values()
        choices: dict[str, Callable[[], Any]] = {
            "group": lambda: id,
            "successor": lambda: random.choice([None, *groups]),
            "user": lambda: random.choice(users),
            "seq": lambda: random.choice(seqs),
            "stint": lambda: random.choice([None, *stints]),
            "until": lambda: random.choice(
                [None, *(self.now + ms for ms in (0, 1, 20, 90, 10**6))]
            ),
            "message": lambda: random.choice(TEXTS),
            "note": lambda: random.choice([None, *TEXTS]),
            "rank": lambda: random.choice(list(Rank)),
            "options": lambda: some_options(random),
        }
        [actor, *rest] = [one.name for one in fields(class_)]
        acting = random.choice(users if class_ is commands.Join else actors)
        return class_(**{actor: acting}, **{name: choices[name]() for name in rest})

    @rule(seed=seeds, count=counts, config=configs)
    def set_config(self, seed: int, count: int, config: Config) -> None:
        self.run(seed, count)
        config = replace(config, tombstone_ms=self.model.config.tombstone_ms)
        self.engine.set_config(config)
        self.model.set_config(config)
        assert self.engine.config == config

    @rule(seed=seeds, count=counts, format=st.sampled_from(["json", "postcard"]))
    def restore(self, seed: int, count: int, format: Any) -> None:
        self.run(seed, count)
        engine = Engine.load(self.type, self.engine.save(format), format)
        assert engine == self.engine
        self.engine = engine

    @rule(seed=seeds, count=counts, before=st.none() | st.integers(0, 8), limit=st.integers(0, 4))
    def read(self, seed: int, count: int, before: int | None, limit: int) -> None:
        self.run(seed, count)
        for group in map(self.ids, range(3)):
            for reader in map(self.ids, range(6)):
                try:
                    expected = self.model.history(reader, group, self.now, before, limit)
                except Refusal as refusal:
                    try:
                        self.engine.history(reader, group, self.now, before, limit)
                        raise AssertionError(f"not refused as {refusal}")
                    except Refused as refused:
                        assert type(refused).__name__ == refusal.name
                else:
                    assert self.engine.history(reader, group, self.now, before, limit) == expected

    @invariant()
    def is_the_same(self) -> None:
        if not hasattr(self, "engine"):
            return
        self.engine.check()
        model, stats, now = self.model, self.engine.stats(), self.now
        entries = sum(len(group.log) for group in model.groups.values())
        assert (stats.groups, stats.memberships) == (len(model.groups), model.memberships())
        assert (stats.entries, stats.message_bytes) == (entries, model.message_bytes())
        assert list(self.engine.groups()) == sorted(model.groups)
        for user in map(self.ids, range(6)):
            assert self.engine.groups_of(user) == model.groups_of(user)
            assert self.engine.owned_by(user) == model.owned_by(user)
        for id in map(self.ids, range(3)):
            group, expected = self.engine.group(id), model.groups.get(id)
            assert (group is None, id in self.engine) == (expected is None, expected is not None)
            if group is None or expected is None:
                continue
            assert (group.owner, group.version, group.options) == (
                expected.owner,
                expected.version,
                expected.options,
            )
            assert (group.entries, group.next_seq) == (len(expected.log), expected.next_seq)
            members = model.members(id)
            assert (list(group.members()), len(group)) == (members, len(members))
            assert [one.user for one in group.admins()] == expected.by_stint()
            assert group.bans(now) == expected.bans.all(now)
            assert group.mutes(now) == expected.mutes.all(now)
            assert group.departures() == expected.past
            for user in map(self.ids, range(6)):
                assert (user in group) == (user in expected.members)
                assert group.rank(user) == expected.rank(user)
                assert group.stint(user) == expected.members.get(user)
                assert group.ban(user, now) == expected.bans.holding(user, now)
                assert group.mute(user, now) == expected.mutes.holding(user, now)


def machine(type: Any, ids: Callable[[int], Any]) -> Any:
    """A machine whose ids are of that type."""

    class Typed(Machine):
        pass

    Typed.ids, Typed.type = staticmethod(ids), type
    return Typed


TestNumbers = machine(int, lambda n: [0, 1, 2**64 - 1, 2**63, 7, 8][n]).TestCase
TestText = machine(str, NAMES.__getitem__).TestCase
EXAMPLES = os.environ.get("DISBAND_EXAMPLES")
TestNumbers.settings = TestText.settings = settings(
    max_examples=int(EXAMPLES or "50"),
    stateful_step_count=25,
    # By default the histories are the same in every run, and are not shortened, which takes minutes.
    derandomize=EXAMPLES is None,
    phases=[Phase.generate] if EXAMPLES is None else list(Phase),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

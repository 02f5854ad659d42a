"""Every command as it succeeds, and every refusal, with its data."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest

from disband import (
    Admission,
    Config,
    Engine,
    GroupOptions,
    Limit,
    Limits,
    Operation,
    OwnerExit,
    Quotas,
    Rank,
    Refused,
    absences,
    commands,
    departures,
    events,
    refusals,
)

ALICE, BOB, CAROL, DAVE = 1, 2, 3, 4
GROUP, NOW = 7, 1_000


@pytest.fixture
def engine() -> Engine[int]:
    """A group of alice, who owns it, of bob, who is an admin, and of carol."""
    engine = Engine(int, Config(quotas=Quotas.all(None)))
    engine.create(ALICE, GROUP, NOW)
    engine.join(BOB, GROUP, NOW)
    engine.join(CAROL, GROUP, NOW)
    engine.set_rank(ALICE, GROUP, BOB, Rank.ADMIN, NOW)
    return engine


def test_create() -> None:
    engine = Engine(int)
    options = GroupOptions(post=Rank.ADMIN, keep_entries=5)
    created = engine.create(ALICE, GROUP, NOW, options)
    assert (created.value, created.signals) == (1, ())
    group = engine.group(GROUP)
    assert group is not None
    assert (group.owner, group.options, len(group)) == (ALICE, options, 1)


def test_join_and_add(engine: Engine[int]) -> None:
    joined = engine.join(DAVE, GROUP, NOW)
    assert joined.value == 4
    [signal] = joined.signals
    assert signal.event == events.MemberJoin(None)
    assert list(signal.audience) == [ALICE, BOB, CAROL]
    added = engine.add(BOB, GROUP, 5, NOW)
    assert added.signals[0].event == events.MemberJoin(BOB)
    assert (added.signals[0].from_, added.signals[0].actor) == (5, BOB)
    assert list(added.signals[0].audience) == [ALICE, CAROL, DAVE, 5]


def test_leave(engine: Engine[int]) -> None:
    left = engine.leave(CAROL, GROUP, NOW, stint=3)
    assert left.value == departures.Left(3)
    assert left.signals[0].event == events.MemberLeave()
    dissolved = engine.leave(ALICE, GROUP, NOW).value
    assert isinstance(dissolved, departures.Dissolved)
    assert (dissolved.summary.members, dissolved.stint) == (2, 1)


def test_an_admin_succeeds(engine: Engine[int]) -> None:
    engine.set_options(ALICE, GROUP, GroupOptions(owner_exit=OwnerExit.SUCCEED), NOW)
    left = engine.leave(ALICE, GROUP, NOW)
    assert left.value == departures.Succeeded(1, BOB)
    assert [one.event for one in left.signals] == [events.MemberLeave(), events.OwnerChange(ALICE)]


def test_leave_all(engine: Engine[int]) -> None:
    engine.create(CAROL, 8, NOW)
    (first, left), (second, dissolved) = engine.leave_all(CAROL, NOW).value
    assert (first, left, second) == (GROUP, departures.Left(3), 8)
    assert isinstance(dissolved, departures.Dissolved) and dissolved.summary.members == 1


def test_post_edit_and_erase(engine: Engine[int]) -> None:
    posted = engine.post(CAROL, GROUP, "hello", NOW)
    assert (posted.value, posted.signals[0].event) == (0, events.MessagePost(0, NOW, "hello"))
    edited = engine.edit(CAROL, GROUP, 0, "hi", NOW + 1)
    assert (edited.value, edited.signals[0].event) == (None, events.MessageEdit(0, NOW + 1, "hi"))
    [entry] = engine.history(CAROL, GROUP, NOW)
    assert (entry.message, entry.edited, entry.erased_by) == ("hi", NOW + 1, None)
    erased = engine.erase(BOB, GROUP, 0, NOW)
    assert (erased.value, erased.signals[0].event) == (None, events.MessageErase(0))
    assert engine.history(CAROL, GROUP, NOW)[0].erased_by == BOB


def test_kick_ban_and_unban(engine: Engine[int]) -> None:
    kicked = engine.kick(BOB, GROUP, CAROL, NOW)
    assert (kicked.value, kicked.signals[0].event) == (3, events.MemberKick(BOB))
    assert list(kicked.signals[0].audience) == [ALICE, BOB, CAROL]
    assert engine.ban(BOB, GROUP, CAROL, NOW, until=NOW + 5).value is None
    engine.ban(BOB, GROUP, CAROL, NOW)
    assert engine.unban(ALICE, GROUP, CAROL, NOW).value is None
    stint = engine.join(CAROL, GROUP, NOW).value
    assert engine.ban(BOB, GROUP, CAROL, NOW).value == stint


def test_mute_and_unmute(engine: Engine[int]) -> None:
    muted = engine.mute(BOB, GROUP, CAROL, NOW, until=NOW + 5)
    assert (muted.value, muted.signals[0].event) == (None, events.Mute(BOB, NOW + 5))
    unmuted = engine.unmute(BOB, GROUP, CAROL, NOW)
    assert (unmuted.value, unmuted.signals[0].event) == (None, events.Unmute(BOB))
    assert engine.mute(BOB, GROUP, DAVE, NOW).signals == ()


def test_ranks_options_and_transfer(engine: Engine[int]) -> None:
    ranked = engine.set_rank(ALICE, GROUP, CAROL, Rank.ADMIN, NOW)
    assert (ranked.value, ranked.signals[0].event) == (None, events.RankChange(Rank.ADMIN))
    assert engine.set_options(ALICE, GROUP, GroupOptions(), NOW).value is None
    transferred = engine.transfer(ALICE, GROUP, CAROL, NOW)
    assert (transferred.value, transferred.signals[0].event) == (None, events.OwnerChange(ALICE))


def test_dissolve(engine: Engine[int]) -> None:
    engine.post(ALICE, GROUP, "hello", NOW)
    dissolved = engine.dissolve(ALICE, GROUP, NOW, note="we have moved", successor=8)
    kick, purge = dissolved.signals
    assert kick.event == events.MemberKick(ALICE)
    assert purge.event == events.HistoryPurge(1, "we have moved", 8)
    assert list(kick.audience) == [BOB, CAROL] and kick.audience == purge.audience
    group = dissolved.value
    assert (group.summary.members, group.summary.entries, group.group.owner) == (3, 1, ALICE)
    assert [entry.message for entry in group.history()] == ["hello"]
    assert group.history(before=0) == [] and group.history(limit=0) == []
    assert GROUP not in engine


def test_a_command_as_data_does_what_the_method_does(engine: Engine[int]) -> None:
    other = engine.copy()
    for command in every_command():
        arguments = vars_of(command)
        one = engine.copy()
        two = engine.copy()
        method = getattr(one, command.operation)
        try:
            by_method = method(**arguments, now=NOW)
        except Refused as refused:
            with pytest.raises(type(refused)):
                two.apply(command, NOW)
        else:
            by_data = two.apply(command, NOW)
            assert by_data.signals == by_method.signals and by_data.value == by_method.value
            assert one != other
        assert one == two


def vars_of(command: Any) -> dict[str, Any]:
    return {one.name: getattr(command, one.name) for one in fields(command)}


def every_command() -> list[commands.Command[Any, int]]:
    """One of each class."""
    c = commands
    every: list[commands.Command[Any, int]] = [
        c.Create(DAVE, 8, GroupOptions(admission=Admission.CLOSED)),
        c.Join(DAVE, GROUP),
        c.Leave(CAROL, GROUP, 3),
        c.LeaveAll(ALICE),
        c.Post(ALICE, GROUP, "hello"),
        c.Edit(ALICE, GROUP, 0, "hi"),
        c.Erase(ALICE, GROUP, 0),
        c.Add(BOB, GROUP, DAVE),
        c.Kick(BOB, GROUP, CAROL),
        c.Ban(BOB, GROUP, CAROL, NOW + 1),
        c.Unban(BOB, GROUP, CAROL),
        c.Mute(BOB, GROUP, CAROL, NOW + 1),
        c.Unmute(BOB, GROUP, CAROL),
        c.SetRank(ALICE, GROUP, CAROL, Rank.ADMIN),
        c.SetOptions(ALICE, GROUP, GroupOptions(keep_ms=5)),
        c.Transfer(ALICE, GROUP, BOB),
        c.Dissolve(ALICE, GROUP, "bye", 8),
    ]
    assert {type(one) for one in every} == set(c.BY_OPERATION.values())
    assert {one.operation for one in every} == set(Operation)
    return every


Case = tuple[Callable[[Engine[int]], Any], type[Refused], int, dict[str, Any]]


def muted(e: Engine[int]) -> Any:
    e.mute(ALICE, GROUP, CAROL, NOW)
    e.post(CAROL, GROUP, "hi", NOW)


def banned(e: Engine[int]) -> Any:
    e.ban(ALICE, GROUP, DAVE, NOW, until=NOW + 9)
    e.join(DAVE, GROUP, NOW)


def target_banned(e: Engine[int]) -> Any:
    e.ban(ALICE, GROUP, DAVE, NOW)
    e.add(BOB, GROUP, DAVE, NOW)


def dissolved(e: Engine[int]) -> Any:
    e.dissolve(ALICE, GROUP, NOW, "bye", 8)
    e.join(DAVE, GROUP, NOW)


def reserved(e: Engine[int]) -> Any:
    e.dissolve(ALICE, GROUP, NOW)
    e.create(DAVE, GROUP, NOW)


def kicked(e: Engine[int]) -> Any:
    e.kick(BOB, GROUP, CAROL, NOW)
    e.post(CAROL, GROUP, "hi", NOW)


def left(e: Engine[int]) -> Any:
    e.leave(CAROL, GROUP, NOW)
    e.kick(BOB, GROUP, CAROL, NOW)


def owner_must_stay(e: Engine[int]) -> Any:
    e.set_options(ALICE, GROUP, GroupOptions(owner_exit=OwnerExit.REFUSE), NOW)
    e.leave(ALICE, GROUP, NOW)


def closed(e: Engine[int]) -> Any:
    e.set_options(ALICE, GROUP, GroupOptions(admission=Admission.CLOSED), NOW)
    e.join(DAVE, GROUP, NOW)


def not_author(e: Engine[int]) -> Any:
    e.edit(BOB, GROUP, e.post(CAROL, GROUP, "hi", NOW).value, "ha", NOW)


def already_erased(e: Engine[int]) -> Any:
    seq = e.post(CAROL, GROUP, "hi", NOW).value
    e.erase(CAROL, GROUP, seq, NOW)
    e.erase(CAROL, GROUP, seq, NOW)


def over_limit(e: Engine[int]) -> Any:
    e.set_config(Config(quotas=Quotas.all(None), limits=Limits(message_bytes=3)))
    e.post(CAROL, GROUP, "éé", NOW)


MONTH = 31 * 24 * 60 * 60 * 1000
CASES: list[Case] = [
    (lambda e: e.join(ALICE, 9, NOW), refusals.NoSuchGroup, 404, {}),
    (dissolved, refusals.Dissolved, 404, {"by": ALICE, "at": NOW, "note": "bye", "successor": 8}),
    (
        lambda e: e.leave(DAVE, GROUP, NOW),
        refusals.NotMember,
        400,
        {"absence": absences.NoRecord()},
    ),
    (kicked, refusals.NotMember, 400, {"absence": absences.Kicked(BOB, NOW)}),
    (
        lambda e: e.leave(BOB, GROUP, NOW, stint=9),
        refusals.NotMember,
        400,
        {"absence": absences.StintOver()},
    ),
    (lambda e: e.dissolve(BOB, GROUP, NOW), refusals.NotOwner, 403, {}),
    (lambda e: e.kick(BOB, GROUP, ALICE, NOW), refusals.Outranked, 403, {}),
    (left, refusals.TargetNotMember, 400, {"absence": absences.Left(NOW)}),
    (lambda e: e.create(BOB, GROUP, NOW), refusals.GroupExists, 409, {}),
    (reserved, refusals.IdReserved, 409, {"until": NOW + MONTH}),
    (lambda e: e.join(BOB, GROUP, NOW), refusals.AlreadyMember, 409, {}),
    (lambda e: e.kick(CAROL, GROUP, BOB, NOW), refusals.NotAdmin, 403, {}),
    (banned, refusals.Banned, 403, {"by": ALICE, "until": NOW + 9}),
    (owner_must_stay, refusals.OwnerMustStay, 409, {}),
    (lambda e: e.transfer(ALICE, GROUP, ALICE, NOW), refusals.AlreadyOwner, 409, {}),
    (lambda e: e.set_rank(ALICE, GROUP, BOB, Rank.ADMIN, NOW), refusals.AlreadyRanked, 409, {}),
    (lambda e: e.unban(BOB, GROUP, DAVE, NOW), refusals.NotBanned, 409, {}),
    (lambda e: e.ban(BOB, GROUP, DAVE, NOW, until=NOW), refusals.AlreadyExpired, 409, {}),
    (over_limit, refusals.OverLimit, 413, {"limit": Limit.MESSAGE_BYTES, "max": 3}),
    (closed, refusals.Closed, 403, {}),
    (target_banned, refusals.TargetBanned, 409, {"by": ALICE, "until": None}),
    (muted, refusals.Muted, 403, {"by": ALICE, "until": None}),
    (lambda e: e.unmute(BOB, GROUP, CAROL, NOW), refusals.NotMuted, 409, {}),
    (lambda e: e.edit(BOB, GROUP, 5, "ha", NOW), refusals.NoSuchEntry, 404, {}),
    (not_author, refusals.NotAuthor, 403, {}),
    (already_erased, refusals.AlreadyErased, 409, {}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1].__name__)
def test_refusals(engine: Engine[int], case: Case) -> None:
    run, class_, code, data = case
    with pytest.raises(class_) as caught:
        run(engine)
    check_refusal(caught.value, code, data)
    engine.check()


def test_too_fast(engine: Engine[int]) -> None:
    engine.set_config(Config())
    for _ in range(3):
        with pytest.raises(refusals.AlreadyMember):
            engine.join(BOB, GROUP, NOW)
    with pytest.raises(refusals.TooFast) as caught:
        engine.join(BOB, GROUP, NOW)
    check_refusal(caught.value, 429, {"retry_at": NOW + 2_000})
    assert json.loads(caught.value.reply(NOW + 500))["data"]["retry_after_ms"] == 1_500


def test_every_refusal_is_tested() -> None:
    tested = {case[1] for case in CASES} | {refusals.TooFast}
    assert tested == set(Refused.__subclasses__()) and len(tested) == 25


def check_refusal(refused: Refused, code: int, data: dict[str, Any]) -> None:
    assert refused.code == code and refused.index is None and str(refused)
    for name, value in data.items():
        assert getattr(refused, name) == value
    reply = json.loads(refused.reply(NOW))
    assert (reply["ok"], reply["code"], reply["msg"]) == (False, code, f"GRPS_{code}")
    copy = pickle.loads(pickle.dumps(refused))
    assert (type(copy), str(copy)) == (type(refused), str(refused))
    for name, value in data.items():
        assert getattr(copy, name) == value
    assert copy.reply(NOW) == refused.reply(NOW)


def test_charge(engine: Engine[int]) -> None:
    engine.set_config(Config())
    other = engine.copy()
    with pytest.raises(refusals.NotMember):
        engine.post(DAVE, GROUP, "a long text", NOW)
    other.charge(Operation.POST, DAVE, GROUP, NOW)
    assert engine == other
    for _ in range(20):
        other.charge(Operation.LEAVE_ALL, DAVE, None, NOW)
    with pytest.raises(refusals.TooFast):
        other.charge(Operation.LEAVE_ALL, DAVE, None, NOW)


def test_preview_changes_nothing(engine: Engine[int]) -> None:
    before = engine.copy()
    preview = engine.preview(commands.Leave(ALICE, GROUP), NOW)
    assert len(preview.signals[0].audience) == 2
    with pytest.raises(refusals.NotOwner):
        engine.preview(commands.Dissolve(BOB, GROUP), NOW)
    assert engine == before


def test_replies_and_frames(engine: Engine[int]) -> None:
    posted = engine.post(CAROL, GROUP, "hello", NOW)
    assert posted.reply() == '{"ok":true,"code":200,"msg":"OK","data":{"seq":0}}'
    frame = json.loads(posted.signals[0].frame())
    assert frame == {
        "key": posted.signals[0].key,
        "from": "3",
        "type": "message",
        "groupid": "7",
        "seq": 0,
        "at": NOW,
        "message": "hello",
    }
    versioned = json.loads(posted.signals[0].frame(versioned=True))
    assert versioned == {**frame, "version": posted.signals[0].version}
    assert repr(posted.signals[0]) == "<disband.Signal: message of 3 in 7, version 4, for 2 users>"
    assert repr(posted) == "<disband.Outcome: 0, 1 signals>"


def test_matching_an_event(engine: Engine[int]) -> None:
    signal = engine.post(CAROL, GROUP, "hello", NOW).signals[0]
    match signal.event:
        case events.MessagePost(seq, at, message):
            assert (seq, at, message) == (0, NOW, "hello")
        case _:
            pytest.fail(f"{signal.event}")
    assert signal.event is signal.event
    assert signal == signal and hash(signal) == hash(signal)
    assert signal != engine.post(CAROL, GROUP, "hello", NOW).signals[0]

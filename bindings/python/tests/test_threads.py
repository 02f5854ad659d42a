"""Threads, forks, and freeing on another thread."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_engine import FREE, NOW, group_of

from disband import Config, Engine, EngineClosed, Quotas, Refused, _native, commands

WAIT_S = 60
"""How long a test waits for another thread before it fails."""


def wait_until(is_done: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not is_done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


def sent() -> int:
    """How many values were sent to the other thread, now that it has freed all of them."""
    wait_until(lambda: _native._reclaimed()[0] == _native._reclaimed()[1])
    return _native._reclaimed()[0]


def frees_elsewhere(drop: Callable[[], object]) -> None:
    """Asserts that `drop` drops at least one value that the other thread then frees."""
    before = sent()
    drop()
    assert sent() > before


def frees_here(drop: Callable[[], object]) -> None:
    """Asserts that `drop` drops no value that the other thread frees."""
    gc.collect()
    before = sent()
    drop()
    assert sent() == before


def test_a_large_dissolved_group_is_freed_elsewhere() -> None:
    engine = group_of(5_000)
    outcomes = [engine.leave(0, 7, NOW)]
    frees_elsewhere(outcomes.clear)
    assert len(engine) == 0


def test_parts_of_an_outcome_keep_it() -> None:
    engine = group_of(5_000)
    outcome = engine.dissolve(0, 7, NOW)
    parts = [outcome.value, outcome.signals[0], outcome.signals[1].audience, outcome.value.group]
    del outcome
    while parts:
        frees_elsewhere(parts.pop)


def test_small_values_are_freed_in_place() -> None:
    engine = group_of(500)

    def work() -> None:
        engine.post(0, 7, "hello", NOW)
        engine.leave(0, 7, NOW)
        engine.copy().close()

    frees_here(work)


def test_what_the_engine_still_holds_is_freed_in_place() -> None:
    engine = group_of(5_000)

    def work() -> None:
        posted = engine.post(0, 7, "hello", NOW)
        assert len(list(posted.signals[0].audience)) == 4_999
        assert len(list(posted.deliveries())) == 4_999
        group = engine.group(7)
        assert group is not None and len(list(group.members())) == 5_000
        assert list(engine.groups()) == [7]
        engine.preview(commands.Leave(0, 7), NOW)
        engine.save()
        engine.check()
        assert engine.kick(0, 7, 1, NOW).value == 2

    frees_here(work)


def test_what_the_engine_no_longer_holds_is_freed_elsewhere() -> None:
    engine = group_of(5_000)
    posted = engine.post(0, 7, "hello", NOW)
    signal = posted.signals[0]
    parts: list[object] = [engine.group(7), engine.groups(), signal.audience, signal]
    del posted, signal
    engine.dissolve(0, 7, NOW)
    while parts:
        frees_elsewhere(parts.pop)
    engine = group_of(5_000)
    views = [engine.group(7)]
    engine.close()
    frees_elsewhere(views.clear)
    engine = group_of(5_000)
    views = [engine.group(7)]
    for user in range(1, 4_000):
        engine.kick(0, 7, user, NOW)
    frees_elsewhere(views.clear)


def test_engines_are_freed_elsewhere() -> None:
    frees_elsewhere(group_of(5_000).close)
    engines = [group_of(5_000)]
    frees_elsewhere(engines.clear)
    quiet = group_of(5_000)
    groups = [quiet.groups()]
    quiet.close()
    frees_elsewhere(groups.clear)


def test_cells_of_a_quota_are_freed_elsewhere() -> None:
    engine = Engine(int)
    for user in range(2_000):
        with pytest.raises(Refused):
            engine.join(user, 7, NOW)
    frees_elsewhere(lambda: engine.set_config(Config(quotas=Quotas.all(None))))
    assert engine.stats().cells == 0


def test_the_weight_of_a_large_value_can_be_set() -> None:
    previous = _native._set_large(2**64 - 1)
    try:
        engine = group_of(5_000)

        def leave() -> None:
            engine.leave(0, 7, NOW)

        frees_here(leave)
    finally:
        assert _native._set_large(previous) == 2**64 - 1


def test_two_threads_use_one_engine() -> None:
    engine = Engine(int, FREE)
    engine.create(0, 7, NOW)
    seqs: list[int] = []

    def work(user: int) -> None:
        engine.join(user, 7, NOW)
        for _ in range(2_000):
            seqs.append(engine.post(user, 7, "hello", NOW).value)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(1, 5)))
    assert sorted(seqs) == list(range(8_000))
    engine.check()


def test_commands_reads_and_snapshots_at_once() -> None:
    engine = group_of(3_000)
    done = threading.Event()

    def read() -> int:
        read = 0
        while not done.is_set() or read == 0:
            loaded = Engine.load(int, engine.save())
            loaded.check()
            snapshot = engine.copy()
            assert loaded.stats().groups == 1 and snapshot == snapshot
            read += 1
        return read

    def batches() -> None:
        for _ in range(10):
            engine.apply_all([commands.Post(0, 7, "hello")] * 1_500, NOW)

    def posts() -> None:
        for _ in range(3_000):
            engine.post(1, 7, "hello", NOW)

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        writers = [pool.submit(batches), pool.submit(posts)]
        try:
            for writer in writers:
                writer.result(WAIT_S)
        finally:
            done.set()
        assert all(reader.result(WAIT_S) for reader in readers)
    assert engine.stats().entries == 18_000


def test_the_gil_is_released_where_work_is_long() -> None:
    engine = group_of(100_000)
    data = engine.save()
    posts = [commands.Post(0, 7, "hello")] * 50_000
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.wait(0.000_1):
            ticks += 1

    def ticks_in(use: Callable[[], object]) -> int:
        start = ticks
        use()
        return ticks - start

    ticker = threading.Thread(target=tick)
    interval = sys.getswitchinterval()
    # So the other thread runs only when this one gives the GIL up by itself.
    sys.setswitchinterval(1_000)
    try:
        ticker.start()
        wait_until(lambda: ticks_in(lambda: engine.apply_all(posts, NOW)) > 0)
        wait_until(lambda: ticks_in(engine.save) > 0)
        wait_until(lambda: ticks_in(lambda: Engine.load(int, data)) > 0)
        wait_until(lambda: ticks_in(engine.check) > 0)
        wait_until(lambda: ticks_in(lambda: engine == engine) > 0)
        assert ticks_in(lambda: [engine.group(7) for _ in range(20_000)]) == 0
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        ticker.join()


def test_closing_while_another_thread_works() -> None:
    for _ in range(20):
        engine = group_of(50)

        def work() -> None:
            while True:
                engine.post(0, 7, "hello", NOW)

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            engine.close()
            with pytest.raises(EngineClosed):
                working.result(WAIT_S)


def fork_and_free() -> None:
    """Frees a large value in a child, which has no thread yet, and in a child of that child."""
    frees_elsewhere(group_of(5_000).close)
    engine = group_of(5_000)
    for generation in range(2):
        # A value that waits for the parent's thread would wait for ever in the child.
        sent()
        child = os.fork()
        if child:
            break
        # The child is another process with the same engine.
        engine.post(0, 7, f"generation {generation}", NOW)
        outcomes = [engine.copy().leave(0, 7, NOW)]
        frees_elsewhere(outcomes.clear)
        frees_elsewhere(engine.copy().close)
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, "the child failed"
    frees_elsewhere(engine.close)


def python(code: str) -> None:
    """Runs code in another interpreter, which must end by itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        cwd=os.path.dirname(__file__),
        timeout=WAIT_S,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork() -> None:
    python("import test_threads; test_threads.fork_and_free()")


def test_the_interpreter_ends_while_values_are_freed() -> None:
    python(
        "from test_engine import group_of, NOW\n"
        "engines = [group_of(100_000) for _ in range(3)]\n"
        "outcome = engines[0].leave(0, 7, NOW)\n"
        "engines[1].close()\n"
    )

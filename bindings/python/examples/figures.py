"""Measures the engine as Python sees it, and prints lines `name<TAB>value<TAB>unit`.

    figures.py [--quick]

`--quick` measures all of it at a hundredth of the sizes, as a smoke test.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from disband import Config, Engine, GroupOptions, Outcome, Quotas, _native, commands, departures

CONFIG = Config(quotas=Quotas.all(None), departures=0)
NOW = 1_000
FOR_EVER = 2**64 - 1


def report(name: str, value: float, unit: str) -> None:
    print(
        f"{name}\t{value:.4g}\t{unit}" if value < 1_000 else f"{name}\t{value:.0f}\t{unit}",
        flush=True,
    )


def took(run: Callable[[], object]) -> int:
    """How many nanoseconds it takes to run, without freeing the result."""
    start = perf_counter_ns()
    result = run()
    end = perf_counter_ns()
    del result
    return end - start


def group_of(members: int) -> Engine[int]:
    engine = Engine(int, CONFIG)
    engine.create(0, 7, NOW)
    engine.apply_all((commands.Join(user, 7) for user in range(1, members)), NOW)
    return engine


def post(count: int) -> None:
    engine = Engine(int, CONFIG)
    engine.create(0, 7, NOW, GroupOptions(keep_entries=1_000))
    for user in range(1, 8):
        engine.join(user, 7, NOW)

    def posts(count: int) -> None:
        for _ in range(count):
            engine.post(0, 7, "hello, world", NOW)

    posts(count // 10)
    report("post", took(lambda: posts(count)) / count, "ns")

    def decoded(count: int) -> None:
        for _ in range(count):
            outcome = engine.post(0, 7, "hello, world", NOW)
            outcome.value
            for signal in outcome.signals:
                signal.key, signal.group, signal.from_, signal.actor, signal.version, signal.event
                list(signal.audience)

    decoded(count // 10)
    report("post_decoded", took(lambda: decoded(count)) / count, "ns")


def dissolve(members: int) -> None:
    def measured(large: int) -> tuple[float, float]:
        """Medians of a leave and of freeing its result, in nanoseconds."""
        engine = group_of(members)
        leaves, frees = [], []
        previous = _native._set_large(large)
        for _ in range(9):
            results: list[Outcome[departures.Departure[int], int]] = []
            snapshot = engine.save()
            leaves.append(took(lambda: results.append(engine.leave(0, 7, NOW))))
            frees.append(took(results.clear))
            engine = Engine.load(int, snapshot)
        _native._set_large(previous)
        return statistics.median(leaves), statistics.median(frees)

    leave, elsewhere = measured(1)
    _, here = measured(FOR_EVER)
    report("dissolve", leave / 1_000, "µs")
    report("dissolve_free", here / 1_000_000, "ms")
    report("dissolve_free_elsewhere", elsewhere / 1_000, "µs")


def audience(members: int) -> None:
    engine = group_of(members)
    audience = engine.post(0, 7, "hello, world", NOW).signals[0].audience

    def walk() -> None:
        for _ in audience:
            pass

    walk()
    report("audience", took(walk) / len(audience), "ns")


def snapshot(groups: int, members: int) -> None:
    engine = Engine(int, CONFIG)
    for group in range(groups):
        users = range(group * 1_000, group * 1_000 + members)
        batch: list[commands.Command[Any, int]] = [commands.Create(users[0], group)]
        batch += [commands.Join(user, group) for user in users[1:]]
        engine.apply_all(batch, NOW)
    data = engine.save()
    report("snapshot_write", median_of_3(engine.save) / 1_000_000, "ms")
    report("snapshot_read", median_of_3(lambda: Engine.load(int, data)) / 1_000_000, "ms")
    report("snapshot_bytes", len(data), "bytes")

    def clones(count: int) -> None:
        for _ in range(count):
            engine.copy()

    previous = _native._set_large(FOR_EVER)
    report("clone", took(lambda: clones(10_000)) / 10_000, "ns")
    _native._set_large(previous)


def median_of_3(run: Callable[[], object]) -> float:
    return statistics.median(took(run) for _ in range(3))


def main() -> None:
    by = 100 if "--quick" in sys.argv[1:] else 1
    gc.disable()
    post(200_000 // by)
    dissolve(200_000 // by)
    audience(200_000 // by)
    snapshot(1_000 // by, 1_000)


if __name__ == "__main__":
    main()

"""Repeats: one run for a key, also under threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from edgekernel import Process, Runtime, command
from edgekernel.core.repeats import MAX_KEPT

LONG_S = 10.0


class Counter(Process):
    name = "counter"

    def __init__(self) -> None:
        self.count = 0

    @command(blocking=True)
    def up(self) -> int:
        self.count += 1
        return self.count


def ask_together(runtime: Runtime, key: str) -> list[Any]:
    """Return what six threads are told that ask at the same time."""
    results: list[Any] = []
    together = threading.Barrier(6)

    def ask() -> None:
        together.wait(LONG_S)
        results.append(runtime.invoke("counter.up", key=key, timeout=LONG_S))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    return results


def test_one_run_for_many_threads(
    make_runtime: Callable[..., Runtime], eager_switching: None
) -> None:
    """Requests with one key that come at the same time from many threads are one run."""
    runtime, counter = make_runtime(), Counter()
    runtime.register(counter)
    runtime.boot()
    for number in range(20):
        assert ask_together(runtime, f"k{number}") == [number + 1] * 6
    assert counter.count == 20


def test_keys_are_bounded(sim: Any) -> None:
    """P9: the oldest keys make room for new ones."""
    runtime: Runtime = sim.runtime()
    runtime.register(Counter())
    runtime.boot()
    for number in range(MAX_KEPT + 50):
        runtime.invoke("counter.up", key=str(number))
    assert len(runtime.commands._repeats._calls) == MAX_KEPT
    assert runtime.invoke("counter.up", key=str(MAX_KEPT + 49)) == MAX_KEPT + 50
    assert runtime.invoke("counter.up", key="0") == MAX_KEPT + 51

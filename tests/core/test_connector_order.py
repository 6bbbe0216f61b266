"""The threads on which devices are connected change nothing for anybody else (P10)."""

from __future__ import annotations

import pytest

from edgekernel import Context, Event, Message, Runtime
from edgekernel.core.attempt import run_here
from edgekernel.core.connector import Connector
from edgekernel.core.stopping import Stopping
from edgekernel.sim import SimClock
from tests.core.parts import NotingService, Steps, Tick
from tests.core.test_connector import Kept


class Polled(Kept):
    """Is polled as well, which takes its time."""

    every = 0.5

    def poll(self) -> None:
        self.clock.sleep(0.01)
        self.level.update(int(self.clock.monotonic() * 100))


class Sampling(NotingService):
    """Ticks when the devices are polled."""

    interval = 0.5

    def tick(self, ctx: Context) -> None:
        ctx.emit(Tick(self.ctx.runtime.devices["slow"].readings["level"].peek() or 0))


def told_of(event: Event) -> tuple[object, ...]:
    """All of an event but for the traceback in it, which names its thread's functions."""
    facts = {**event.payload.to_dict(), "traceback": ""}
    return event.seq, event.monotonic_ns, event.source, event.cause, event.payload.name, facts


@pytest.mark.parametrize("seed", [None, *range(10)])
def test_nobody_notices_the_threads(
    steps: Steps, monkeypatch: pytest.MonkeyPatch, seed: int | None
) -> None:
    """P10: what happens in a simulation, and in which order, is as if who starts a device had
    connected it, while none hangs: at the boot, for hot changes, and after failures."""

    def play() -> list[tuple[object, ...]]:
        events: list[tuple[object, ...]] = []
        with SimClock(seed=seed) as clock:
            runtime = Runtime(name="play", clock=clock)
            runtime.subscribe(Message, lambda event: events.append(told_of(event)))
            runtime.register(Kept("fast", steps, for_s=0.0))
            runtime.register(Polled("slow", steps, for_s=0.2))
            runtime.register(Polled("other", steps, for_s=0.004))
            runtime.register(Kept("broken", steps, 0.3, OSError("no answer")), optional=True)
            for name in ("first", "second"):
                service = Sampling(name, steps)
                runtime.register(service)
            agent = clock.Thread(runtime.boot, "agent")
            agent.start()
            clock.advance(3.0)
            runtime.hot_add(Polled("added", steps, for_s=0.1))
            clock.advance(1.0)
            runtime.hot_update(Polled("slow", steps, for_s=0.1))
            clock.advance(1.0)
            runtime.hot_remove("added")
            clock.advance(10.0)
            runtime.shutdown()
        return events

    with monkeypatch.context() as patching:
        patching.setattr(
            Connector,
            "carry_out",
            lambda self, attempt, when_late, optional=False: run_here(attempt),
        )
        patching.setattr(Stopping, "is_done", lambda self, name, step: step() or True)
        direct = play()
    assert len(direct) > 50
    assert play() == direct

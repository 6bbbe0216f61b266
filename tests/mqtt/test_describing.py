"""The thread that describes a node: when it looks again, and what it tells of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edgekernel import Context, Event, Interface, Runtime
from edgekernel.mqtt.describing import Describing, Schema
from edgekernel.sim import SimClock
from tests.mqtt.parts import Lamp, Seen


class Teller(Interface):
    """Has a node described, and notes what comes of it."""

    name = "teller"

    def __init__(self) -> None:
        self.time = "unsynchronised"
        self.told: list[tuple[str, int]] = []
        self.beats = 0
        self.fails = False

    def start(self, ctx: Context) -> None:
        self._asked_last = ""
        self.describing = Describing(
            ctx, self._described, name="telling", outdated=self._is_outdated, beat=self._beat
        )
        self.describing.start()

    def handle_event(self, ctx: Context, evt: Event) -> None:
        self.describing.noticed(evt.payload)

    def stop(self, ctx: Context) -> None:
        self.describing.close()

    def _is_outdated(self) -> bool:
        before, self._asked_last = self._asked_last, self.time
        return self.time != before

    def _described(self, schema: Schema) -> None:
        if self.fails:
            raise RuntimeError("nobody can describe it")
        self.told.append((self.time, len(schema["devices"])))

    def _beat(self) -> None:
        self.beats += 1


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Simulated time."""
    with SimClock() as clock:
        yield clock


def test_it_looks_again_when_something_has_changed(clock: SimClock) -> None:
    """A part that came, or a quality of the time that is another one, is described within half a
    minute, once; without a change nothing is."""
    runtime, teller = Runtime(name="n1", clock=clock), Teller()
    runtime.register(teller)
    with runtime:
        clock.advance(100)
        assert (teller.told, teller.beats) == ([("unsynchronised", 0)], 3)
        teller.time = "synchronised"
        clock.advance(30)
        assert teller.told[1:] == [("synchronised", 0)]
        runtime.hot_add(Lamp("lamp"))
        clock.advance(1)
        assert teller.told[2:] == [("synchronised", 1)]
        teller.describing.describe()
        teller.describing.beat_now()
        clock.advance(1)
        assert (len(teller.told), teller.beats) == (3, 5)


def test_what_raises_is_told_once(clock: SimClock) -> None:
    """What cannot be described is told under the name that was given, and tried again at the next
    change only; the beat goes on."""
    runtime, teller = Runtime(name="n1", clock=clock), Teller()
    teller.fails = True
    runtime.register(teller)
    seen = Seen(runtime)
    with runtime:
        clock.advance(100)
        (told,) = seen.of("interface.error")
        assert (told["interface"], told["event"], teller.beats) == ("teller", "telling", 3)
        teller.fails = False
        teller.describing.again()
        clock.advance(1)
        assert teller.told == [("unsynchronised", 0)]

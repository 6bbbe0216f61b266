from collections.abc import Callable

import pytest
from edgekernel_devices.rotary_encoder import RotaryEncoder
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Runtime
from edgekernel.backends.sim import SimBackend, SimLine
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

A, B = LineAddress("GPIO5", "sim", 5), LineAddress("GPIO6", "sim", 6)
CYCLE = [(False, False), (True, False), (True, True), (False, True)]
"""The levels of A and B in a turn forward."""

Boot = Callable[..., Runtime]


class Shaft:
    """A shaft whose encoder drives both lines."""

    def __init__(self, a: SimLine, b: SimLine) -> None:
        self._a, self._b = a, b
        self.counts = 0
        self.turn(0)

    def turn(self, counts: int) -> None:
        """Turn by so many changes, one after the other."""
        for _ in range(abs(counts)):
            self.counts += 1 if counts > 0 else -1
            self._drive()
        self._drive()

    def _drive(self) -> None:
        a, b = CYCLE[self.counts % 4]
        if self._a.level != a:
            self._a.drive(a)
        if self._b.level != b:
            self._b.drive(b)


@pytest.fixture
def shaft(backend: SimBackend) -> Shaft:
    """A shaft at rest, with both levels low."""
    return Shaft(backend.line("GPIO5"), backend.line("GPIO6"))


def encoder(backend: SimBackend, **settings: object) -> RotaryEncoder:
    """The driver of that shaft."""
    a, b = backend.digital_input(A), backend.digital_input(B)
    return RotaryEncoder("knob", a=a, b=b, pull="none", **settings)  # type: ignore[arg-type]


def test_counts_every_change(backend: SimBackend, boot: Boot, shaft: Shaft) -> None:
    """For any turning to and fro the position is that of the shaft, and nothing is lost."""
    knob = encoder(backend, counts_per_step=1)
    boot(knob)

    @given(st.lists(st.integers(-9, 9), max_size=20))
    def check(turns: list[int]) -> None:
        for counts in turns:
            shaft.turn(counts)
            assert knob.position.value == shaft.counts
        assert knob.lost.value == 0

    check()


def test_bounce_counts_nothing(backend: SimBackend, boot: Boot, shaft: Shaft) -> None:
    """A contact that bounces around a change ends where the shaft is."""
    knob = encoder(backend, counts_per_step=1)
    boot(knob)
    for _ in range(8):
        shaft.turn(1)
        for bounce in (-1, 1) * 5:
            shaft.turn(bounce)
    assert knob.position.value == 8


@pytest.mark.parametrize("per_step", [1.0, 7.5])
def test_one_click_is_one_step(
    backend: SimBackend, boot: Boot, shaft: Shaft, per_step: float
) -> None:
    """With four changes a click the position steps once a click, also backward, and play of a
    single change around a click moves nothing."""
    knob = encoder(backend, per_step=per_step)
    boot(knob)
    for click in (1, 2, 3):
        shaft.turn(4)
        assert knob.position.value == click * per_step
        for play in (1, -2, 1):
            shaft.turn(play)
            assert knob.position.value == click * per_step
    shaft.turn(-20)
    assert knob.position.value == -2 * per_step


def test_reset(backend: SimBackend, boot: Boot, shaft: Shaft) -> None:
    """After a reset the present position is 0."""
    knob = encoder(backend)
    runtime = boot(knob)
    shaft.turn(12)
    runtime.invoke("knob.reset", {})
    assert knob.position.value == 0
    shaft.turn(-4)
    assert knob.position.value == -1


def test_changes_that_were_not_seen(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A change that brought no edge is found by the poll and told as lost."""
    knob = encoder(backend, counts_per_step=1)
    backend.line("GPIO5").drive(False)
    backend.line("GPIO6").drive(False)
    boot(knob)
    clock.advance(5)
    knob._b.close()  # the edges of B come from nowhere now
    knob._b.open(knob._pull)
    backend.line("GPIO6").drive(True)
    clock.advance(10)
    assert knob.position.value == -1
    assert knob.lost.value == 1

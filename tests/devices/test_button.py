from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest
from edgekernel_devices.button import Button, ButtonPressed, ButtonReleased
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, Event, Message, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import Edge, Pull
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO27", "sim", 27)
DEBOUNCE_NS = 20_000_000

Boot = Callable[..., Runtime]
Told = list[tuple[bool, int]]


def told(events: list[Event]) -> Told:
    """What the button has told: (pressed, monotonic nanoseconds)."""
    kinds = (ButtonPressed, ButtonReleased)
    return [
        (isinstance(event.payload, ButtonPressed), round(event.monotonic * 1e9))
        for event in events
        if isinstance(event.payload, kinds)
    ]


def settled(edges: Told, debounce_ns: int) -> Told:
    """What a debouncer must tell of a released button's edges, and when."""
    ends = [*(at for _, at in edges), 1 << 62][1:]
    long = [
        (pressed, at + debounce_ns)
        for (pressed, at), end in zip(edges, ends, strict=True)
        if end - at >= debounce_ns
    ]
    return [new for old, new in pairwise([(False, 0), *long]) if new[0] != old[0]]


@pytest.mark.parametrize("debounce_ns", [0, 1_000_000, DEBOUNCE_NS])
def test_tells_exactly_the_stable_changes(debounce_ns: int) -> None:
    """For every train of edges: each change that lasts is told once, in order, when it has
    settled, and the reading ends at the true level."""
    gaps_us = st.lists(st.integers(1, 30_000) | st.sampled_from([1000, 20_000]), max_size=30)
    with SimClock() as clock:

        @given(gaps_us)
        def check(gaps: list[int]) -> None:
            backend, runtime, events = SimBackend(clock), Runtime(clock=clock), list[Event]()
            runtime.subscribe(Message, events.append)
            button = Button(
                "door", pin=backend.digital_input(LINE), debounce=debounce_ns / 1_000_000_000
            )
            runtime.attach_device(button)
            line, pressed, edges = backend.line("GPIO27"), False, Told()
            line.drive(True)
            with runtime:
                for gap in gaps:
                    clock.advance(gap / 1e6)
                    pressed = not pressed
                    line.drive(not pressed)
                    edges.append((pressed, clock.monotonic_ns()))
                clock.advance(0.1)
                assert told(events) == settled(edges, debounce_ns)
                assert button.pressed.value == pressed
            backend.close()

        check()


def test_short_press_between_polls(
    clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event]
) -> None:
    """A press that is over before the next poll is told, with its release."""
    button = Button("door", pin=backend.digital_input(LINE))
    button.every = 60.0
    backend.line("GPIO27").drive(True)
    boot(button)
    clock.advance(1)
    backend.line("GPIO27").drive(False)
    clock.advance(0.03)
    backend.line("GPIO27").drive(True)
    clock.advance(60)
    assert [pressed for pressed, _ in told(events)] == [True, False]


@pytest.mark.parametrize(("pull", "active_low"), [("up", True), ("down", False)])
def test_rest_is_released(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    events: list[Event],
    pull: Literal["up", "down"],
    active_low: bool,
) -> None:
    """With nothing connected, the pull resistor means released, in both wirings."""
    button = Button("door", pin=backend.digital_input(LINE), pull=pull, active_low=active_low)
    boot(button)
    clock.advance(1)
    assert button.pressed.value is False
    backend.line("GPIO27").drive(not active_low)
    clock.advance(1)
    assert button.pressed.value is True
    assert len(told(events)) == 1


def test_held_at_start(
    clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event]
) -> None:
    """A button held at start reads as pressed and is not told as a press."""
    backend.line("GPIO27").drive(False)
    button = Button("door", pin=backend.digital_input(LINE))
    boot(button)
    clock.advance(1)
    assert button.pressed.value is True
    assert told(events) == []


class Pin:
    """An input whose edges come when the test says so, or never."""

    name = "GPIO27"

    def __init__(self) -> None:
        self.level = True
        self.on_edge: Callable[[Edge], None] | None = None

    def open(self, pull: Pull, on_edge: Callable[[Edge], None] | None = None) -> None:
        self.on_edge = on_edge

    def change(self, level: bool, at_ns: int) -> None:
        assert self.on_edge is not None
        self.level = level
        self.on_edge(Edge(level, at_ns))

    def read(self) -> bool:
        return self.level

    def close(self) -> None: ...


def test_lost_edge_is_found(clock: SimClock, boot: Boot, events: list[Event]) -> None:
    """A change whose edge got lost is told all the same, within a few polls."""
    pin = Pin()
    button = Button("door", pin=pin)
    boot(button)
    clock.advance(1)
    pin.level = False
    clock.advance(3 * button.every)
    assert button.pressed.value is True
    pin.level = True
    clock.advance(3 * button.every)
    assert [pressed for pressed, _ in told(events)] == [True, False]


def test_threads_do_not_disturb_the_order() -> None:
    """With edges in one thread and polls in another, every change is told once, alternating."""
    pin, events = Pin(), list[Event]()
    button = Button("door", pin=pin, debounce=0)
    button.every = 0.001
    runtime = Runtime()
    runtime.subscribe(Message, events.append)
    runtime.attach_device(button)
    with runtime:
        for _ in range(1000):
            pin.change(not pin.level, runtime.clock.monotonic_ns())
    assert [pressed for pressed, _ in told(events)] == [True, False] * 500


def test_change_during_a_change_is_told_after_it(boot: Boot, events: list[Event]) -> None:
    """What an effect of the reading causes at the button is told after what caused it."""
    pin = Pin()
    button = Button("door", pin=pin, debounce=0)
    boot(button)

    def let_go() -> None:
        if button.pressed.value:
            pin.change(True, button.clock.monotonic_ns())

    effect = Effect(let_go)
    pin.change(False, button.clock.monotonic_ns())
    assert [pressed for pressed, _ in told(events)] == [True, False]
    assert button.pressed.value is False
    effect.dispose()

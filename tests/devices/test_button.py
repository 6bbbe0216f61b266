from collections.abc import Callable
from itertools import pairwise
from typing import Literal

import pytest
from edgekernel_devices.button import Button, ButtonPressed, ButtonReleased
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Effect, Event, Message, Runtime
from edgekernel.backends.sim import SimBackend
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


def test_lost_edge_is_found(
    clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event]
) -> None:
    """A change whose edge got lost is told all the same, within a few polls."""
    button, line = Button("door", pin=backend.digital_input(LINE)), backend.line("GPIO27")
    boot(button)
    clock.advance(1)
    line.drive(False, lose_edge=True)
    clock.advance(3 * button.every)
    assert button.pressed.value is True
    line.drive(True, lose_edge=True)
    clock.advance(3 * button.every)
    assert [pressed for pressed, _ in told(events)] == [True, False]


@pytest.mark.parametrize("lost", [False, True])
def test_never_twice(backend: SimBackend, boot: Boot, events: list[Event], lost: bool) -> None:
    """Without a debounce time, two edges to the same level are one change."""
    button = Button("door", pin=backend.digital_input(LINE), debounce=0)
    boot(button)
    line = backend.line("GPIO27")
    line.drive(False)
    line.drive(True, lose_edge=lost)
    line.drive(False)
    assert [pressed for pressed, _ in told(events)] == ([True] if lost else [True, False, True])


def test_threads_do_not_disturb_the_order() -> None:
    """With edges in one thread and polls in another, every change is told once, alternating."""
    runtime, events = Runtime(), list[Event]()
    backend = SimBackend(runtime.clock)
    button = Button("door", pin=backend.digital_input(LINE), debounce=0)
    button.every = 0.001
    runtime.subscribe(Message, events.append)
    runtime.attach_device(button)
    with runtime:
        for number in range(1000):
            backend.line("GPIO27").drive(number % 2 == 1)
    backend.close()
    assert [pressed for pressed, _ in told(events)] == [True, False] * 500


def test_change_during_a_change_is_told_after_it(
    backend: SimBackend, boot: Boot, events: list[Event]
) -> None:
    """What an effect of the reading causes at the button is told after what caused it."""
    button = Button("door", pin=backend.digital_input(LINE), debounce=0)
    boot(button)
    line = backend.line("GPIO27")

    def let_go() -> None:
        if button.pressed.value:
            line.drive(True)

    effect = Effect(let_go)
    line.drive(False)
    assert [pressed for pressed, _ in told(events)] == [True, False]
    assert button.pressed.value is False
    effect.dispose()

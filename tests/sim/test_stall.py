"""Stalls: what waits for anything but the clock is named instead of stopping the simulation."""

from __future__ import annotations

import asyncio
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from edgekernel import Context, Message, Process, Runtime, Service
from edgekernel.core.errors import BootError
from edgekernel.sim import SimClock, SimulationError
from tests.sim.conftest import go


def test_real_sleep_in_a_fiber_is_refused(clock: SimClock) -> None:
    """`time.sleep` on the clock's threads says whose it is, where, and what to write instead."""
    go(clock, "pump", lambda: time.sleep(3600))
    with pytest.raises(SimulationError) as caught:
        clock.advance(1)
    text = str(caught.value)
    assert text.startswith(f"pump: time.sleep(3600) waits in real time, at {__file__}:")
    assert "clock.sleep" in text


def test_real_sleep_elsewhere_is_untouched(clock: SimClock) -> None:
    """The main flow and other OS threads may sleep in real time, and a sleep of 0 is no wait."""
    slept = threading.Event()

    def sleep() -> None:
        time.sleep(0.001)
        slept.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    thread.join()
    time.sleep(0.001)
    go(clock, "pump", lambda: time.sleep(0))
    clock.advance(1)
    assert slept.is_set()


def test_time_is_as_it_was_afterwards() -> None:
    """When the last clock is closed, `time.sleep` is Python's own again, and SIGALRM is free."""
    program = """
import signal, time
from edgekernel.sim import SimClock
own = time.sleep
with SimClock() as one, SimClock() as two:
    assert time.sleep is not own
    one.advance(1)
    two.advance(1)
assert time.sleep is own
assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
"""  # in a process of its own: other tests drop clocks without closing them
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Pump(Service):
    """Blocks in its third tick."""

    name = "pump"

    def __init__(self, block: Callable[[], object]) -> None:
        self.block = block
        self.ticks = 0

    def tick(self, ctx: Context) -> None:
        """Block, at the third time."""
        self.ticks += 1
        if self.ticks == 3:
            self.block()


class Pressed(Message):
    """Somebody has pressed a button."""


def receive() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.recv(1)


BLOCKING: dict[str, Callable[[], object]] = {
    "event": lambda: threading.Event().wait(),
    "event with a limit": lambda: threading.Event().wait(60),
    "queue": lambda: queue.Queue[int]().get(),
    "socket": receive,
    "select": lambda: select.select([], [], [], 60),
    "process": lambda: subprocess.run(["sleep", "60"], check=True),
    "its own event loop": lambda: asyncio.run(asyncio.sleep(60)),
}


@pytest.mark.parametrize("block", BLOCKING.values(), ids=BLOCKING)
def test_a_tick_that_blocks_is_reported_with_its_place(block: Callable[[], object]) -> None:
    """Whatever a tick waits on, the service fails with file and line of the caller's own code,
    not of Python's library; the others tick on, and it is restarted."""
    pump, other = Pump(block), Pump(int)
    other.name = "other"
    with SimClock(stall_s=0.1) as clock:
        runtime = Runtime(clock=clock)
        runtime.register(pump)
        runtime.register(other)
        with runtime:
            clock.advance(10)
            error = runtime.status()["services"]["pump"]["last_error"]
    text, _, place = error.partition(" of real time, at ")
    assert text == "SimulationError: svc:pump has not waited on the simulated clock for 0.1 s"
    assert place.startswith(f"{__file__}:")
    assert pump.ticks > 3
    assert other.ticks == 10


def test_a_lock_held_while_time_passes() -> None:
    """Who waits for a real lock that another thread of the clock holds asleep is reported."""
    lock = threading.Lock()

    def hold(clock: SimClock) -> None:
        with lock:
            clock.sleep(10)

    def want() -> None:
        with lock:
            pass

    with SimClock(stall_s=0.1) as clock:
        go(clock, "holder", hold, clock)
        go(clock, "pump", want)
        with pytest.raises(SimulationError, match=r"^pump has not waited.* in want$"):
            clock.advance(20)


@pytest.mark.parametrize("how", ["blocks", "sleeps"])
def test_a_handler_in_the_main_fiber_is_watched(how: str) -> None:
    """A handler that runs in who emits is part of the simulation: it is interrupted too, and so
    fails like any other; what the main fiber does for itself is its own affair."""

    def handle(event: object) -> None:
        if how == "sleeps":
            time.sleep(60)
        else:
            threading.Event().wait()

    with SimClock(stall_s=0.1) as clock:
        runtime = Runtime(clock=clock)
        runtime.subscribe(Pressed, handle)
        with runtime:
            threading.Event().wait(0.3)
            runtime.emit(Pressed())
            runtime.emit(Pressed())
            errors = [each.error for each in runtime.errors]
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("SimulationError: main")
        assert f"{__file__}:" in error


def test_many_short_handlers_are_no_stall() -> None:
    """Work that goes on, handler after handler, is no stall, however long time stands still."""
    with SimClock(stall_s=1.0) as clock:  # more than a loaded machine keeps a process waiting
        runtime = Runtime(clock=clock)
        handled: list[object] = []
        runtime.subscribe(Pressed, handled.append)
        with runtime:
            end = time.monotonic() + 3.0
            while time.monotonic() < end:
                runtime.emit(Pressed())
            assert not list(runtime.errors)
    assert handled


def test_a_start_that_blocks_is_reported() -> None:
    """A part whose start blocks is interrupted, with its place, and the boot fails with that."""

    class Stuck(Process):
        name = "stuck"

        def start(self, ctx: Context) -> None:
            threading.Event().wait()

    with SimClock(stall_s=0.1) as clock:
        runtime = Runtime(clock=clock)
        runtime.register(Stuck())
        with pytest.raises(BootError) as caught:
            runtime.boot()
    (error,) = caught.value.exceptions
    assert f"{__file__}:" in str(error)
    assert "has not waited on the simulated clock" in str(error)


def test_the_clock_that_waits_is_the_one_that_is_watched() -> None:
    """With several clocks in one process, each is watched while it is used, also after another
    was closed or dropped."""
    others = [SimClock(stall_s=0.1) for _ in range(2)]
    with SimClock(stall_s=0.1) as clock:
        others[0].advance(1)
        others.pop().close()
        others.clear()
        go(clock, "pump", threading.Event().wait)
        with pytest.raises(SimulationError, match=r"^pump has not waited"):
            clock.advance(1)


@pytest.mark.parametrize("blocked", ["lock", "loop"])
def test_who_blocks_outside_the_clock_is_interrupted(blocked: str) -> None:
    """A fiber that waits for a real lock, or computes for ever, is interrupted with its name and
    place; then the simulation goes on."""
    lock = threading.Lock()
    lock.acquire()

    def block() -> None:
        if blocked == "lock":
            lock.acquire()
        while blocked == "loop":
            pass

    with SimClock(stall_s=0.2) as clock:
        go(clock, "pump", block)
        with pytest.raises(SimulationError) as caught:
            clock.advance(1)
        text = str(caught.value)
        assert text.startswith("pump has not waited on the simulated clock for 0.2 s of real time")
        assert f"{__file__}:" in text
        assert text.endswith(" in block")
        clock.advance(1)
        assert clock.monotonic() >= 1


def test_a_signal_of_others_is_left_alone() -> None:
    """Where somebody uses SIGALRM it stays theirs, and simulated time passes all the same."""
    rang: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, frame: rang.append(number))
    try:
        with SimClock(stall_s=0.1) as clock:
            clock.advance(10)
        signal.raise_signal(signal.SIGALRM)
        assert rang == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_rate_paces_time() -> None:
    """With a rate, simulated time waits for the real one: half a second at rate 5 takes a tenth;
    without one it does not."""
    with SimClock(rate=5.0) as clock:
        began = time.monotonic()
        clock.advance(0.5)
        assert time.monotonic() - began >= 0.1
        clock.rate = None
        clock.advance(86400)
    with pytest.raises(ValueError, match="above 0"):
        SimClock(rate=0.0)


def test_ctrl_c_while_it_is_paced() -> None:
    """Ctrl-C during a paced wait reaches the main flow, and the clock still works afterwards."""
    with SimClock(rate=0.001) as clock:
        main = threading.main_thread().ident
        assert main is not None
        threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            clock.advance(1)
        clock.rate = None
        clock.advance(1)


def test_a_wait_for_less_than_a_nanosecond_ends(clock: SimClock) -> None:
    """Whoever waits for the rest of a float gets on: time moves by at least a nanosecond."""
    end = clock.monotonic() + 1e-10
    while clock.monotonic() < end:
        clock.sleep(end - clock.monotonic())
    assert clock.monotonic_ns() == 1

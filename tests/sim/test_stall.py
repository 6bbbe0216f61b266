"""Stalls: what waits for anything but the clock is named instead of stopping the simulation."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

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

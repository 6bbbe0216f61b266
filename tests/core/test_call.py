"""Call: it ends once, whoever ends it, and tells everybody who waits."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from edgekernel import Process, Runtime, command
from edgekernel.core.call import Call, Request
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ForbiddenError, TurnTimeoutError, UnavailableError
from edgekernel.sim import SimClock

LONG_S = 10.0


class Owner:
    """Counts the calls that have ended."""

    def __init__(self) -> None:
        self.ended: list[Call] = []
        self.failures: list[str] = []

    def settled(self, call: Call) -> None:
        self.ended.append(call)

    def check_waiting(self, name: str) -> None:
        return

    def failed(self, label: str, error: BaseException) -> None:
        self.failures.append(f"{label}: {error}")


def make(owner: Owner) -> Call:
    return Call(owner, SystemClock(), 1, Request("fan.on", {}))


def end_together(owner: Owner, call: Call) -> tuple[list[bool], list[Any]]:
    """End a call in five threads at once; return which of them did, and what each was told."""
    together = threading.Barrier(5)
    told: list[Any] = []
    first: list[bool] = []

    def end(number: int) -> None:
        together.wait(LONG_S)
        call.when_done(lambda call: told.append(call.value))
        first.append(call.settle(number))

    threads = [threading.Thread(target=end, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    return first, told


def test_it_ends_once(eager_switching: None) -> None:
    """Of many threads that end it at the same time one does, and everybody sees its outcome."""
    for _ in range(50):
        owner = Owner()
        call = make(owner)
        first, told = end_together(owner, call)
        assert first.count(True) == 1
        assert told == [call.result()] * 5
        assert owner.ended == [call]


def test_begun_or_given_up_not_both() -> None:
    """What was given up does not begin; what has begun may be spared."""
    call = make(Owner())
    call.give_up(UnavailableError("gone"))
    assert not call.begin()
    call = make(Owner())
    assert call.begin()
    call.give_up(UnavailableError("gone"), unless_begun=True)
    assert not call.done
    call.expire()
    with pytest.raises(TurnTimeoutError):
        call.result()


def test_who_leaves_gives_it_up(make_runtime: Callable[..., Runtime]) -> None:
    """Ctrl-C while waiting ends the call: nothing is left on its way."""

    class Part(Process):
        name = "part"

        @command
        async def wait(self) -> None:
            await asyncio.Event().wait()

    def interrupt(number: int, frame: FrameType | None) -> None:
        names: list[str] = []
        while frame is not None and names[-2:] != ["wait", "result"]:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        if frame is None:  # it does not wait yet
            signal.setitimer(signal.ITIMER_REAL, 0.01)
        else:
            raise KeyboardInterrupt

    runtime = make_runtime()
    runtime.register(Part())
    runtime.boot()
    call = runtime.invoke_nowait("part.wait")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(KeyboardInterrupt):
            call.result()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert runtime.commands.in_flight == 0


class Witness:
    """Is told of every call."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def begins(self, call: Call) -> None:
        """Note the call."""
        self.told.append(("begins", call.name))

    def ended(self, call: Call) -> None:
        """Note the call and what came of it."""
        self.told.append((call.code, call.name))

    def output_set(self, output: str, value: object, principal: str) -> None:
        """Note the output."""
        self.told.append(("set", output))


class Lamp(Process):
    """Has commands."""

    name = "lamp"

    def __init__(self, witness: Witness) -> None:
        self.witness = witness

    @command
    def toggle(self) -> None:
        """Note that it runs."""
        self.witness.told.append(("runs", "lamp.toggle"))

    @command(role="operator")
    def reset(self) -> None:
        """Never granted."""


def test_witness() -> None:
    """Who witnesses the calls is told before a command runs, and of its end; of a refused call
    and of one that is only tried out, of the end alone."""
    witness = Witness()
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        runtime.register(Lamp(witness))
        runtime.commands.witness = witness
        with runtime:
            runtime.invoke("lamp.toggle")
            with pytest.raises(ForbiddenError):
                runtime.invoke("lamp.reset")
            runtime.invoke("lamp.toggle", dry_run=True)
            runtime.commands.witness = None
            runtime.invoke("lamp.toggle")
    assert witness.told == [
        ("begins", "lamp.toggle"), ("runs", "lamp.toggle"), ("ok", "lamp.toggle"),
        ("forbidden", "lamp.reset"), ("dry_run", "lamp.toggle"), ("runs", "lamp.toggle"),
    ]  # fmt: skip

"""The same on many nodes: so many at once, and an outcome for each."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import Any

import pytest

from edgekernel import Process, Runtime, SystemClock, command
from edgekernel.core.errors import UnknownTargetError
from edgekernel.mqtt import About, Fleet, MqttInterface, RequestRefusedError
from edgekernel.mqtt.fleet.many import each_of
from edgekernel.sim import SimClock
from tests.mqtt.parts import Lamp, settings
from tests.stages import SimStage, Stage

NODES = 20


class Slow(Process):
    """Takes its time, and counts over all nodes how many do so at once."""

    name = "slow"
    running = 0
    most = 0

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    @command(blocking=True)
    def work(self, seconds: float = 0.2) -> str:
        Slow.running += 1
        Slow.most = max(Slow.most, Slow.running)
        self._clock.sleep(seconds)
        Slow.running -= 1
        return "done"


def nodes(stage: Stage, stack: ExitStack) -> list[str]:
    """Run 20 nodes on a stage, odd ones in the north; return their names."""
    Slow.running = Slow.most = 0
    runtimes = []
    for number in range(NODES):
        about = About(labels={"zone": "north" if number % 2 else "south"})
        runtime = Runtime(name=f"n{number:02}", clock=stage.clock)
        runtime.register(Lamp("lamp"))
        runtime.register(Slow(stage.clock))
        interface = MqttInterface(settings(stage.port), medium=stage.medium, about=about)
        runtime.register(interface)
        stack.enter_context(runtime)
        runtimes.append((runtime, interface))
    stage.until(lambda: all(each.connected for _, each in runtimes), "20 nodes")
    return [runtime.name for runtime, _ in runtimes]


def fleet(stage: Stage, **options: Any) -> Fleet:
    """Return a fleet on a stage."""
    how = {"timeout_s": 10.0, "clock": stage.clock, "medium": stage.medium, **options}
    return Fleet(settings(stage.port), **how)


def test_so_many_at_once(stage: Stage) -> None:
    """Of 20 nodes in one process five are at work at a time, never more, and all get done."""
    with ExitStack() as stack:
        names = nodes(stage, stack)
        client = stack.enter_context(fleet(stage, at_once=5))
        outcomes = list(client.each(names, lambda name: client.call(name, "slow.work")))
        assert sorted(each.node for each in outcomes) == names
        assert {(each.ok, each.value, each.code) for each in outcomes} == {(True, "done", "")}
        assert Slow.most == 5


def test_in_a_quarter_of_the_time(sim_stage: SimStage) -> None:
    """With 20 at a time a second's work takes little more than a second on all of them."""
    with ExitStack() as stack:
        names = nodes(sim_stage, stack)
        client = stack.enter_context(fleet(sim_stage, at_once=NODES))
        begin_s = sim_stage.clock.monotonic()
        work = {"seconds": 1.0}
        outcomes = list(client.each(names, lambda name: client.call(name, "slow.work", work)))
        assert all(each.ok for each in outcomes)
        assert sim_stage.clock.monotonic() - begin_s < 1.5


def test_an_outcome_for_each(stage: Stage) -> None:
    """Those that are picked are asked; what one refuses, or who is not there, is its outcome."""
    with ExitStack() as stack:
        names = nodes(stage, stack)
        client = stack.enter_context(fleet(stage))
        north = [node.name for node in client.nodes({"zone": "north"})]
        assert north == names[1::2]

        def act(name: str) -> None:
            if name == "n03":
                client.set(name, "lamp/powr", True)
            elif name == "n05":
                client.set(name, "lamp/powr", True, check=False)
            else:
                client.set(name, "lamp/power", True)

        outcomes = {each.node: each for each in client.each([*north, "n99"], act)}
        assert sorted(outcomes) == [*north, "n99"]
        wrong = {name: type(each.error) for name, each in outcomes.items() if not each.ok}
        assert wrong == {
            "n03": UnknownTargetError,
            "n05": RequestRefusedError,
            "n99": UnknownTargetError,
        }
        assert (outcomes["n05"].code, outcomes["n99"].code) == ("unknown", "unknown")


def test_a_mistake_of_the_caller_is_raised() -> None:
    """What is no error of a node ends it, and no thread is left."""

    def act(name: str) -> None:
        raise KeyError(name)

    with SimClock() as clock, pytest.raises(KeyError, match="n1"):
        list(each_of(clock, ["n1", "n2"], act, 2))


def test_who_stops_early_begins_no_more() -> None:
    """After the first outcome the nodes that have not begun are left alone."""
    begun: list[str] = []
    with SimClock() as clock:

        def act(name: str) -> None:
            begun.append(name)
            clock.sleep(1)

        outcomes = each_of(clock, ["n1", "n2", "n3", "n4", "n5", "n6"], act, 2)
        next(outcomes)
        outcomes.close()
        clock.advance(10)
    assert len(begun) <= 4


def test_a_node_that_is_named_twice_is_asked_once() -> None:
    """Names count once, in their order."""
    with SimClock() as clock:
        outcomes = each_of(clock, ["n2", "n1", "n2"], str.upper, 1)
        assert [each.value for each in outcomes] == ["N2", "N1"]


def test_ctrl_c_waits_for_nobody() -> None:
    """What was asked may take an hour: whoever presses Ctrl-C meanwhile does not wait for it."""
    clock, asked, never = SystemClock(), threading.Event(), threading.Event()

    def ask(name: str) -> None:
        asked.set()
        never.wait()

    outcomes = each_of(clock, ["n1"], ask, 4)
    waiting = clock.Queue
    try:

        class Interrupted:
            """A queue that is waited for when Ctrl-C comes."""

            def put(self, item: object) -> None:
                """Nobody takes it."""

            def get(self) -> object:
                asked.wait()
                raise KeyboardInterrupt

        clock.Queue = Interrupted  # type: ignore[method-assign, assignment]
        with pytest.raises(KeyboardInterrupt):
            next(outcomes)
    finally:
        clock.Queue = waiting  # type: ignore[method-assign]
        never.set()

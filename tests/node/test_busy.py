"""Operators hold a node busy: bounded, kept over a restart, and seen by everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Context, InvalidValueError, Process, Runtime
from edgekernel.core.errors import ForbiddenError
from edgekernel.core.memory import Transient
from edgekernel.node.busy import STATE, Busy, BusyChanged, GuardedBusy
from edgekernel.node.memory import FileMemory
from edgekernel.node.signature import bind_validated
from edgekernel.sim import SimClock
from tests.core.parts import messages_of


class Kiln(Process):
    """Holds its node busy."""

    name = "kiln"

    def start(self, ctx: Context) -> None:
        ctx.busy("firing", for_s=600)


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """Give a simulated clock."""
    with SimClock() as clock:
        yield clock


def made(clock: SimClock, folder: Path, kind: type[Busy] = Busy, **how: Any) -> Runtime:
    """Return a runtime that has not booted, which remembers in a folder."""
    memory = FileMemory(folder, clock)
    runtime = Runtime(clock=clock, memory=memory, binder=bind_validated, **how)
    runtime.register(kind(runtime))
    return runtime


def hold(runtime: Runtime, principal: str = "mqtt", **args: Any) -> str:
    """Hold a node busy for ten minutes."""
    asked = {"reason": "a new sieve", "seconds": 600, **args}
    return str(runtime.invoke("busy.hold", asked, principal))


def test_seen(clock: SimClock, tmp_path: Path) -> None:
    """Who holds it, why and until when is in the state of the runtime, and each change is told."""
    with made(clock, tmp_path) as runtime:
        told = messages_of(runtime, BusyChanged)
        id = hold(runtime, holder="anna@bench")
        clock.advance(1)
        (lock,) = runtime.state.get(STATE)
        assert (lock["id"], lock["holder"], lock["reason"]) == (id, "anna@bench", "a new sieve")
        assert runtime.invoke("busy.locks") == [lock]
        clock.advance(600)
        assert runtime.state.get(STATE) == []
        assert [bool(each.why) for each in told] == [True, False]


def test_who(clock: SimClock, tmp_path: Path) -> None:
    """Who has signed is named before the name that is given; nobody can take another's."""
    with made(clock, tmp_path) as runtime:
        hold(runtime, "anna", holder="bert@bench")
        hold(runtime, "carl")
        hold(runtime)
        holders = {each.holder for each in runtime.busy.held()}
        assert holders == {"anna (bert@bench)", "carl", "an operator"}


def test_released(clock: SimClock, tmp_path: Path) -> None:
    """One lock is released by its id, also a part's; without an id all that operators hold."""
    runtime = made(clock, tmp_path)
    runtime.register(Kiln())
    with runtime:
        first, second = hold(runtime), hold(runtime)
        assert runtime.invoke("busy.release", {"lock": first}) == [first]
        assert runtime.invoke("busy.release") == [second]
        (kiln,) = runtime.busy.held()
        assert runtime.invoke("busy.release", {"lock": kiln.id}) == [kiln.id]
        assert runtime.invoke("busy.release", {"lock": "nobody's"}) == []


def test_prolonged(clock: SimClock, tmp_path: Path) -> None:
    """A lock that is held is prolonged by its id."""
    with made(clock, tmp_path) as runtime:
        id = hold(runtime, seconds=10)
        assert hold(runtime, seconds=3600, lock=id) == id
        clock.advance(60)
        assert len(runtime.busy.held()) == 1


def test_a_restart(clock: SimClock, tmp_path: Path) -> None:
    """An operator's lock is held again, for what is left of its time; a part's is gone."""
    runtime = made(clock, tmp_path)
    runtime.register(Kiln())
    with runtime:
        hold(runtime, holder="anna", seconds=600)
        clock.advance(100)
    with made(clock, tmp_path) as again:
        assert [each.holder for each in again.busy.held()] == ["anna"]
        clock.advance(499)
        assert again.busy.held()
        clock.advance(2)
        assert not again.busy.held()
    with made(clock, tmp_path) as later:
        assert not later.busy.held()


def test_a_clock_that_is_wrong(clock: SimClock) -> None:
    """After a restart with a clock far behind, a lock lasts no longer than was asked for."""
    memory = Transient()
    with Runtime(clock=clock, memory=memory) as runtime:
        runtime.hot_add(Busy(runtime))
        hold(runtime, seconds=600)
    (kept,) = json.loads(str(memory.get("busy.locks")))
    kept[3] += 10**18  # as if the clock were thirty years behind now
    memory.put("busy.locks", json.dumps([kept]))
    with Runtime(clock=clock, memory=memory) as again:
        again.hot_add(Busy(again))
        assert again.busy.held()
        clock.advance(601)
        assert not again.busy.held()


@pytest.mark.parametrize("kept", ["{", "7", "[[1]]", '[["a", "", "x", 1, 1]]', '[["a"]]', "null"])
def test_what_is_kept_is_damaged(clock: SimClock, kept: str) -> None:
    """What another version has kept, or nobody, holds nothing and keeps the node from nothing."""
    memory = Transient()
    memory.put("busy.locks", kept)
    with Runtime(clock=clock, memory=memory) as runtime:
        runtime.hot_add(Busy(runtime))
        assert not runtime.busy.held()


def test_gone_with_its_part(clock: SimClock, tmp_path: Path) -> None:
    """What a part holds ends when the part does."""
    runtime = made(clock, tmp_path)
    runtime.register(Kiln())
    with runtime:
        assert runtime.busy.held()
        runtime.hot_remove("kiln")
        clock.advance(1)
        assert not runtime.busy.held()


def test_bounds(clock: SimClock, tmp_path: Path) -> None:
    """What has no reason, or no end within a week, is refused."""
    with made(clock, tmp_path) as runtime:
        mistakes: list[dict[str, Any]]
        mistakes = [{"reason": " "}, {"seconds": 0}, {"seconds": 604801}, {"seconds": "soon"}]
        for wrong in mistakes:
            with pytest.raises(InvalidValueError):
                hold(runtime, **wrong)
        assert not runtime.busy.held()


def test_roles(clock: SimClock, tmp_path: Path) -> None:
    """Where roles are granted it takes an operator; everybody may look."""
    granted = {("anna", "operator")}
    how = {"authorizer": lambda who, role: (who, role) in granted}
    with made(clock, tmp_path, GuardedBusy, **how) as runtime:
        with pytest.raises(ForbiddenError, match="operator"):
            hold(runtime, "bert")
        id = hold(runtime, "anna")
        with pytest.raises(ForbiddenError, match="operator"):
            runtime.invoke("busy.release", {"lock": id}, "bert")
        assert runtime.invoke("busy.locks", principal="bert")

"""A part belongs to one runtime at a time (promise P5)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import Context, Process, Runtime, component, lifecycle, prop, requires
from edgekernel.core.errors import BootError, LifecycleError
from edgekernel.core.ownership import bereave
from tests.core.parts import (
    LONG_S,
    SHORT_S,
    Lamp,
    MakeRuntime,
    NotingInterface,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
)


@component(name="plain")
@prop("label", "label", "none")
class Plain:
    """A component without an attach of its own, and with something that is injected."""

    lamp = requires(Lamp)


class Role(Process):
    """A role with something that is injected before its attach."""

    name = "role"
    lamp = requires(Lamp)


def plain(steps: Steps) -> Plain:
    return Plain()


def role(steps: Steps) -> Role:
    return Role()


def process(steps: Steps) -> NotingProcess:
    return NotingProcess("process", steps)


def interface(steps: Steps) -> NotingInterface:
    return NotingInterface("interface", steps)


def service(steps: Steps) -> NotingService:
    return NotingService("service", steps)


def device(steps: Steps) -> Lamp:
    return Lamp("device", steps)


def context_of(part: Any) -> Context:
    found: Context = part.ctx
    return found


KINDS = [plain, role, process, interface, service, device]


def pair(make: Callable[..., Runtime], steps: Steps) -> tuple[Runtime, Runtime]:
    """Two runtimes, each with a lamp that the others may require."""
    first, second = make(name="first"), make(name="second")
    for runtime in (first, second):
        runtime.register(Lamp("lamp", steps))
    return first, second


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_runtime_is_refused(
    sim: Simulation, steps: Steps, kind: Callable[[Steps], Any]
) -> None:
    """P5: what one runtime has cannot be registered in, or added to, another one under any name;
    the error says which part, who has it and what to do, and the first goes on with it."""
    first, second = pair(sim.runtime, steps)
    part = kind(steps)
    name = kind.__name__
    first.register(part)
    first.boot()
    sim.advance(0.0)  # a service starts on its thread
    told = rf"{name}: the runtime 'first' has this very part\. .* remove it there, or shut"
    before = dict(vars(part))
    with pytest.raises(LifecycleError, match=told):
        second.register(part)
    second.boot()
    with pytest.raises(LifecycleError, match=told):
        second.hot_add(part)
    if kind is not device:
        with pytest.raises(LifecycleError, match=rf"other: .* has this very part as {name}\."):
            second.hot_add(part, "other")
    assert vars(part) == before
    assert context_of(part).runtime is first
    assert first.status()["components"][name]["state"] == "active"


@pytest.mark.parametrize("kind", KINDS)
def test_registered_in_two_that_boot(
    sim: Simulation, steps: Steps, kind: Callable[[Steps], Any]
) -> None:
    """P5: of two runtimes that were given one part before they booted, the second does not boot,
    and takes nothing of it."""
    first, second = pair(sim.runtime, steps)
    part = kind(steps)
    for runtime in (first, second):
        runtime.register(part)
    first.boot()
    sim.advance(0.0)  # a service starts on its thread
    before = dict(vars(part))
    with pytest.raises(BootError) as failed:
        second.boot()
    assert "the runtime 'first' has this very part" in str(failed.value.exceptions)
    assert vars(part) == before
    assert context_of(part).runtime is first
    if kind in (plain, role):
        assert part.lamp is first.devices["lamp"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_removed_may_go_elsewhere(
    sim: Simulation, steps: Steps, kind: Callable[[Steps], Any]
) -> None:
    """P12: a part that was removed, or whose runtime was shut down, goes into another one."""
    first, second = pair(sim.runtime, steps)
    third = sim.runtime(name="third")
    third.register(Lamp("lamp", steps))
    for runtime in (first, second, third):
        runtime.boot()
    part = kind(steps)
    name = kind.__name__
    first.hot_add(part)
    first.hot_remove(name)
    second.hot_add(part)
    assert context_of(part).runtime is second
    second.shutdown()
    third.hot_add(part)
    assert context_of(part).runtime is third
    assert third.status()["components"][name]["state"] == "active"


def test_what_did_not_start_may_go_elsewhere(sim: Simulation) -> None:
    """P5: a part that could not be attached or started belongs to nobody."""

    class Picky:
        ctx: Context

        @lifecycle.activate
        def look(self) -> None:
            if self.ctx.runtime.name == "first":
                raise OSError("not here")

    first, second = sim.runtime(name="first"), sim.runtime(name="second")
    first.boot()
    second.boot()
    picky = Picky()
    with pytest.raises(OSError, match="not here"):
        first.hot_add(picky)
    second.hot_add(picky)
    assert picky.ctx.runtime is second


def test_an_old_version_may_go_elsewhere(sim: Simulation) -> None:
    """P12: after a hot update the old version is free, and the new one is not."""
    first, second = sim.runtime(name="first"), sim.runtime(name="second")
    old, new = first.register(Role()), Role()
    for runtime in (first, second):
        runtime.register(Lamp("lamp", Steps()))
        runtime.boot()
    first.hot_update(new)
    second.hot_add(old)
    assert (new.ctx.runtime, old.ctx.runtime) == (first, second)
    with pytest.raises(LifecycleError, match="the runtime 'first' has this very part"):
        second.hot_update(new)


def test_a_part_whose_end_hangs_is_not_free(
    make_runtime: MakeRuntime, steps: Steps, gate: threading.Event, until: Callable[..., None]
) -> None:
    """P12: what still runs in its `stop` is not started elsewhere before that has ended."""

    class Hanging(NotingProcess):
        def stop(self, ctx: Context) -> None:
            assert gate.wait(LONG_S)

    first, second = make_runtime(name="first", shutdown_limit_s=SHORT_S), make_runtime()
    hanging = first.register(Hanging("hanging", steps))
    first.boot()
    second.boot()
    first.hot_remove("hanging")
    with pytest.raises(LifecycleError, match="the runtime 'first' has this very part"):
        second.hot_add(hanging)
    gate.set()

    def added() -> bool:
        try:
            second.hot_add(hanging)
        except LifecycleError:
            return False
        return True

    until(added)


def test_two_that_boot_at_once(make_runtime: MakeRuntime, eager_switching: None) -> None:
    """P5: however two boots race for a part, exactly one has it."""
    for _ in range(20):
        part = Plain()
        runtimes = pair(make_runtime, Steps())
        booted: list[Runtime] = []

        def boot(runtime: Runtime, booted: list[Runtime] = booted) -> None:
            try:
                runtime.boot()
            except BootError:
                return
            booted.append(runtime)

        for runtime in runtimes:
            runtime.register(part)
        threads = [threading.Thread(target=boot, args=(runtime,)) for runtime in runtimes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert len(booted) == 1
        assert context_of(part).runtime is booted[0]


def test_a_part_of_a_runtime_that_died() -> None:
    """A part whose runtime has died without a shutdown can be given to another one."""
    part = NotingProcess("part", Steps())
    dead = Runtime(name="dead")
    dead.register(part)
    dead.boot()
    with pytest.raises(LifecycleError, match="the runtime 'dead' has this very part"):
        Runtime(name="alive").register(part)
    bereave(part)
    bereave(part)
    with Runtime(name="alive") as alive:
        alive.register(part)
        assert list(alive.processes) == ["part"]
    dead.shutdown("test")

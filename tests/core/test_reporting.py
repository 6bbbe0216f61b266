"""What `status()` and `health()` tell of the parts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Event,
    Message,
    Process,
    Runtime,
    command,
    component,
    computed,
    effect,
    expose,
    kind,
    lifecycle,
    on,
    provides,
    requires,
    skill,
)
from tests.core.working import Simulation, Working

MakeRuntime = Callable[..., Runtime]


class Rang(Message):
    pass


@component("greeter", namespace="app", version="1.2")
@provides("IGreeter", dict)
@requires(log="ILog")
@kind("greeting", model=dict)
@skill("greeting", content="# How to greet")
@expose("rest", prefix="v1")
@expose("mqtt")
class Greeter:
    log: Any

    @computed
    def text(self) -> str:
        return "hello"

    @effect
    def watch(self) -> None:
        self.text()

    @command
    def greet(self) -> str:
        return self.text()

    @on(Rang, "door.*")
    def rang(self, event: Event) -> None: ...


@provides("ILog")
class Log: ...


class TestStatus:
    def test_says_what_a_component_is(self, make_runtime: MakeRuntime) -> None:
        """A2.24: state, what it declares, its traits, and who is given it; ready for JSON."""
        runtime = make_runtime()
        runtime.register(Greeter, "hello")
        runtime.register(Log)
        runtime.boot()
        parts = runtime.status()["components"]
        assert json.loads(json.dumps(parts)) == parts
        assert parts["hello"] == {
            "component": "app.greeter",
            "version": "1.2",
            "kind": "component",
            "state": "active",
            "error": "",
            "attempts": 0,
            "optional": False,
            "parent": None,
            "provides": ["IGreeter", "dict"],
            "requires": {"log": "ILog"},
            "consumers": [],
            "commands": ["greet"],
            "handlers": ["rang", "door.*"],
            "kinds": ["greeting"],
            "skills": ["greeting"],
            "exposed": ["mqtt", "rest"],
            "reactive": {"computed": ["text"], "effects": ["watch"]},
            "traits": [
                "identifiable", "lifecycle", "dependable", "registrable", "inspectable",
                "factoryable", "communicable", "runnable", "subscribable", "kinded", "skillful",
                "routable", "reactive", "scoped", "versioned",
            ],
        }  # fmt: skip
        assert parts["log"]["consumers"] == ["hello"]

    def test_of_every_kind_and_state(self, make_runtime: MakeRuntime) -> None:
        """K2: a part that is not active says why, and the runtime says that it is degraded."""

        class Broken(Process):
            name = "broken"

            def start(self, ctx: Context) -> None:
                raise OSError("no such port")

        runtime = make_runtime()
        runtime.register(Device("lamp"))
        runtime.register(Greeter, optional=True)
        runtime.register(Broken(), optional=True)
        before = {name: part["state"] for name, part in runtime.status()["components"].items()}
        assert before == {"lamp": "registered", "greeter": "registered", "broken": "registered"}
        runtime.boot()
        status = runtime.status()
        found = {
            name: (part["kind"], part["state"], part["error"], part["optional"])
            for name, part in status["components"].items()
        }
        assert found == {
            "lamp": ("device", "active", "", False),
            "greeter": (
                "component", "waiting", "greeter: not started: nobody provides ILog", True,
            ),
            "broken": ("process", "failed", "OSError: no such port", True),
        }  # fmt: skip
        assert (status["state"], status["degraded"]) == ("degraded", ["greeter", "broken"])
        runtime.hot_add(Log)
        assert runtime.status()["components"]["greeter"]["state"] == "active"
        runtime.shutdown()
        states = {part["state"] for part in runtime.status()["components"].values()}
        assert states <= {"stopped", "failed"}

    def test_children_name_their_parent(self, make_runtime: MakeRuntime) -> None:
        """What a component has spawned says so."""

        class Parent:
            @lifecycle.activate
            def up(self, ctx: Context) -> None:
                ctx.spawn(Log, "child")

        runtime = make_runtime()
        runtime.register(Parent)
        runtime.boot()
        assert runtime.status()["components"]["child"]["parent"] == "parent"


def part(answer: Callable[[], object]) -> type:
    """Make a component class whose health is what a function says."""

    class Asked:
        @lifecycle.health
        def how(self) -> object:
            return answer()

    return Asked


class TestHealth:
    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (True, ""),
            ("", ""),
            (None, ""),
            (False, "says that it is not healthy"),
            ("filter is clogged", "filter is clogged"),
        ],
        ids=["true", "empty", "none", "false", "text"],
    )
    def test_every_part_is_asked(
        self, make_runtime: MakeRuntime, answer: object, reason: str
    ) -> None:
        """K12: what `@lifecycle.health` says is what `health()` says, of the part and in all."""
        runtime = make_runtime()
        runtime.register(part(lambda: answer), "pump")
        runtime.register(Log)
        runtime.boot()
        assert runtime.health() == {
            "healthy": not reason,
            "state": "running",
            "problems": [],
            "parts": {
                "pump": {"healthy": not reason, "reason": reason},
                "log": {"healthy": True, "reason": ""},
            },
        }

    def test_with_the_context(self, make_runtime: MakeRuntime) -> None:
        """A health method may take the context, and may be a process's."""

        class Logic(Process):
            name = "logic"

            @lifecycle.health
            def how(self, ctx: Context) -> str:
                return f"asked as {ctx.source}"

        runtime = make_runtime()
        runtime.register(Logic())
        runtime.boot()
        assert runtime.health()["parts"]["logic"]["reason"] == "asked as logic"

    def test_one_that_raises_is_unhealthy(self, make_runtime: MakeRuntime) -> None:
        """What it raises is its reason; the others are asked all the same."""

        def fail() -> object:
            raise OSError("bus error")

        runtime = make_runtime()
        runtime.register(part(fail), "pump")
        runtime.register(part(lambda: True), "fan")
        runtime.boot()
        parts = runtime.health()["parts"]
        assert parts["pump"] == {"healthy": False, "reason": "OSError: bus error"}
        assert parts["fan"]["healthy"]

    def test_one_that_hangs_is_unhealthy(self, make_runtime: MakeRuntime) -> None:
        """However many parts there are: who hangs costs its limit once, and the answer comes."""
        runtime, go = make_runtime(), threading.Event()
        runtime.register(part(lambda: go.wait(30)), "pump")
        for number in range(20):
            runtime.register(part(lambda: True), f"fan-{number}")
        runtime.boot()
        begin = runtime.clock.monotonic()
        answer = runtime.health(limit_s=0.2)
        took = runtime.clock.monotonic() - begin
        go.set()
        assert answer["parts"]["pump"]["reason"].startswith("TurnTimeoutError")
        assert not answer["healthy"]
        assert took < 20 * 0.2
        assert runtime.turns.wait_idle(10)
        assert runtime.health()["healthy"]

    def test_an_async_one_keeps_no_handler_waiting(self, sim: Simulation) -> None:
        """P2: while an `async` health method waits, handlers run; it has the limit too."""
        runtime, handled = sim.runtime(), list[float]()

        @component("pump")
        class Pump:
            @lifecycle.health
            async def how(self) -> None:
                runtime.post(Rang())
                await asyncio.sleep(5.0)

            @on(Rang)
            def rang(self, event: Event) -> None:
                handled.append(sim.clock.monotonic())

        runtime.register(Pump)
        runtime.boot()
        begin = sim.clock.monotonic()
        answer = runtime.health(limit_s=0.2)
        assert sim.clock.monotonic() - begin == pytest.approx(0.2)
        assert answer["parts"]["pump"]["reason"].startswith("TurnTimeoutError")
        assert handled == [begin]

    def test_an_async_one_answers(self, make_runtime: MakeRuntime) -> None:
        """What an `async` health method returns or raises is the answer."""

        @component("pump")
        class Pump:
            @lifecycle.health
            async def how(self, ctx: Context) -> str:
                return f"asked as {ctx.source}"

        runtime = make_runtime()
        runtime.register(Pump)
        runtime.boot()
        assert runtime.health()["parts"]["pump"]["reason"] == "asked as pump"

    def test_a_service_that_has_given_up(self, sim: Simulation) -> None:
        """P7: a service that failed for good is unhealthy, and no active component."""
        service = Working()
        service.restart = "no"
        service.failures = [OSError("bus error")]
        runtime = sim.runtime()
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        health = runtime.health()
        reason = "failed, and is not started again: OSError: bus error"
        assert health["parts"]["working"] == {"healthy": False, "reason": reason}
        assert not health["healthy"]
        described = runtime.status()["components"]["working"]
        assert (described["state"], described["error"]) == ("failed", reason)
        runtime.services.start("working")
        sim.advance(1.0)
        assert runtime.health()["healthy"]
        assert runtime.status()["components"]["working"]["state"] == "active"

    def test_a_service_that_hangs(self, sim: Simulation) -> None:
        """P7: a service whose tick hangs is unhealthy for as long as that lasts."""
        service = Working()
        service.tick_limit_s = 2.0
        service.durations = [10.0]
        runtime = sim.runtime()
        runtime.register(service)
        runtime.boot()
        sim.advance(5.0)
        assert runtime.health()["parts"]["working"]["reason"] == "hangs for 5 s"
        assert runtime.status()["components"]["working"]["state"] == "hung"
        sim.advance(10.0)
        assert runtime.health()["healthy"]

    def test_parts_that_are_missing(self, make_runtime: MakeRuntime) -> None:
        """K2: a part that waits or has failed is unhealthy, with what it waits for."""
        runtime = make_runtime()
        runtime.register(Greeter, optional=True)
        runtime.boot()
        health = runtime.health()
        assert (health["healthy"], health["state"]) == (False, "degraded")
        assert health["parts"]["greeter"]["reason"].endswith("nobody provides ILog")

    def test_before_and_after(self, make_runtime: MakeRuntime) -> None:
        """A runtime that does not run is not healthy."""
        runtime = make_runtime()
        assert (runtime.health()["healthy"], runtime.health()["state"]) == (False, "created")
        runtime.boot()
        assert runtime.health()["healthy"]
        runtime.shutdown()
        assert (runtime.health()["healthy"], runtime.health()["state"]) == (False, "stopped")

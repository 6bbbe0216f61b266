"""Booted, removed, replaced: defects 10, 11 and 12 of the seeds (SEEDS D2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from edgekernel import (
    BootError,
    Context,
    Device,
    Event,
    Message,
    Process,
    Service,
    Signal,
    command,
    component,
    computed,
    effect,
    lifecycle,
    on,
    provides,
    requires,
)
from edgekernel.core.errors import UnknownTargetError
from tests.core.parts import MakeRuntime, Simulation, Tick, leaves


class Everything:
    """Has one of each: a handler, an effect, a command; provides, and says when it ends."""

    ctx: Context

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.level = Signal(0)

    @on(Tick)
    def handle(self, event: Event) -> None:
        self.log.append("handled")

    @effect
    def follow(self) -> Callable[[], object]:
        self.log.append(f"level {self.level.get()}")
        return lambda: self.log.append("cleaned up")

    @command
    def act(self) -> str:
        return "done"

    @lifecycle.deactivate
    def end(self) -> None:
        self.log.append("deactivated")


class TestWhatIsRemovedIsGone:
    """D2 #10 (K3, K4, K5, K33, R10, T1)."""

    def test_nothing_of_it_is_called(self, make_runtime: MakeRuntime) -> None:
        """D2 #10, K3, T1: no event, no change and no request reaches a part that was removed."""
        runtime, log = make_runtime(), list[str]()
        runtime.boot()
        part = runtime.hot_add(Everything(log))
        runtime.emit(Tick())
        runtime.hot_remove("everything")
        before = [*log]
        runtime.emit(Tick())
        part.level.set(1)
        with pytest.raises(UnknownTargetError):
            runtime.invoke("everything.act")
        assert before == ["level 0", "handled", "cleaned up", "deactivated"]
        assert log == before

    def test_its_consumers_have_nothing_of_it(self, make_runtime: MakeRuntime) -> None:
        """D2 #10, K4: with the last provider gone a consumer has None, and its effect ran."""
        seen: list[str] = []

        @provides("ILink")
        class Link: ...

        class User:
            link: Any = requires("ILink", optional=True)

            @effect
            def use(self) -> None:
                seen.append("none" if self.link is None else "link")

        runtime = make_runtime()
        user = runtime.register(User())
        runtime.boot()
        runtime.hot_add(Link(), "link")
        runtime.hot_remove("link")
        assert seen == ["none", "link", "none"]
        assert user.link is None

    def test_what_was_added_is_ended_by_the_shutdown(self, make_runtime: MakeRuntime) -> None:
        """D2 #10, K5: a part that was added later is deactivated like the others."""
        runtime, log = make_runtime(), list[str]()
        runtime.boot()
        runtime.hot_add(Everything(log))
        runtime.shutdown()
        assert log[-1] == "deactivated"

    @pytest.mark.parametrize("end", ["remove", "shutdown"])
    def test_an_async_effect_ends_with_it(self, sim: Simulation, end: str) -> None:
        """D2 #10, K33, R10: an async effect that is at work is cancelled and does nothing more."""
        log: list[str] = []

        class Working:
            @effect
            async def work(self) -> None:
                try:
                    while True:
                        await asyncio.sleep(1.0)
                        log.append("worked")
                finally:
                    log.append("ended")

        runtime = sim.runtime()
        runtime.register(Working())
        runtime.boot()
        sim.advance(2.5)
        runtime.hot_remove("working") if end == "remove" else runtime.shutdown()
        sim.advance(10.0)
        assert log == ["worked", "worked", "ended"]

    def test_an_async_command_ends_with_it(self, sim: Simulation) -> None:
        """D2 #10, K33: a coroutine of a part is cancelled when the part is removed."""
        log: list[str] = []

        class Working:
            @command
            async def work(self) -> None:
                try:
                    await asyncio.sleep(1000.0)
                finally:
                    log.append("ended")

        runtime = sim.runtime()
        runtime.register(Working())
        runtime.boot()
        runtime.invoke_nowait("working.work")
        sim.advance(1.0)
        runtime.hot_remove("working")
        sim.advance(1.0)
        assert log == ["ended"]


class IShop(Protocol):
    def label(self) -> str: ...


@component("shop", version="1")
@provides(IShop)
class Shop:
    """The first version."""

    number = "v1"

    def __init__(self) -> None:
        self.name = Signal("A")
        self.log: list[str] = []

    @computed
    def sign(self) -> str:
        return f"{self.number}:{self.name.get()}"

    @effect
    def show(self) -> None:
        self.log.append(self.sign())

    @lifecycle.snapshot
    def save(self) -> str:
        return self.name.peek()

    @lifecycle.restore
    def load(self, name: str) -> None:
        self.name.set(name)

    def label(self) -> str:
        return self.sign()


@component("shop", version="2")
@provides(IShop)
class Shop2(Shop):
    """Another version, with the same name."""

    number = "v2"


@component("shop", version="3")
@provides(IShop)
class BrokenShop(Shop):
    number = "v3"

    @lifecycle.activate
    def up(self) -> None:
        raise OSError("no licence")


class Customer:
    """Notes each shop that it is given."""

    shops = requires(list[IShop])

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    @effect
    def look(self) -> None:
        self.seen.append([each.label() for each in self.shops])


class TestAnUpdateIsAllOrNothing:
    """D2 #11 (K6, K7, K8, K40)."""

    def test_the_new_version_has_the_state(self, make_runtime: MakeRuntime) -> None:
        """D2 #11, K6, K8: its computeds are live, and no effect has seen what it had before."""
        runtime = make_runtime()
        old = runtime.register(Shop)
        runtime.boot()
        old.name.set("B")
        (new,) = runtime.hot_update(Shop2)
        new.name.set("C")
        assert new.label() == "v2:C"
        assert new.log == ["v2:B", "v2:C"]

    def test_one_that_fails_changes_nothing(self, make_runtime: MakeRuntime) -> None:
        """D2 #11, K7: the old version is at work as before, with handlers, effects, consumers."""
        runtime, customer = make_runtime(), Customer()
        old = runtime.register(Shop)
        runtime.register(customer)
        runtime.boot()
        with pytest.raises(OSError, match="no licence"):
            runtime.hot_update(BrokenShop)
        old.name.set("B")
        assert old.log == ["v1:A", "v1:B"]
        assert customer.seen == [["v1:A"], ["v1:B"]]
        assert runtime.status()["components"]["shop"]["state"] == "active"

    def test_consumers_never_miss_it(self, make_runtime: MakeRuntime) -> None:
        """D2 #11, K40: the effect of a consumer runs once, and not for a moment with nothing."""
        runtime, customer = make_runtime(), Customer()
        runtime.register(Shop)
        runtime.register(customer)
        runtime.boot()
        runtime.hot_update(Shop2)
        assert customer.seen == [["v1:A"], ["v2:A"]]


class TestTheBootIsOrderedAndHonest:
    """D2 #12 (K1, K2, B2, B16, B18)."""

    def test_a_consumer_that_is_registered_first(self, make_runtime: MakeRuntime) -> None:
        """D2 #12, K1: it is activated after its provider, and its effect sees that."""
        log: list[str] = []

        @provides("IGreet")
        class Greeter:
            word = "hello"

        class Consumer:
            greeter: Any = requires("IGreet")

            @lifecycle.activate
            def up(self) -> None:
                log.append(f"activate {self.greeter.word}")

            @effect
            def use(self) -> None:
                log.append(f"effect {self.greeter.word}")

        runtime = make_runtime()
        runtime.register(Consumer())
        runtime.register(Greeter())
        runtime.boot()
        assert log == ["activate hello", "effect hello"]

    def test_what_is_missing_is_an_error(self, make_runtime: MakeRuntime) -> None:
        """D2 #12, K2: without what it requires nothing is activated, and the error names it."""

        class Consumer:
            greeter: Any = requires("IGreet")

        runtime = make_runtime()
        runtime.register(Consumer())
        with pytest.raises(BootError) as raised:
            runtime.boot()
        assert any("consumer" in text and "IGreet" in text for text in leaves(raised.value))

    def test_what_may_be_missing_is_told(self, sim: Simulation) -> None:
        """D2 #12, K2: an optional part that fails is in status and health, which are not well."""

        class Broken(Device):
            def connect(self) -> None:
                raise OSError("no answer")

        runtime = sim.runtime()
        runtime.attach_device(Broken("broken"), optional=True)
        runtime.boot()
        assert runtime.status()["state"] == "degraded"
        assert runtime.status()["degraded"] == ["broken"]
        health = runtime.health()
        assert (health["healthy"], health["parts"]["broken"]["healthy"]) == (False, False)
        assert "no answer" in health["parts"]["broken"]["reason"]

    def test_a_bus_before_its_devices(self, make_runtime: MakeRuntime) -> None:
        """D2 #12, B2: a device that requires another one connects after it, disconnects before."""
        log: list[str] = []

        class Bus(Device):
            def connect(self) -> None:
                log.append(f"connect {self.id}")

            def disconnect(self) -> None:
                log.append(f"disconnect {self.id}")

        class Chip(Bus):
            bus = requires(Bus, id="bus")

        runtime = make_runtime()
        for part in (Chip("chip"), Bus("bus")):
            runtime.register(part)
        runtime.boot()
        runtime.shutdown()
        assert log == ["connect bus", "connect chip", "disconnect chip", "disconnect bus"]

    def test_a_device_that_does_not_attach(self, make_runtime: MakeRuntime) -> None:
        """D2 #12, B16: it is not left registered, and can be attached when it answers."""

        class Shy(Device):
            answers = False

            def connect(self) -> None:
                if not self.answers:
                    raise OSError("no answer")

        runtime, shy = make_runtime(), Shy("shy")
        runtime.boot()
        with pytest.raises(OSError, match="no answer"):
            runtime.attach_device(shy)
        assert list(runtime.devices) == []
        shy.answers = True
        runtime.attach_device(shy)
        assert shy.online

    def test_what_is_registered_after_the_boot(self, sim: Simulation) -> None:
        """D2 #12, B18: a process or service that comes later is started before anything else."""
        log: list[str] = []

        class Late(Process):
            name = "late"

            def start(self, ctx: Context) -> None:
                log.append("start process")

            def handle_event(self, ctx: Context, evt: Event) -> None:
                if isinstance(evt.payload, Ping):
                    log.append(f"event for {self.ctx.source}")

        class Later(Service):
            name = "later"

            def start(self, ctx: Context) -> None:
                log.append("start service")

            def tick(self, ctx: Context) -> None:
                log.append(f"tick of {self.ctx.source}")

        runtime = sim.runtime()
        runtime.boot()
        runtime.register_process(Late())
        runtime.emit(Ping())
        runtime.register_service(Later())
        sim.advance(0.5)
        assert log == ["start process", "event for late", "start service", "tick of later"]


class Ping(Message): ...

"""The patterns that the seeds promise (S3), each as a small application on the stock runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from edgekernel import (
    Context,
    Event,
    Message,
    Runtime,
    Signal,
    batch,
    command,
    component,
    computed,
    effect,
    lifecycle,
    on,
    prop,
    provides,
    requires,
)
from edgekernel.core.provider import Consumer

MakeRuntime = Callable[..., Runtime]


def test_secret_rotation(make_runtime: MakeRuntime) -> None:
    """P1: a change of the setting goes through the credentials to who connects with them, once."""

    @provides("ICredentials", factory="scope")
    class Credentials:
        ctx: Context

        def scope(self, consumer: Consumer) -> Callable[[str], str]:
            return lambda key: str(self.ctx.state.get(f"secrets.{consumer.name}.{key}", ""))

    @component("client")
    class Client:
        secrets = requires("ICredentials")

        def __init__(self) -> None:
            self.connections: list[str] = []

        @effect
        def connect(self) -> Callable[[], None]:
            self.connections.append(f"{self.secrets('url')} {self.secrets('token')}")
            return lambda: self.connections.append("closed")

    runtime = make_runtime()
    runtime.state.set("secrets.client", {"url": "a", "token": "1"})
    client = runtime.register(Client)
    runtime.register(Credentials)
    runtime.boot()
    with batch():
        runtime.state.set("secrets.client.url", "b")
        runtime.state.set("secrets.client.token", "2")
    runtime.state.set("secrets.other.token", "3")
    assert client.connections == ["a 1", "closed", "b 2"]
    runtime.state.set("secrets.client", {"url": "c", "token": "4"})
    assert client.connections[-1] == "c 4"


def test_a_b_testing(make_runtime: MakeRuntime) -> None:
    """P2: a map of variants and a computed split, changed while it runs."""

    class IModel(Protocol):
        def answer(self) -> str: ...

    @provides(IModel)
    @prop("variant", "variant", "")
    class Model:
        variant: str

        def answer(self) -> str:
            return f"answer of {self.variant}"

    class Router:
        models = requires(IModel, key="variant")

        def __init__(self) -> None:
            self.share_b = Signal(0.0)

        @computed
        def split(self) -> list[str]:
            if "b" not in self.models:
                return ["a"] * 10
            share = round(self.share_b.get() * 10)
            return ["b"] * share + ["a"] * (10 - share)

        @command
        def ask(self, user: int) -> str:
            return str(self.models[self.split()[user % 10]].answer())

    runtime = make_runtime()
    router = runtime.register(Router)
    runtime.register(Model, "a", properties={"variant": "a"})
    runtime.boot()

    def asked() -> int:
        answers = [runtime.invoke("router.ask", {"user": user}) for user in range(10)]
        return answers.count("answer of b")

    shares = [asked()]
    router.share_b.set(0.3)
    shares.append(asked())
    runtime.hot_add(Model, "b", properties={"variant": "b"})
    shares.append(asked())
    router.share_b.set(0.8)
    shares.append(asked())
    runtime.hot_remove("b")
    shares.append(asked())
    assert shares == [0, 0, 3, 8, 0]


def test_tenants(make_runtime: MakeRuntime) -> None:
    """P3: instances of one class, each with its properties and what is scoped to it alone."""

    @provides("IStorage", factory="scope")
    class Storage:
        def __init__(self) -> None:
            self.files: dict[str, dict[str, str]] = {}

        def scope(self, consumer: Consumer) -> dict[str, str]:
            return self.files.setdefault(f"{consumer.component}.{consumer.name}", {})

    @component("tenant", namespace="shop")
    @prop("target", "target", "")
    class Tenant:
        target: str
        storage = requires("IStorage")

        @command
        def put(self, text: str) -> None:
            self.storage["note"] = f"{self.target}: {text}"

        @command
        def get(self) -> str:
            return str(self.storage.get("note", ""))

    runtime = make_runtime()
    storage = runtime.register(Storage)
    runtime.instantiate(Tenant, "acme", {"target": "acme.example"})
    runtime.boot()
    runtime.instantiate(Tenant, "globex", {"target": "globex.example"})
    runtime.invoke("acme.put", {"text": "hello"})
    assert runtime.invoke("acme.get") == "acme.example: hello"
    assert runtime.invoke("globex.get") == ""
    assert sorted(storage.files) == ["shop.tenant.acme", "shop.tenant.globex"]
    assert "targeted" in runtime.status()["components"]["acme"]["traits"]


class Ordered(Message):
    name = "order.placed"
    amount: int


def test_extension_bundle(make_runtime: MakeRuntime) -> None:
    """P4, K3: several parts added to a running system work with it; removed, nothing is left."""
    totals: list[int] = []

    class Shop:
        ctx: Context

        @command
        def order(self, amount: int) -> None:
            self.ctx.emit(Ordered(amount))

    class Loyalty:
        ctx: Context

        def __init__(self) -> None:
            self.points = Signal(0)

        @on("order.*")
        def collect(self, event: Any) -> None:
            self.points.set(self.points.peek() + event.payload.amount)

    class Report:
        loyalty = requires(Loyalty)

        @effect
        def tell(self) -> None:
            totals.append(self.loyalty.points.get())

    runtime = make_runtime()
    runtime.register(Shop)
    runtime.boot()
    runtime.invoke("shop.order", {"amount": 1})
    runtime.hot_add(Loyalty)
    runtime.hot_add(Report)
    runtime.invoke("shop.order", {"amount": 5})
    runtime.invoke("shop.order", {"amount": 2})
    runtime.hot_remove("report")
    runtime.hot_remove("loyalty")
    runtime.invoke("shop.order", {"amount": 9})
    assert totals == [0, 5, 7]
    assert list(runtime.status()["components"]) == ["shop"]


def test_circuit_breaker(make_runtime: MakeRuntime) -> None:
    """P5, A1.21: signals of the component's own make its state reactive."""

    class Breaker:
        def __init__(self) -> None:
            self.failures = Signal(0)
            self.told: list[str] = []

        @computed
        def state(self) -> str:
            return "open" if self.failures.get() >= 3 else "closed"

        @effect
        def tell(self) -> None:
            self.told.append(self.state())

        @command
        def call(self, works: bool) -> str:
            if self.state() == "open":
                return "refused"
            self.failures.set(0 if works else self.failures.peek() + 1)
            return "done" if works else "failed"

        @command
        def reset(self) -> None:
            self.failures.set(0)

    runtime = make_runtime()
    breaker = runtime.register(Breaker)
    runtime.boot()
    answers = [runtime.invoke("breaker.call", {"works": works}) for works in (1, 0, 0, 1, 0, 0, 0)]
    answers.append(runtime.invoke("breaker.call", {"works": True}))
    runtime.invoke("breaker.reset")
    answers.append(runtime.invoke("breaker.call", {"works": True}))
    assert answers == ["done", *["failed"] * 2, "done", *["failed"] * 3, "refused", "done"]
    assert breaker.told == ["closed", "open", "closed"]


def test_audit_trail(make_runtime: MakeRuntime) -> None:
    """P6: one component follows what all the others say, by pattern."""

    class Opened(Message):
        name = "account.opened"

    class Moved(Message):
        name = "account.money.moved"

    class Audit:
        def __init__(self) -> None:
            self.trail: list[tuple[str, str]] = []

        @on("account.*")
        def note(self, event: Event) -> None:
            self.trail.append((event.source, event.payload.name))

    class Bank:
        @lifecycle.activate
        def up(self, ctx: Context) -> None:
            for each in (Opened(), Moved(), Ordered(1)):
                ctx.emit(each)

    runtime = make_runtime()
    audit = runtime.register(Audit)
    runtime.register(Bank)
    runtime.boot()
    assert audit.trail == [("bank", "account.opened"), ("bank", "account.money.moved")]


class TestUnitTesting:
    """P7: a minimal runtime and fakes, with the real reactivity."""

    class Alarm:
        sensor: Any = requires("ISensor")
        ctx: Context

        def __init__(self) -> None:
            self.raised = 0

        @computed
        def hot(self) -> bool:
            return bool(self.sensor.celsius.get() > 30)

        @effect
        def watch(self) -> None:
            if self.hot():
                self.raised += 1
                self.ctx.emit(Ordered(self.raised))

        @command
        def ask(self) -> str:
            return "hot" if self.hot() else "cool"

    @component("fake-sensor")
    class FakeSensor:
        def __init__(self, celsius: float) -> None:
            self.celsius = Signal(celsius)

    def test_a_command_as_a_plain_method(self) -> None:
        """Without a runtime."""
        alarm = self.Alarm()
        alarm.sensor = self.FakeSensor(35.0)
        assert alarm.ask() == "hot"

    def test_reactions_and_messages(self, make_runtime: MakeRuntime) -> None:
        """With a runtime around it: what it reacts to, and a collector of what it says."""
        runtime, sensor = make_runtime(), self.FakeSensor(20.0)
        said: list[int] = []

        def collect(event: Any) -> None:
            said.append(event.payload.amount)

        runtime.registry.provide("ISensor", sensor, "sensor")
        runtime.subscribe(Ordered, collect)
        alarm = runtime.register(self.Alarm)
        runtime.boot()
        for celsius in (31.0, 35.0, 20.0, 40.0):
            sensor.celsius.set(celsius)
        assert (alarm.raised, said) == (2, [1, 2])
        assert runtime.invoke("alarm.ask") == "hot"

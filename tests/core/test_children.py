"""Children: what parts have spawned, under the supervision that their parents declare (P7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgekernel import (
    Context,
    Event,
    Message,
    Runtime,
    Service,
    Signal,
    command,
    component,
    effect,
    lifecycle,
    message,
    on,
)
from edgekernel.sim import SimClock


class Poke(Message):
    """Lets a child's handler fail."""

    name_of: str


@component("child")
class Child:
    """Can fail in every way a child can."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.label = name
        self.log = log
        self.level = Signal(0)

    @lifecycle.activate
    def activate(self) -> None:
        self.log.append(f"start {self.label}")
        self.level.set(0)

    @lifecycle.deactivate
    def deactivate(self) -> None:
        self.log.append(f"stop {self.label}")

    @effect
    def follow(self) -> None:
        if self.level.get() > 0:
            raise ValueError("an effect")

    @on(Poke)
    def poked(self, event: Event) -> None:
        if event.payload.name_of == self.label:  # type: ignore[attr-defined]
            raise ValueError("a handler")

    @command
    def crash(self) -> None:
        raise ValueError("a command")


class Parent:
    """Spawns three children; a subclass says how they are supervised."""

    answer: bool | None = True
    ctx: Context

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.asked: list[tuple[str, str, int]] = []
        self.children: list[Child] = []

    @lifecycle.activate
    def activate(self, ctx: Context) -> None:
        self.log.append("start parent")
        self.children = [ctx.spawn(Child(name, self.log), name) for name in ("a", "b", "c")]

    def decide(self, child: str, error: BaseException, attempt: int) -> bool | None:
        self.asked.append((child, str(error), attempt))
        return self.answer


def parent_class(**how: Any) -> type[Parent]:
    """Return a parent with this supervision."""

    @component("parent")
    class Supervising(Parent):
        @lifecycle.supervision(**how)
        def supervise(self, child: str, error: BaseException, attempt: int) -> bool | None:
            return self.decide(child, error, attempt)

    return Supervising


class House:
    """A runtime on simulated time with a parent and its children."""

    def __init__(self, clock: SimClock, **how: Any) -> None:
        self.clock = clock
        self.log: list[str] = []
        self.runtime = Runtime(clock=clock)
        self.parent: Parent = self.runtime.register(parent_class(**how)(self.log))
        self.told: list[Message] = []
        self.runtime.subscribe(Message, lambda event: self.told.append(event.payload))
        self.runtime.boot()
        self.log.clear()

    def state(self, name: str) -> str:
        state: str = self.runtime.status()["components"][name]["state"]
        return state

    def of(self, cls: type[Message]) -> list[Any]:
        return [each for each in self.told if isinstance(each, cls)]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    with SimClock() as clock:
        yield clock


def fail_in_an_effect(house: House) -> None:
    house.parent.children[1].level.set(1)


def fail_in_a_handler(house: House) -> None:
    house.runtime.emit(Poke("b"))


def fail_in_a_command(house: House) -> None:
    with pytest.raises(ValueError, match="a command"):
        house.runtime.invoke("b.crash")


@pytest.mark.parametrize("fail", [fail_in_an_effect, fail_in_a_handler, fail_in_a_command])
def test_every_fault_of_a_child_reaches_its_supervisor(clock: SimClock, fail: Any) -> None:
    """K15: a failing effect, handler or command is reported as ever, and the child restarted."""
    house = House(clock, backoff_s=2.0)
    fail(house)
    clock.advance(0.1)
    assert house.log == ["stop b"]
    assert house.state("b") == "failed"
    assert "b" in house.runtime.status()["degraded"]
    clock.advance(3.0)
    assert house.log == ["stop b", "start b"]
    assert house.state("b") == "active"
    assert house.runtime.status()["degraded"] == []
    kind = fail.__name__.rpartition("_")[2]
    article = "an" if kind == "effect" else "a"
    assert house.parent.asked == [("b", f"{article} {kind}", 1)]


@pytest.mark.parametrize(
    ("strategy", "restarted"),
    [
        ("one-for-one", ["stop b", "start b"]),
        ("rest-for-one", ["stop c", "stop b", "start b", "start c"]),
        ("one-for-all", ["stop c", "stop b", "stop a", "start a", "start b", "start c"]),
    ],
)
def test_strategies(clock: SimClock, strategy: str, restarted: list[str]) -> None:
    """K15b: those concerned stop in reverse, the failed one too, and start again in order."""
    house = House(clock, strategy=strategy, backoff_s=1.0)
    fail_in_a_handler(house)
    clock.advance(2.0)
    assert house.log == restarted
    assert [house.state(name) for name in "abc"] == ["active"] * 3


def test_a_child_that_is_given_up(clock: SimClock) -> None:
    """A child whose parent says no stays down, and the runtime says that it is degraded."""
    house = House(clock)
    house.parent.answer = False
    fail_in_a_handler(house)
    clock.advance(100.0)
    assert house.log == ["stop b"]
    assert house.state("b") == "failed"
    assert house.runtime.status()["state"] == "degraded"


def test_escalation_restarts_the_parent(clock: SimClock) -> None:
    """K15c: beyond the budget the parent is stopped with its children, starts again after a
    while, and can spawn them again."""
    house = House(clock, max_restarts=1, within_s=60.0, backoff_s=1.0)
    for _ in range(2):
        fail_in_a_handler(house)
        clock.advance(1.5)
    assert [each.child for each in house.of(message.SupervisorEscalated)] == ["b"]
    clock.advance(10.0)
    assert [house.state(name) for name in ("parent", "a", "b", "c")] == ["active"] * 4
    assert house.log.count("start parent") == 1
    assert house.log[-4:] == ["start parent", "start a", "start b", "start c"]
    house.log.clear()
    fail_in_a_handler(house)
    clock.advance(2.0)
    assert house.log == ["stop b", "start b"]


def test_a_parent_that_keeps_escalating_is_restarted_less_and_less(clock: SimClock) -> None:
    """P7: a parent that starts well and escalates at once is tried again after delays that
    double; only after a long time at work do they begin anew."""
    house = House(clock, max_restarts=0, within_s=60.0)

    def fail_soon() -> float:
        fail_in_a_handler(house)
        clock.advance(0.01)
        delay_s: float = house.of(message.PartRetry)[-1].delay_s
        clock.advance(delay_s + 0.1)
        assert house.state("parent") == "active"
        return delay_s

    took = [fail_soon() for _ in range(8)]
    nominal = [min(2.0**n, 60.0) for n in range(8)]
    assert all(0.8 * n <= each <= 1.2 * n for n, each in zip(nominal, took, strict=True))
    clock.advance(61.0)
    assert fail_soon() <= 1.2


def test_a_service_that_gives_up_is_a_failed_child(clock: SimClock) -> None:
    """A service's own policy comes first; when it gives up, the supervisor starts it anew."""
    house = House(clock, backoff_s=5.0)

    class Failing(Service):
        name = "failing"
        restart = "no"
        runs = 0

        def tick(self, ctx: Context) -> None:
            self.runs += 1
            if self.runs == 1:
                raise OSError("once")

    service = house.parent.ctx.spawn(Failing())
    clock.advance(1.0)
    assert house.state("failing") == "failed"
    clock.advance(10.0)
    assert house.state("failing") == "active"
    assert service.runs > 1


def test_an_updated_child_is_supervised_on(clock: SimClock) -> None:
    """P12: the new version of a child is restarted as the old one was, in its place."""
    house = House(clock, backoff_s=1.0)

    steps: list[str] = []

    @component("child")
    class Better(Child):
        """The next version."""

        ctx: Context

        def __init__(self) -> None:
            super().__init__("", [])

        @lifecycle.activate
        def activate(self) -> None:
            steps.append(f"start {self.ctx.source}")

    made = house.runtime.hot_update(Better)
    assert steps == ["start a", "start b", "start c"]
    fail_in_a_handler(house)
    clock.advance(0.1)
    assert house.state("b") == "failed"
    clock.advance(3.0)
    assert steps[3:] == ["start b"]
    assert house.state("b") == "active"
    assert house.runtime.registry.find(object, id="b") is made[1]


def test_removed_children_are_left_alone(clock: SimClock) -> None:
    """P12: what was removed while it waited for its restart is not started again."""
    house = House(clock, backoff_s=5.0)
    fail_in_a_handler(house)
    clock.advance(0.1)
    house.runtime.hot_remove("b")
    clock.advance(60.0)
    assert "b" not in house.runtime.status()["components"]
    assert "start b" not in house.log


def test_the_end_ends_a_delay(clock: SimClock) -> None:
    """P6: a shutdown does not wait for restarts that are due, and none comes after it."""
    house = House(clock, backoff_s=50.0)
    fail_in_a_handler(house)
    clock.advance(0.1)
    house.runtime.shutdown()
    clock.advance(200.0)
    assert house.log == ["stop b", "stop c", "stop a"]


def test_parts_without_a_supervisor(clock: SimClock) -> None:
    """The fault of a part that nobody supervises is reported, and changes nothing else."""
    runtime = Runtime(clock=clock)
    lonely = Child("lonely", [])
    runtime.register(lonely, "lonely")
    with runtime:
        runtime.emit(Poke("lonely"))
        lonely.level.set(1)
        assert runtime.status()["components"]["lonely"]["state"] == "active"
        assert runtime.error_count == 2

"""Parts that note what happens to them, and what else the tests of the lifecycle share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from edgekernel import (
    Context,
    Device,
    Interface,
    Message,
    Process,
    Runtime,
    Service,
    component,
    on,
    output,
    prop,
    provides,
)
from edgekernel.sim import SimClock

LONG_S = 10.0
SHORT_S = 1.5
"""The shutdown limit where something hangs."""

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Tick(Message):
    n: int = 0


class Steps:
    """What happened, in order, noted by parts."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def __call__(self, step: str) -> None:
        self.all.append(step)

    def of(self, *prefixes: str) -> list[str]:
        return [step for step in self.all if step.startswith(prefixes)]


class Lamp(Device):
    """A device that notes what is done to it."""

    power = output(bool, safe=False)

    def __init__(self, id: str, steps: Steps) -> None:
        super().__init__(id)
        self.steps = steps

    def connect(self) -> None:
        self.steps(f"connect {self.id}")

    def disconnect(self) -> None:
        self.steps(f"disconnect {self.id}")

    @power.drive
    def drive(self, value: bool) -> bool:
        self.steps(f"drive {self.id} {value}")
        return value


class Part:
    """The part of a role that notes its lifecycle; mixed into each role."""

    name = ""
    steps: Steps

    def start(self, ctx: Context) -> None:
        self.steps(f"start {self.name}")

    def stop(self, ctx: Context) -> None:
        self.steps(f"stop {self.name}")


class NotingProcess(Part, Process):
    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


class NotingInterface(Part, Interface):
    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


class NotingService(Part, Service):
    interval = 3600.0

    def __init__(self, name: str, steps: Steps) -> None:
        self.name, self.steps = name, steps


def messages_of(runtime: Runtime, cls: type[Message]) -> list[Any]:
    """Collect the messages of a class from now on."""
    found: list[Any] = []
    runtime.subscribe(cls, lambda event: found.append(event.payload))
    return found


def leaves(error: BaseException) -> list[str]:
    """The texts of all failures in an error tree."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in leaves(inner)]
    return [str(error)]


class Sensor(Device):
    """Polled every second, unless told otherwise."""

    def __init__(self, id: str, group: str = "bus") -> None:
        super().__init__(id)
        self.poll_group = group
        self.polled_at: list[float] = []
        self.connected = 0

    def connect(self) -> None:
        self.connected += 1

    def disconnect(self) -> None:
        self.connected -= 1

    def poll(self) -> None:
        self.polled_at.append(self.clock.monotonic())


@component(name="counter")
@provides("ICounter")
@prop("label", "label", "none")
class Counter:
    """A plain component that counts ticks."""

    def __init__(self) -> None:
        self.count = 0

    @on(Tick)
    def count_up(self, event: Any) -> None:
        self.count += 1

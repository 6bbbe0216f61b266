"""What the tests of services share: a service that notes what it does, and its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel import Context, Device, Message, Runtime, Service, output

if TYPE_CHECKING:
    from edgekernel.sim import SimClock

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]
Until = Callable[[Callable[[], bool]], None]


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Working(Service):
    """Notes when it starts, ticks and stops; may take time, and may fail."""

    name = "working"

    def __init__(self, interval: float = 1.0) -> None:
        self.interval = interval
        self.begun: list[float] = []
        self.steps: list[str] = []
        self.durations: list[float] = []
        self.failures: list[BaseException | None] = []
        self.start_failures: list[BaseException | None] = []
        self.start_durations: list[float] = []
        self.stop_durations: list[float] = []

    def start(self, ctx: Context) -> None:
        self.steps.append(f"start {ctx.clock.monotonic():g}")
        if self.start_durations:
            ctx.clock.sleep(self.start_durations.pop(0))
        failure = self.start_failures.pop(0) if self.start_failures else None
        if failure is not None:
            raise failure

    def tick(self, ctx: Context) -> None:
        self.begun.append(round(ctx.clock.monotonic(), 6))
        if self.durations:
            ctx.clock.sleep(self.durations.pop(0))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def stop(self, ctx: Context) -> None:
        self.steps.append(f"stop {ctx.clock.monotonic():g}")
        if self.stop_durations:
            ctx.clock.sleep(self.stop_durations.pop(0))


def messages_of(runtime: Runtime, cls: type[Message]) -> list[Any]:
    """Collect the messages of a class from now on."""
    found: list[Any] = []
    runtime.subscribe(cls, lambda event: found.append(event.payload))
    return found


def status(runtime: Runtime, service: str = "working") -> dict[str, Any]:
    """The status of a service."""
    found: dict[str, Any] = runtime.status()["services"][service]
    return found


class Valve(Device):
    open = output(bool, safe=False)

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.driven: list[bool] = []

    @open.drive
    def drive(self, value: bool) -> bool:
        self.driven.append(value)
        return value

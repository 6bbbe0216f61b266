"""Parts that do not start, or lose what they need: degraded, retried, recovered (promise P5)."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from itertools import pairwise
from typing import Any

import pytest

from edgekernel import Context, Device, Message, Process, Runtime, message, provides, requires
from edgekernel.core.errors import BootError, LifecycleError, UnknownTargetError
from tests.core.parts import (
    Counter,
    Lamp,
    MakeRuntime,
    NotingProcess,
    NotingService,
    Simulation,
    Steps,
    Until,
    leaves,
)


class Sensor(Device):
    """Polled every second; connects from the time on that it is told."""

    def __init__(self, id: str, there_from_s: float = 0.0) -> None:
        super().__init__(id)
        self.there_from_s = there_from_s
        self.problem = "no answer"
        self.tried_at: list[float] = []
        self.polled_at: list[float] = []

    def connect(self) -> None:
        self.tried_at.append(self.clock.monotonic())
        if self.clock.monotonic() < self.there_from_s:
            raise OSError(self.problem)

    def poll(self) -> None:
        self.polled_at.append(self.clock.monotonic())


class Display(Process):
    """Cannot do without its sensor."""

    name = "display"
    sensor = requires(Sensor)

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def start(self, ctx: Context) -> None:
        self.steps(f"start with {self.sensor.id}")

    def stop(self, ctx: Context) -> None:
        self.steps("stop")


def said_by(runtime: Runtime, *classes: type[Message]) -> list[Any]:
    """Collect messages of these classes from now on, in order."""
    found: list[Any] = []
    for cls in classes:
        runtime.subscribe(cls, lambda event: found.append(event.payload))
    return found


HEALTH = (message.RuntimeDegraded, message.RuntimeRecovered)


def test_an_optional_part_that_fails_leaves_the_runtime_degraded(sim: Simulation) -> None:
    """P5: the boot succeeds, and status, health and a message say what is missing and why."""
    runtime = sim.runtime()
    runtime.register(Sensor("sensor", there_from_s=1e6), optional=True)
    runtime.register(Sensor("other"))
    told = said_by(runtime, *HEALTH)
    runtime.boot()
    status = runtime.status()
    assert (status["state"], status["degraded"]) == ("degraded", ["sensor"])
    assert status["components"]["sensor"]["state"] == "failed"
    assert status["components"]["sensor"]["error"] == "OSError: no answer"
    assert told == [message.RuntimeDegraded(("sensor",))]
    health = runtime.health()
    assert (health["healthy"], health["state"]) == (False, "degraded")
    assert health["parts"]["sensor"] == {"healthy": False, "reason": "OSError: no answer"}


def test_retried_with_backoff(sim: Simulation) -> None:
    """P5: each retry comes exactly when PartRetry has said, after delays that double up to 60 s."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=1e6)
    runtime.register(sensor, optional=True)
    told = said_by(runtime, message.PartRetry)
    runtime.boot()
    sim.advance(400.0)
    growing = told[:7]
    expected = [0.0]
    for each in growing:
        expected.append(expected[-1] + each.delay_s)
    assert sensor.tried_at[:8] == pytest.approx(expected)
    assert [each.attempt for each in growing] == list(range(1, 8))
    nominal = [min(2.0**n, 60.0) for n in range(7)]
    assert all(0.8 * n <= each.delay_s <= 1.2 * n for n, each in zip(nominal, growing, strict=True))
    pauses = [later - at for at, later in pairwise(sensor.tried_at[7:])]
    assert all(48.0 <= pause <= 72.0 for pause in pauses)
    assert runtime.status()["components"]["sensor"]["attempts"] == len(sensor.tried_at)
    assert len(sensor.tried_at) > 9


def test_what_fails_for_weeks_is_quiet(sim: Simulation) -> None:
    """P5: a part that fails in the same way for a day is tried every minute, and told of about once
    an hour; one that fails in another way is told of at once."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=1e6)
    runtime.register(sensor, optional=True)
    told = said_by(runtime, Message)
    runtime.boot()
    sim.advance(86400.0)
    assert len(sensor.tried_at) > 1400
    assert len(told) < 3 * 40  # DeviceFailed, ComponentFailed, PartRetry
    retries = [each for each in told if isinstance(each, message.PartRetry)]
    assert retries[-1].attempt > 1300
    told.clear()
    sensor.problem = "no answer for 3 s"
    sim.advance(100.0)
    assert "OSError: no answer for 3 s" in [getattr(each, "error", "") for each in told]
    told.clear()
    sensor.problem = "no answer for 4 s"  # the same, but for a number
    sim.advance(1800.0)
    assert 0 < len(told) <= 3 * 5


def test_recovered(sim: Simulation) -> None:
    """P5: a part that comes later is told as recovered, is there for others and is polled."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=4.0)
    runtime.register(sensor, optional=True)
    told = said_by(runtime, *HEALTH)
    runtime.boot()
    sim.advance(20.0)
    assert told == [message.RuntimeDegraded(("sensor",)), message.RuntimeRecovered()]
    assert runtime.status()["state"] == "running"
    assert runtime.status()["components"]["sensor"]["attempts"] == 0
    assert runtime.health()["healthy"]
    assert runtime.registry.find(Sensor) is sensor
    assert sensor.online
    connected = sensor.tried_at[-1]
    assert 4.0 <= connected == sensor.polled_at[0]
    assert len(sensor.polled_at) == pytest.approx(20.0 - connected, abs=1.0)


def test_a_failed_device_is_not_polled(sim: Simulation) -> None:
    """P5: nothing touches a device that is not connected; others of its bus are polled."""
    runtime = sim.runtime()
    missing, there = Sensor("missing", there_from_s=1e6), Sensor("there")
    for sensor in (missing, there):
        sensor.poll_group = "bus"
        runtime.register(sensor, optional=True)
    runtime.boot()
    sim.advance(3.5)
    assert missing.polled_at == []
    assert there.polled_at == [0.0, 1.0, 2.0, 3.0]


def test_a_required_part_that_needs_it_keeps_the_boot_from_succeeding(sim: Simulation) -> None:
    """P5: a required part without what it needs is an error, though that part was optional."""
    steps = Steps()
    runtime = sim.runtime()
    runtime.register(Lamp("lamp", steps))
    runtime.register(Sensor("sensor", there_from_s=1e6), optional=True)
    runtime.register(Display(steps))
    with pytest.raises(BootError) as caught:
        runtime.boot()
    assert leaves(caught.value) == ["display: not started: nobody provides Sensor"]
    assert steps.all == ["connect lamp", "drive lamp False", "drive lamp False", "disconnect lamp"]
    sim.advance(200.0)  # nobody goes on trying
    assert runtime.phase == "stopped"
    assert runtime.devices["sensor"].attached is False


@pytest.mark.parametrize("by", ["depends", "requires"])
def test_an_optional_part_waits_for_what_it_needs(sim: Simulation, by: str) -> None:
    """P5: it waits while that has failed, and starts as soon as that is there."""
    steps = Steps()
    runtime = sim.runtime()
    runtime.register(Sensor("sensor", there_from_s=4.0), optional=True)
    part: Process = Display(steps)
    if by == "depends":
        part = NotingProcess("display", steps)
        part.depends = ("sensor",)
    runtime.register(part, optional=True)
    waiting = said_by(runtime, message.ComponentWaiting)
    told = said_by(runtime, *HEALTH)
    runtime.boot()
    assert runtime.status()["components"]["display"]["state"] == "waiting"
    assert [each.component for each in waiting] == ["display"]
    assert waiting[0].missing == (("sensor",) if by == "depends" else ("Sensor",))
    assert steps.of("start") == []
    sim.advance(30.0)
    assert steps.of("start") == ["start with sensor" if by == "requires" else "start display"]
    assert told == [message.RuntimeDegraded(("sensor", "display")), message.RuntimeRecovered()]


def test_a_part_that_waits_starts_with_a_hot_added_provider(sim: Simulation) -> None:
    """P5, P12: a part that waits for a requirement starts when somebody provides it."""
    steps = Steps()
    runtime = sim.runtime()
    runtime.register(Display(steps), optional=True)
    told = said_by(runtime, *HEALTH)
    runtime.boot()
    assert runtime.status()["degraded"] == ["display"]
    runtime.hot_add(Sensor("sensor"))
    assert steps.all == ["start with sensor"]
    assert told == [message.RuntimeDegraded(("display",)), message.RuntimeRecovered()]


def test_a_part_that_loses_its_provider_waits_and_comes_back(sim: Simulation) -> None:
    """P5, P12: a forced removal stops what needs the part; a new provider lets it start again."""
    steps = Steps()
    runtime = sim.runtime()
    runtime.register(Sensor("sensor"))
    runtime.register(Display(steps))
    told = said_by(runtime, *HEALTH)
    runtime.boot()
    runtime.hot_remove("sensor", force=True)
    assert steps.all == ["start with sensor", "stop"]
    assert runtime.status()["components"]["display"]["state"] == "waiting"
    assert runtime.status()["components"]["display"]["error"] == "sensor was removed"
    runtime.hot_add(Sensor("another"))
    assert steps.all == ["start with sensor", "stop", "start with another"]
    assert told == [message.RuntimeDegraded(("display",)), message.RuntimeRecovered()]


def test_a_service_waits_and_ticks_when_it_can(sim: Simulation) -> None:
    """P5: a service that waited is ticked once it has started."""
    steps = Steps()

    class Needy(NotingService):
        interval = 1.0
        sensor = requires(Sensor)

        def tick(self, ctx: Context) -> None:
            self.steps(f"tick {ctx.clock.monotonic()}")

    runtime = sim.runtime()
    runtime.register(Needy("needy", steps), optional=True)
    runtime.boot()
    sim.advance(5.0)
    assert steps.all == []
    runtime.hot_add(Sensor("sensor"))
    sim.advance(1.5)
    assert steps.all == ["start needy", "tick 5.0", "tick 6.0"]


def test_an_optional_part_that_fails_in_start_leaves_nothing(sim: Simulation) -> None:
    """P5: between two attempts it is stopped, detached, provides nothing and has no children."""
    steps = Steps()

    @provides("IRadio")
    class Radio(NotingProcess):
        def start(self, ctx: Context) -> None:
            super().start(ctx)
            ctx.spawn(NotingProcess("child", self.steps))
            if ctx.clock.monotonic() < 3.0:
                raise OSError("no antenna")

    runtime = sim.runtime()
    runtime.register(Radio("radio", steps), optional=True)
    runtime.boot()
    assert steps.all == ["start radio", "start child", "stop child", "stop radio"]
    assert runtime.registry.find("IRadio") is None
    assert "child" not in runtime.status()["components"]
    sim.advance(10.0)
    assert steps.all[-2:] == ["start radio", "start child"]
    assert runtime.registry.find("IRadio") is not None
    runtime.shutdown()
    assert len(steps.of("start")) == len(steps.of("stop"))


def test_retry_at_once(sim: Simulation) -> None:
    """A4.8: an operator need not wait for the backoff; what is active cannot be retried."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=100.0)
    runtime.register(sensor, optional=True)
    runtime.boot()
    with pytest.raises(OSError, match="no answer"):
        runtime.retry("sensor")
    assert runtime.status()["degraded"] == ["sensor"]
    sensor.there_from_s = 0.0
    runtime.retry("sensor")
    assert runtime.status()["state"] == "running"
    assert len(sensor.tried_at) == 3
    with pytest.raises(LifecycleError, match="sensor: not tried again: it is active"):
        runtime.retry("sensor")
    with pytest.raises(UnknownTargetError, match="no part 'senor'; did you mean 'sensor'"):
        runtime.retry("senor")
    sim.advance(200.0)
    assert len(sensor.tried_at) == 3


def test_a_part_that_exits_is_tried_again(sim: Simulation) -> None:
    """P3: `sys.exit` in a start is a failure like others, and does not end the retries."""

    class Exiting(NotingProcess):
        def start(self, ctx: Context) -> None:
            super().start(ctx)
            if len(self.steps.of("start")) < 3:
                raise SystemExit(1)

    steps = Steps()
    runtime = sim.runtime()
    runtime.register(Exiting("exiting", steps), optional=True)
    runtime.boot()
    sim.advance(10.0)
    assert runtime.status()["state"] == "running"
    assert len(steps.of("start")) == 3


def test_nobody_retries_after_the_shutdown(sim: Simulation) -> None:
    """P6: the shutdown ends the retries at once."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=1e6)
    runtime.register(sensor, optional=True)
    runtime.boot()
    sim.advance(10.0)
    tried = len(sensor.tried_at)
    before = sim.clock.monotonic()
    runtime.shutdown()
    assert sim.clock.monotonic() == before
    sim.advance(500.0)
    assert len(sensor.tried_at) == tried


def test_a_retry_that_hangs_does_not_keep_the_shutdown(sim: Simulation) -> None:
    """P6: the shutdown passes over a part that hangs in its retry; it is let go when it ends."""

    class Hanging(Sensor):
        def connect(self) -> None:
            super().connect() if len(self.tried_at) < 1 else self.clock.sleep(1000.0)

        def disconnect(self) -> None:
            self.let_go_at = self.clock.monotonic()

    runtime = sim.runtime(shutdown_limit_s=5.0)
    sensor = Hanging("sensor", there_from_s=1e6)
    runtime.register(sensor, optional=True)
    runtime.boot()
    sim.advance(10.0)
    runtime.shutdown()
    assert runtime.phase == "stopped"
    assert sim.clock.monotonic() <= 10.0 + 9.0
    sim.advance(2000.0)
    assert sensor.let_go_at == pytest.approx(1001.0, abs=0.3)
    assert not sensor.attached
    assert sensor.polled_at == []


def test_a_retry_that_hangs_is_told(sim: Simulation, steps: Steps) -> None:
    """P5, P7: while a retry hangs the runtime is still degraded, and after 30 s a message says
    what keeps other changes waiting; another one says that it is over."""

    class Hanging(NotingProcess):
        def start(self, ctx: Context) -> None:
            super().start(ctx)
            if len(self.steps.all) < 2:
                raise OSError("no answer")
            ctx.clock.sleep(100.0)

    runtime = sim.runtime()
    runtime.register(Hanging("radio", Steps()), optional=True)
    told = said_by(runtime, message.ChangeHung, message.ChangeRecovered, *HEALTH)
    runtime.boot()
    sim.advance(2.0)
    assert runtime.status()["components"]["radio"]["state"] == "starting"
    assert (runtime.status()["state"], runtime.status()["degraded"]) == ("degraded", ["radio"])
    assert not runtime.health()["healthy"]
    sim.advance(90.0)
    degraded = message.RuntimeDegraded(("radio",))
    assert told == [degraded, message.ChangeHung("start of radio", 30.0)]
    runtime.hot_add(NotingProcess("other", steps))
    recovered, over = told[2:]
    assert recovered == message.RuntimeRecovered()
    assert isinstance(over, message.ChangeRecovered)
    assert over.change == "start of radio"
    assert over.seconds == pytest.approx(100.0)
    assert steps.all == ["start other"]


def test_the_thread_of_the_retries_ends_with_the_runtime(
    make_runtime: MakeRuntime, until: Until
) -> None:
    """P6: who waits for the next retry does not wait on when the runtime has stopped."""

    def caretakers() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name == "late:caretaker"]

    runtime = make_runtime(name="late")
    runtime.register(Sensor("sensor", there_from_s=1e12), optional=True)
    runtime.boot()
    for _ in range(8):  # until the next one is about a minute away
        with pytest.raises(OSError, match="no answer"):
            runtime.retry("sensor")
    assert caretakers() == ["late:caretaker"]
    runtime.shutdown()
    until(lambda: not caretakers())


@pytest.mark.parametrize("error", [CancelledError(), GeneratorExit(), SystemExit(1)])
def test_a_retry_that_raises_whatever_is_followed_by_others(
    sim: Simulation, error: BaseException
) -> None:
    """P5: no class of error in a retry ends the retries, of this part and of others."""

    class Odd(Sensor):
        def connect(self) -> None:
            super().connect() if len(self.tried_at) in (0, 3) else self._fail()

        def _fail(self) -> None:
            self.tried_at.append(self.clock.monotonic())
            raise error

    runtime = sim.runtime()
    odd, late = Odd("odd", there_from_s=1.0), Sensor("late", there_from_s=20.0)
    runtime.register(odd, optional=True)
    runtime.register(late, optional=True)
    runtime.boot()
    sim.advance(60.0)
    assert len(odd.tried_at) == 4
    assert runtime.status()["state"] == "running"


def test_retries_go_on_for_ever(sim: Simulation) -> None:
    """P5: after more than a thousand failures a part is still tried every minute or so."""
    runtime = sim.runtime()
    sensor = Sensor("sensor", there_from_s=75_000.0)
    runtime.register(sensor, optional=True)
    runtime.boot()
    sim.advance(80_000.0)
    assert len(sensor.tried_at) > 1100
    assert runtime.status()["state"] == "running"


class ByHand:
    """Something that is provided by hand."""


class Needy(NotingProcess):
    """Waits until somebody provides what it requires."""

    thing = requires(ByHand, where={"floor": 2})


@pytest.fixture
def waiting(sim: Simulation, steps: Steps) -> Runtime:
    """A runtime in which one part waits."""
    runtime = sim.runtime()
    runtime.register(Needy("needy", steps), optional=True)
    runtime.boot()
    assert runtime.status()["components"]["needy"]["state"] == "waiting"
    return runtime


def test_provided_by_hand(sim: Simulation, waiting: Runtime, steps: Steps) -> None:
    """P5: a part that waits starts when what it lacks is provided by hand, at once."""
    told = said_by(waiting, *HEALTH)
    waiting.registry.provide(ByHand, ByHand(), "elsewhere", {"floor": 1})
    sim.advance(1.0)
    assert steps.all == []
    waiting.registry.provide(ByHand, ByHand(), "here", {"floor": 2})
    before = sim.clock.monotonic()
    sim.advance(0.0)
    assert steps.all == ["start needy"]
    assert sim.clock.monotonic() == before
    assert told == [message.RuntimeRecovered()]
    sim.advance(100.0)
    assert steps.all == ["start needy"]


def test_a_property_that_comes_to_fit(sim: Simulation, waiting: Runtime, steps: Steps) -> None:
    """P5: a part that waits starts when a provider's properties come to fit."""
    provider = waiting.registry.provide(ByHand, ByHand(), "lift", {"floor": 1})
    for floor in (3, 2):
        sim.advance(1.0)
        assert steps.all == []
        provider.set_properties(floor=floor)
    sim.advance(0.0)
    assert steps.all == ["start needy"]


def test_provided_inside_a_handler(sim: Simulation, waiting: Runtime, steps: Steps) -> None:
    """P5: inside a turn too; the part starts beside it."""
    waiting.subscribe(
        message.ComponentStarted,
        lambda _: waiting.registry.provide(ByHand, ByHand(), "here", {"floor": 2}),
    )
    waiting.hot_add(Counter())
    sim.advance(0.0)
    assert steps.all == ["start needy"]


def test_what_arrives_and_leaves_again(sim: Simulation, waiting: Runtime, steps: Steps) -> None:
    """P5: what has left before the part could start is as if it had not been there."""
    registry = waiting.registry
    for _ in range(3):
        registry.withdraw(registry.provide(ByHand, ByHand(), "here", {"floor": 2}))
        sim.advance(1.0)
    assert steps.all == []
    assert waiting.status()["degraded"] == ["needy"]
    registry.provide(ByHand, ByHand(), "here", {"floor": 2})
    sim.advance(1.0)
    assert steps.all == ["start needy"]


def test_a_name_that_is_provided_by_hand(sim: Simulation, steps: Steps) -> None:
    """P5: a part that waits for a name of which it depends starts when it is provided."""

    class Dependent(NotingProcess):
        depends = ("clockwork",)

    runtime = sim.runtime()
    runtime.boot()
    runtime.register(NotingProcess("clockwork", steps))
    runtime.register(Dependent("dependent", steps))
    runtime.hot_remove("clockwork", force=True)
    steps.all.clear()
    runtime.registry.provide(ByHand, ByHand(), "clockwork")
    sim.advance(0.0)
    assert steps.all == ["start dependent"]


def test_two_that_wait_in_a_row(sim: Simulation, waiting: Runtime, steps: Steps) -> None:
    """P5: what waits for a part that waited itself starts after it."""

    class Behind(NotingProcess):
        needy = requires(Needy)

    waiting.hot_add(Behind("behind", steps), optional=True)
    waiting.registry.provide(ByHand, ByHand(), "here", {"floor": 2})
    sim.advance(0.0)
    assert steps.all == ["start needy", "start behind"]
    waiting.shutdown()
    assert steps.of("stop") == ["stop behind", "stop needy"]


def test_nothing_arrives_after_the_shutdown(
    sim: Simulation, waiting: Runtime, steps: Steps
) -> None:
    """P6: what is provided while or after the runtime stops starts nothing."""
    waiting.shutdown()
    waiting.registry.provide(ByHand, ByHand(), "here", {"floor": 2})
    sim.advance(10.0)
    assert steps.all == []

"""Drivers whose `connect` is kept by the hardware: nobody waits for them for ever (P5, P6)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgekernel import Device, Limits, Runtime, SystemClock, message, output, reading
from edgekernel.core.clock import ThreadLike
from edgekernel.core.errors import (
    BootError,
    HeldSafeError,
    LifecycleError,
    StillConnectingError,
    UnavailableError,
)
from tests.core.parts import (
    Lamp,
    MakeRuntime,
    NotingProcess,
    Simulation,
    Steps,
    Until,
    leaves,
    messages_of,
)

LIMIT_S = Device.connect_limit_s


class Kept(Lamp):
    """Its `connect` returns `for_s` seconds after it was called, or raises then."""

    level = reading(int)

    def __init__(self, id: str, steps: Steps, for_s: float, error: Exception | None = None) -> None:
        super().__init__(id, steps)
        self.for_s, self.error = for_s, error

    def connect(self) -> None:
        super().connect()
        self.clock.sleep(self.for_s)
        if self.error is not None:
            raise self.error


def component(runtime: Runtime, name: str) -> Any:
    """What the status says of a part."""
    return runtime.status()["components"][name]


def test_the_rest_boots(sim: Simulation, steps: Steps) -> None:
    """P5: after its limit the boot goes on; the device is missing, with the reason, everywhere."""
    runtime = sim.runtime()
    runtime.register(Lamp("first", steps))
    runtime.register(kept := Kept("kept", steps, for_s=1e6), optional=True)
    runtime.register(Lamp("last", steps))
    runtime.register(NotingProcess("rules", steps))
    failed = messages_of(runtime, message.DeviceFailed)
    runtime.boot()
    assert sim.clock.monotonic() == LIMIT_S
    assert steps.of("connect", "start") == [
        "connect first", "connect kept", "connect last", "start rules",
    ]  # fmt: skip
    text = (
        "StillConnectingError: kept: its connect has not returned for 10 s; it goes on in the "
        "background"
    )
    assert (runtime.status()["state"], runtime.status()["degraded"]) == ("degraded", ["kept"])
    assert (component(runtime, "kept")["state"], component(runtime, "kept")["error"]) == (
        "failed", text,
    )  # fmt: skip
    assert runtime.health()["parts"]["kept"] == {"healthy": False, "reason": text}
    assert runtime.status()["devices"]["kept"]["last_error"] == text
    assert [(each.device, each.error) for each in failed] == [("kept", text)]
    assert kept.level.sample.reason == f"offline: {text}"
    assert not kept.online
    assert not kept.attached
    with pytest.raises(HeldSafeError) as refused:
        kept.power.set(True)
    assert str(refused.value) == (
        "kept.power: not set to True: its connect has not returned for 10 s"
    )
    assert kept.power.status()["held"] == "its connect has not returned for 10 s"
    runtime.devices["last"].outputs["power"].set(True)  # type: ignore[arg-type]  # a switch


def test_late_in_order(sim: Simulation, steps: Steps) -> None:
    """P5: what returns late is attached as at a boot: once, safe first, then told, then there for
    others, and nothing that was asked for meanwhile follows."""
    runtime = sim.runtime()
    runtime.register(kept := Kept("kept", steps, for_s=25.0), optional=True)
    behind = NotingProcess("behind", steps)
    behind.depends = ("kept",)
    runtime.register(behind, optional=True)
    told: list[str] = []
    runtime.subscribe(message.DeviceAttached, lambda event: told.append(event.payload.name))
    runtime.subscribe(message.DeviceOnline, lambda event: told.append(event.payload.name))
    runtime.subscribe(message.RuntimeRecovered, lambda event: told.append(event.payload.name))
    runtime.boot()
    with pytest.raises(HeldSafeError):
        kept.power.set(True)
    sim.advance(14.9)
    assert (steps.all, told) == (["connect kept"], [])
    sim.advance(0.1)
    assert steps.all == ["connect kept", "drive kept False", "start behind"]
    assert told == ["device.attached", "device.online", "runtime.recovered"]
    assert kept.online
    assert runtime.status()["state"] == "running"
    kept.power.set(True)
    sim.advance(1000.0)
    assert steps.all[3:] == ["drive kept True"]
    runtime.shutdown()
    assert steps.all[4:] == ["drive kept False", "stop behind", "disconnect kept"]


def test_late_and_failed(sim: Simulation, steps: Steps) -> None:
    """P5: what fails late lets go once, and is tried again later and later, as others are."""
    runtime = sim.runtime()
    broken = Kept("broken", steps, for_s=12.0, error=OSError("no answer"))
    runtime.register(broken, optional=True)
    retries = messages_of(runtime, message.PartRetry)
    runtime.boot()
    assert retries == []
    sim.advance(2.0)
    assert steps.all == ["connect broken", "disconnect broken"]
    assert component(runtime, "broken")["error"] == "OSError: no answer"
    assert [each.attempt for each in retries] == [2]
    assert retries[0].delay_s > 1.5
    sim.advance(600.0)
    assert 5 <= len(steps.of("connect")) <= 15
    assert len(steps.of("connect")) - len(steps.of("disconnect")) in (0, 1)


def test_never_two_at_once(sim: Simulation, steps: Steps) -> None:
    """P5: while one hangs no second one is begun, however often it is asked for."""
    runtime = sim.runtime()
    runtime.register(Kept("kept", steps, for_s=1e6), optional=True)
    runtime.boot()
    for _ in range(3):
        sim.advance(100.0)
        with pytest.raises(StillConnectingError, match="its connect has not returned for"):
            runtime.retry("kept")
    assert "310 s" in component(runtime, "kept")["error"]
    assert steps.all == ["connect kept"]
    assert len([line for line in sim.clock.waiting() if "connect kept" in line]) == 1


def test_a_required_one(sim: Simulation, steps: Steps) -> None:
    """P5: a required device that hangs fails the boot in time: outputs safe, the device named."""
    runtime = sim.runtime()
    runtime.register(Lamp("lamp", steps))
    runtime.register(Kept("kept", steps, for_s=60.0))
    left = messages_of(runtime, message.ShutdownStepFailed)
    with pytest.raises(BootError) as caught:
        runtime.boot()
    assert sim.clock.monotonic() < LIMIT_S + 1.0
    assert leaves(caught.value) == [
        "kept: its connect has not returned for 10 s; if the device is optional, the rest starts "
        "without it"
    ]
    assert steps.all[-2:] == ["drive lamp False", "disconnect lamp"]
    assert [(each.step, each.error) for each in left] == [
        (
            "connect of kept",
            "its connect has not returned for 10 s; the thread 'edgekernel:connect kept' is left "
            "to itself",
        )
    ]
    assert "disconnect kept" not in steps.all
    sim.advance(60.0)  # when it returns nobody wants it any more
    assert steps.all[-1] == "disconnect kept"
    assert "drive kept True" not in steps.all


def test_many_that_hang(sim: Simulation, steps: Steps) -> None:
    """P5: optional devices that hang cost a boot 30 s altogether, then a second each."""
    runtime = sim.runtime()
    for number in range(20):
        runtime.register(Kept(f"kept{number}", steps, for_s=1e6), optional=True)
    runtime.register(Kept("slow", steps, for_s=5.0))
    runtime.boot()
    assert sim.clock.monotonic() == 30.0 + 17 * 1.0 + 5.0
    assert len(runtime.status()["degraded"]) == 20


def test_as_long_as_the_driver_says(sim: Simulation, steps: Steps) -> None:
    """P5: a driver whose hardware is slow says how long a start waits for it."""
    runtime = sim.runtime()
    runtime.register(kept := Kept("kept", steps, for_s=29.0))
    kept.connect_limit_s = 30.0
    runtime.boot()
    assert sim.clock.monotonic() == 29.0
    assert kept.online


def test_a_shutdown_while_the_boot_waits(sim: Simulation, steps: Steps) -> None:
    """P6: the boot gives up at once, and what returns after the end lets go, once."""
    runtime = sim.runtime()
    runtime.register(Lamp("lamp", steps))
    runtime.register(Kept("kept", steps, for_s=60.0), optional=True)

    def stop() -> None:
        sim.clock.sleep(3.0)
        runtime.shutdown("enough")

    sim.clock.Thread(stop, "user").start()
    with pytest.raises(LifecycleError, match="shut down while it was booting"):
        runtime.boot()
    assert sim.clock.monotonic() <= 4.0
    sim.advance(100.0)
    assert runtime.phase == "stopped"
    assert steps.of("connect", "disconnect") == [
        "connect lamp", "connect kept", "disconnect lamp", "disconnect kept",
    ]  # fmt: skip
    assert "drive kept True" not in steps.all


def test_a_shutdown_later(sim: Simulation, steps: Steps) -> None:
    """P6: a device that hangs costs the shutdown nothing, which names it."""
    runtime = sim.runtime()
    runtime.register(Kept("kept", steps, for_s=60.0), optional=True)
    left = messages_of(runtime, message.ShutdownStepFailed)
    runtime.boot()
    sim.advance(5.0)
    runtime.shutdown()
    assert sim.clock.monotonic() == LIMIT_S + 5.0
    assert [each.step for each in left] == ["connect of kept"]
    sim.advance(100.0)
    assert steps.all == ["connect kept", "disconnect kept"]


class Valve(Device):
    """The first write takes its time; it is to begin open."""

    open = output(bool, safe=False)

    def __init__(self, id: str, steps: Steps, for_s: float) -> None:
        super().__init__(id)
        self.steps, self.for_s = steps, for_s

    @open.drive
    def drive(self, value: bool) -> bool:
        first = not self.steps.of("drive")
        self.steps(f"drive {value}")
        if first:
            self.clock.sleep(self.for_s)
        return value


@pytest.mark.parametrize("wanted", [True, False])
def test_a_first_write_that_hangs(sim: Simulation, steps: Steps, wanted: bool) -> None:
    """P5, P8: an output whose first write hangs is refused; late it counts, or is made safe."""
    runtime = sim.runtime()
    runtime.register(valve := Valve("valve", steps, for_s=60.0), optional=True)
    valve.open.limits = Limits(initial=True)
    runtime.boot()
    assert (
        "its first write of valve.open has not returned for 10 s"
        in (component(runtime, "valve")["error"])
    )
    with pytest.raises(UnavailableError, match=r"valve\.open: a write before this one hangs"):
        valve.open.set(False)
    if not wanted:
        runtime.shutdown()
    sim.advance(100.0)
    assert steps.all[:1] == ["drive True"]
    assert (valve.online, valve.open.is_safe) == (wanted, not wanted)
    assert steps.all[1:] == ([] if wanted else ["drive False"])


def test_a_disconnect_that_hangs_after_a_failure(sim: Simulation, steps: Steps) -> None:
    """P5: letting go after a failed connect is waited for no longer; then the failure counts."""

    class Clinging(Kept):
        def disconnect(self) -> None:
            super().disconnect()
            self.clock.sleep(20.0)

    runtime = sim.runtime()
    runtime.register(Clinging("kept", steps, 0.0, OSError("no answer")), optional=True)
    runtime.boot()
    assert sim.clock.monotonic() == LIMIT_S
    assert "its disconnect has not returned for 10 s" in component(runtime, "kept")["error"]
    sim.advance(10.0)
    assert component(runtime, "kept")["error"] == "OSError: no answer"
    assert steps.all == ["connect kept", "disconnect kept"]


def test_what_connect_asks_for_belongs_to_the_boot(sim: Simulation, steps: Steps) -> None:
    """P12: a device may add others in its `connect`, and nothing waits for itself."""

    class Hub(Lamp):
        def connect(self) -> None:
            super().connect()
            runtime.hot_add(Lamp("child", self.steps))

    runtime = sim.runtime()
    runtime.register(Hub("hub", steps))
    runtime.boot()
    assert steps.of("connect") == ["connect hub", "connect child"]
    assert sim.clock.monotonic() == 0.0
    assert runtime.devices["child"].online


def test_a_child_that_hangs_in_it(sim: Simulation, steps: Steps) -> None:
    """P12: a connect is not left alone in the middle of a further change that it makes."""

    class Hub(Lamp):
        def connect(self) -> None:
            super().connect()
            self.clock.sleep(5.0)
            runtime.hot_add(Kept("child", self.steps, for_s=1e6), optional=True)

    runtime = sim.runtime()
    runtime.register(hub := Hub("hub", steps))
    runtime.boot()
    assert sim.clock.monotonic() == pytest.approx(15.0, abs=0.2)
    assert hub.online
    assert runtime.status()["degraded"] == ["child"]


def test_no_thread_is_left(make_runtime: MakeRuntime, steps: Steps) -> None:
    """P5: a thread on which a device is connected ends with that; one at a time is there."""
    threads: list[threading.Thread] = []

    class Fast(Lamp):
        def connect(self) -> None:
            assert not any(each is not threads[-1] and each.is_alive() for each in threads)
            threads.append(threading.current_thread())

    runtime = make_runtime()
    for number in range(50):
        runtime.register(Fast(f"lamp{number}", steps))
    runtime.boot()
    for thread in threads:
        thread.join(5.0)
    assert len(threads) == 50
    assert not any(thread.is_alive() for thread in threads)


class Pipe(Device):
    """Reads a byte from a pipe in `connect`, as a driver of a vendor does from a device file."""

    connect_limit_s = 0.2

    def __init__(self, id: str, file: int) -> None:
        super().__init__(id)
        self.file = file
        self.let_go = 0

    def connect(self) -> None:
        os.read(self.file, 1)

    def disconnect(self) -> None:
        self.let_go += 1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe in which nothing is, with its two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


class TestRealThreads:
    def test_late(
        self, make_runtime: MakeRuntime, steps: Steps, until: Until, pipe: tuple[int, int]
    ) -> None:
        """P5: a read in the kernel that never returns keeps nobody; when it does, it counts."""
        runtime = make_runtime(name="late")
        runtime.register(blocked := Pipe("blocked", pipe[0]), optional=True)
        runtime.register(lamp := Lamp("lamp", steps))
        runtime.boot()
        assert runtime.status()["degraded"] == ["blocked"]
        lamp.power.set(True)

        def connecting() -> list[str]:
            return [each.name for each in threading.enumerate() if ":connect" in each.name]

        until(lambda: connecting() == ["late:connect blocked"])
        os.write(pipe[1], b"!")
        until(lambda: blocked.online)
        until(lambda: runtime.status()["state"] == "running")
        assert blocked.let_go == 0

    def test_shutdown(self, make_runtime: MakeRuntime, until: Until, pipe: tuple[int, int]) -> None:
        """P6: the shutdown names it and leaves it; when it returns it lets go, once."""
        runtime = make_runtime(name="left")
        runtime.register(blocked := Pipe("blocked", pipe[0]), optional=True)
        left = messages_of(runtime, message.ShutdownStepFailed)
        runtime.boot()
        runtime.shutdown()
        assert [each.step for each in left] == ["connect of blocked"]
        assert "the thread 'left:connect blocked' is left to itself" in left[0].error
        os.write(pipe[1], b"!")
        until(lambda: blocked.let_go == 1)
        until(lambda: not blocked.attached)

    def test_races(self, make_runtime: MakeRuntime, until: Until, eager_switching: None) -> None:
        """P5: whenever it returns, around the limit, it is attached exactly once."""

        class Racing(Device):
            connect_limit_s = 0.01

            def __init__(self, number: int) -> None:
                super().__init__(f"racing{number}")
                self.for_s = 0.0095 + number * 0.00005
                self.connected = self.disconnected = 0

            def connect(self) -> None:
                self.connected += 1
                threading.Event().wait(self.for_s)

            def disconnect(self) -> None:
                self.disconnected += 1

        runtime = make_runtime()
        racing = [Racing(number) for number in range(20)]
        for device in racing:
            runtime.register(device, optional=True)
        attached = messages_of(runtime, message.DeviceAttached)
        runtime.boot()
        until(lambda: runtime.status()["state"] == "running")
        assert sorted(each.device for each in attached) == sorted(each.id for each in racing)
        runtime.shutdown()
        assert {(each.connected, each.disconnected) for each in racing} == {(1, 1)}


def test_no_more_threads(make_runtime: MakeRuntime, steps: Steps, until: Until) -> None:
    """P5: a device for which there is no thread at the moment is tried again."""

    class Short(SystemClock):
        left = 0

        def Thread(self, target: Callable[[], object], name: str) -> ThreadLike:
            made = super().Thread(target, name)
            if ":connect" in name:
                self.left -= 1
                if self.left < 0:
                    return Refused()
            return made

    class Refused(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    clock = Short()
    runtime = make_runtime(clock=clock)
    runtime.register(lamp := Lamp("lamp", steps), optional=True)
    runtime.boot()
    assert component(runtime, "lamp")["error"] == "RuntimeError: can't start new thread"
    assert (steps.all, lamp.attached) == ([], False)
    clock.left = 1
    runtime.retry("lamp")
    assert lamp.online
    assert steps.all == ["connect lamp", "drive lamp False"]

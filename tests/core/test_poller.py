"""The poller, in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from edgekernel import Device, Effect, Message, Runtime, message, reading

if TYPE_CHECKING:
    from edgekernel.sim import SimClock


class Simulation(Protocol):
    """The fixture `sim`."""

    clock: SimClock

    def runtime(self, **options: Any) -> Runtime: ...
    def advance(self, seconds: float) -> None: ...


class Sensor(Device):
    """Notes when it is polled; takes time and fails where it is told to."""

    a = reading(int)
    b = reading(int)

    def __init__(self, id: str, every: float = 1.0, group: str = "bus") -> None:
        super().__init__(id)
        self.every = every
        self.poll_group = group
        self.polled_at: list[float] = []
        self.durations: list[float] = []
        self.failures: list[Exception | None] = []
        self.before_poll: Callable[[], object] | None = None

    def poll(self) -> None:
        self.polled_at.append(round(self.clock.monotonic(), 6))
        if self.durations:
            self.clock.sleep(self.durations.pop(0))
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        n = len(self.polled_at)
        self.a.update(n)
        self.b.update(-n)


def booted(sim: Simulation, *sensors: Sensor) -> tuple[Runtime, list[Message]]:
    """A running runtime with these sensors, and all that it says."""
    runtime = sim.runtime()
    for sensor in sensors:
        runtime.register(sensor)
    said: list[Message] = []
    runtime.subscribe(Message, lambda event: said.append(event.payload))
    runtime.boot()
    return runtime, said


def test_each_device_at_its_own_interval(sim: Simulation) -> None:
    """P7: devices of one bus are polled when they are due, on their own grids, without drift."""
    quick, slow = Sensor("quick", 0.5), Sensor("slow", 2.0)
    quick.durations = [0.01] * 100
    booted(sim, quick, slow)
    sim.advance(5.9)
    assert quick.polled_at == [0.5 * n for n in range(12)]
    assert [round(at) for at in slow.polled_at] == [0, 2, 4]


def test_one_service_for_each_bus(sim: Simulation) -> None:
    """Devices of one group share a thread; a slow bus keeps no other bus waiting."""
    one, two, other = Sensor("one"), Sensor("two"), Sensor("other", group="other")
    one.durations = [30.0]
    runtime, _ = booted(sim, one, two, other)
    sim.advance(5.5)
    assert set(runtime.services) == {"poll:bus", "poll:other"}
    assert other.polled_at == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert two.polled_at == []


def test_a_slow_poll_skips_what_it_missed(sim: Simulation) -> None:
    """P7: after a long poll the next one is on the grid; missed ones are not bunched."""
    sensor = Sensor("sensor")
    sensor.durations = [0.0, 2.5, 0.0]
    booted(sim, sensor)
    sim.advance(5.5)
    assert sensor.polled_at == [0.0, 1.0, 4.0, 5.0]


def test_all_readings_of_one_poll_change_together(sim: Simulation) -> None:
    """P4: an effect on two readings of a device never sees one of them new and the other old."""
    sensor = Sensor("sensor")
    booted(sim, sensor)
    sim.advance(0.5)
    seen: list[tuple[int, int]] = []
    effect = Effect(lambda: seen.append((sensor.a.value, sensor.b.value)))
    sim.advance(2.0)
    assert seen == [(1, -1), (2, -2), (3, -3)]
    effect.dispose()


def test_offline_and_online_again(sim: Simulation) -> None:
    """A poll that fails puts the device offline, told once; the next success brings it back."""
    sensor = Sensor("sensor")
    sensor.failures = [None, OSError("no answer"), OSError("no answer"), None]
    _, said = booted(sim, sensor)
    sim.advance(1.5)
    assert not sensor.online
    assert sensor.a.sample.reason == "offline: OSError: no answer"
    sim.advance(3.5)
    assert sensor.online
    assert sensor.a.value >= 4
    told = [m for m in said if isinstance(m, message.DeviceOffline | message.DeviceFailed)]
    assert told == [message.DeviceOffline("sensor", "OSError: no answer")]
    assert [m for m in said if isinstance(m, message.DeviceOnline)] == [
        message.DeviceOnline("sensor"),
        message.DeviceOnline("sensor"),
    ]


def test_a_device_that_stays_away_is_tried_less_and_less(sim: Simulation) -> None:
    """P7: tries of a dead device come after its own interval, then twice that, up to a minute, a
    fifth more or less; it is polled at its interval, on its grid, as soon as it answers."""
    sensor = Sensor("sensor", every=2.0)
    sensor.failures = [OSError("dead")] * 12
    booted(sim, sensor)
    sim.advance(600.0)
    tries = sensor.polled_at[:13]
    for (before, after), pause in zip(pairwise(tries), [2, 4, 8, 16, 32, *[60] * 7], strict=True):
        assert 0.8 * pause - 1e-6 <= after - before <= 1.2 * pause + 1e-6
    assert sensor.online
    assert {at % 2.0 for at in sensor.polled_at[13:]} == {0.0}
    assert 0 < sensor.polled_at[13] - tries[-1] <= 2.0


def test_a_slow_device_is_not_tried_more_often_than_it_is_polled(sim: Simulation) -> None:
    """With an interval above a minute, failures leave the interval as it is."""
    sensor = Sensor("sensor", every=300.0)
    sensor.failures = [OSError("dead")] * 100
    booted(sim, sensor)
    sim.advance(3000.0)
    assert all(240.0 <= b - a <= 360.0 for a, b in pairwise(sensor.polled_at))


def test_a_dead_chip_with_long_timeouts_keeps_its_bus_free(sim: Simulation) -> None:
    """P7: a device that takes two seconds to fail costs the others of its bus a few of their
    polls, not most of them."""
    dead, good = Sensor("dead"), Sensor("good")
    dead.durations, dead.failures = [2.0] * 1000, [OSError("no answer")] * 1000
    booted(sim, dead, good)
    sim.advance(3600.0)
    assert len(dead.polled_at) < 75
    assert len(good.polled_at) > 0.94 * 3600


def test_a_device_that_is_asked_for_is_tried_at_once(sim: Simulation) -> None:
    """`poll_at` does not wait for the backoff, and its success ends it."""
    sensor = Sensor("sensor")
    sensor.failures = [OSError("dead")] * 8
    booted(sim, sensor)
    sim.advance(100.0)
    assert len(sensor.polled_at) < 9
    before = len(sensor.polled_at)
    sensor.failures.clear()
    sensor.poll_at(sim.clock.monotonic_ns())
    sim.advance(2.5)
    assert sensor.online
    assert sensor.polled_at[before:] == [100.0, 101.0, 102.0]


def test_status_tells_how_each_device_answers(sim: Simulation) -> None:
    """`status()` has for each device whether it answers, the failures in a row, when the next try
    and the last success are, and the last error; a device that is not polled has no times."""

    class Contact(Device):
        closed = reading(bool)

    sensor, contact = Sensor("sensor"), Contact("contact")
    sensor.failures = [None, None, *[OSError("no answer")] * 2]
    runtime, _ = booted(sim, sensor)
    runtime.hot_add(contact)
    sim.advance(0.5)
    assert runtime.status()["devices"] == {
        "sensor": {
            "online": True,
            "failures": 0,
            "next_poll_in_s": 0.5,
            "last_poll_age_s": 0.5,
            "last_error": "",
        },
        "contact": {
            "online": True,
            "failures": 0,
            "next_poll_in_s": None,
            "last_poll_age_s": None,
            "last_error": "",
        },
    }
    sim.advance(3.0)
    status = runtime.status()["devices"]["sensor"]
    assert (status["online"], status["failures"]) == (False, 2)
    assert status["last_error"] == "OSError: no answer"
    assert status["last_poll_age_s"] == 2.5
    assert 0.0 < status["next_poll_in_s"] < 2.4
    sim.advance(3.0)
    status = runtime.status()["devices"]["sensor"]
    assert (status["online"], status["failures"]) == (True, 0)
    assert status["last_error"] == "OSError: no answer"


def test_a_bug_in_a_driver_is_told_with_its_traceback(sim: Simulation) -> None:
    """P3: what is no I/O error is also told as DeviceFailed; the other devices go on."""
    buggy, good = Sensor("buggy"), Sensor("good")
    buggy.failures = [None, ValueError("oops"), ValueError("oops")]
    runtime, said = booted(sim, buggy, good)
    sim.advance(5.5)
    [failed] = [m for m in said if isinstance(m, message.DeviceFailed)]
    assert (failed.device, failed.error) == ("buggy", "ValueError: oops")
    assert "raise failure" in failed.traceback
    assert buggy.online
    assert len(good.polled_at) == 6
    assert runtime.status()["services"]["poll:bus"]["restarts"] == 0


def test_a_poll_can_be_asked_for(sim: Simulation) -> None:
    """A device may ask to be polled at a time beside the regular ones."""
    sensor = Sensor("sensor", every=10.0)
    booted(sim, sensor)
    sim.advance(1.0)
    sensor.poll_at(3 * 10**9)
    sensor.poll_at(4 * 10**9)
    sim.advance(11.0)
    assert sensor.polled_at == [0.0, 4.0, 10.0]


def test_asking_outside_of_a_runtime_does_nothing() -> None:
    """Before the boot nothing polls, and asking is harmless."""
    sensor = Sensor("sensor")
    sensor.poll_at(0)
    assert sensor.polled_at == []


def test_asking_from_within_a_poll(sim: Simulation) -> None:
    """A driver that asks in its own poll to be polled soon is polled then."""

    class Eager(Sensor):
        def poll(self) -> None:
            super().poll()
            if len(self.polled_at) == 1:
                self.poll_at(self.clock.monotonic_ns() + 25 * 10**7)

    sensor = Eager("sensor", every=1.0)
    booted(sim, sensor)
    sim.advance(1.5)
    assert sensor.polled_at == [0.0, 0.25, 1.0]


def test_no_poll_after_the_shutdown(sim: Simulation) -> None:
    """P5: a detached device is not polled."""
    sensor = Sensor("sensor")
    runtime, _ = booted(sim, sensor)
    sim.advance(2.5)
    runtime.shutdown()
    sim.advance(10.0)
    assert sensor.polled_at == [0.0, 1.0, 2.0]


def test_added_and_removed_while_it_runs(sim: Simulation) -> None:
    """P12: a device is polled from its adding to its removal, and others go on undisturbed."""
    first, second = Sensor("first"), Sensor("second", every=0.5)
    runtime, _ = booted(sim, first)
    sim.advance(1.25)
    runtime.hot_add(second)
    sim.advance(1.6)
    runtime.hot_remove("second")
    sim.advance(2.0)
    assert first.polled_at == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert second.polled_at == [1.25, 1.75, 2.25, 2.75]


def test_taking_out_waits_for_a_poll_but_not_for_ever(sim: Simulation) -> None:
    """P12: a poll that hangs keeps the removal of its device only for a while."""
    hanging, other = Sensor("hanging"), Sensor("other")
    hanging.durations = [100.0]
    runtime, _ = booted(sim, hanging, other)
    sim.advance(0.5)
    runtime.hot_remove("hanging")
    assert 0.5 < sim.clock.monotonic() < 5.0
    assert list(runtime.devices) == ["other"]
    sim.advance(103.0)
    assert hanging.polled_at == [0.0]
    assert len(other.polled_at) >= 3


def test_a_device_that_removes_another_in_its_poll(sim: Simulation) -> None:
    """P12: a driver may have another device of its bus taken out while it is polled."""

    class Removing(Sensor):
        def poll(self) -> None:
            super().poll()
            if len(self.polled_at) == 2:
                runtime: Any = self.ctx.runtime
                runtime.hot_remove("other")

    removing, other = Removing("removing"), Sensor("other")
    runtime, _ = booted(sim, removing, other)
    sim.advance(3.5)
    assert removing.polled_at == [0.0, 1.0, 2.0, 3.0]
    assert len(other.polled_at) <= 2
    assert list(runtime.devices) == ["removing"]


def test_a_poll_that_raises_whatever_ends_no_other(sim: Simulation) -> None:
    """P3: an error of any class in one poll leaves the other devices of the bus polled."""

    class Exiting(Sensor):
        def poll(self) -> None:
            super().poll()
            raise SystemExit(1)

    exiting, good = Exiting("exiting"), Sensor("good")
    runtime, said = booted(sim, exiting, good)
    sim.advance(20.5)
    assert (len(good.polled_at), len(exiting.polled_at)) == (21, 5)
    assert (exiting.online, good.online) == (False, True)
    assert exiting.a.sample.reason == "offline: SystemExit: 1"
    assert [m.device for m in said if isinstance(m, message.DeviceFailed)] == ["exiting"]
    assert runtime.status()["services"]["poll:bus"]["restarts"] == 0


@pytest.mark.parametrize("every", [0.0, -1.0, 1e-12, float("nan"), float("inf")])
def test_an_impossible_interval_concerns_its_device_only(sim: Simulation, every: float) -> None:
    """P3: a device whose interval is set to nonsense as it runs is offline and says why, until
    the interval is right again; the others of its bus are polled."""
    wrong, good = Sensor("wrong"), Sensor("good")
    runtime, _ = booted(sim, wrong, good)
    sim.advance(2.5)
    wrong.every = every
    sim.advance(10.0)
    assert len(good.polled_at) == 13
    assert (wrong.online, good.online) == (False, True)
    assert f"every is {every!r}; it must be above 0" in wrong.a.sample.reason
    wrong.every = 1.0
    sim.advance(2.0)
    assert wrong.online
    assert runtime.status()["services"]["poll:bus"]["restarts"] == 0


def test_a_poller_that_fails_leaves_no_device_online(sim: Simulation) -> None:
    """P5: when nobody polls any more, no device of the bus claims that it is well."""

    class Odd(Sensor):
        def set_offline(self, error: str) -> None:
            raise ValueError("cannot even say so")

    odd, good = Odd("odd"), Sensor("good")
    runtime, _ = booted(sim, odd, good)
    sim.advance(1.5)
    odd.failures = [OSError("gone")] * 100
    sim.advance(300.0)
    assert runtime.status()["services"]["poll:bus"]["state"] == "failed"
    assert (odd.online, good.online) == (False, False)
    assert good.a.sample.reason == ("offline: poll:bus has failed: ValueError: cannot even say so")

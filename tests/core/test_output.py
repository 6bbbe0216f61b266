"""Outputs: setpoint, readback, safe value (promise P8)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Device, Effect, Process, Quality, Runtime, Signal, effect, output
from edgekernel.core.errors import (
    BadReadingError,
    BootError,
    ConfigError,
    HeldSafeError,
    InvalidValueError,
    UnavailableError,
)

LONG_S = 10.0

MakeRuntime = Callable[..., Runtime]


class Dimmer(Device):
    """Two outputs, one with a safe value and one without."""

    level = output(int, safe=0, range=(0, 100), unit="%")
    label = output(str, safe=None)

    def __init__(self, id: str = "dimmer") -> None:
        super().__init__(id)
        self.driven: list[int | str] = []
        self.failure: BaseException | None = None
        self.delay_s = 0.0

    @level.drive
    def drive_level(self, value: int) -> int:
        if self.delay_s:
            self.clock.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        self.driven.append(value)
        return value

    @label.drive
    def drive_label(self, value: str) -> str:
        self.driven.append(value)
        return value.upper()


@pytest.fixture
def dimmer(make_runtime: MakeRuntime) -> Dimmer:
    """A dimmer in a running runtime."""
    runtime, device = make_runtime(), Dimmer()
    runtime.register(device)
    runtime.boot()
    return device


def test_begins_safe(dimmer: Dimmer) -> None:
    """P8: attaching drives the safe value and nothing else; without one nothing is driven."""
    assert dimmer.driven == [0]
    assert (dimmer.level.setpoint, dimmer.level.value) == (0, 0)
    assert dimmer.label.setpoint is None
    with pytest.raises(BadReadingError, match="no value yet"):
        dimmer.label.get()


def test_set_drives(dimmer: Dimmer) -> None:
    """A set drives at once; the setpoint is what was asked, the readback what is reported."""
    dimmer.level.set(40)
    dimmer.label.set("hall")
    assert dimmer.driven == [0, 40, "hall"]
    assert (dimmer.level.setpoint, dimmer.level.value) == (40, 40)
    assert (dimmer.label.setpoint, dimmer.label.get()) == ("hall", "HALL")


def test_setting_the_same_drives_again(dimmer: Dimmer) -> None:
    """Setting what is set drives once more and so heals a lost write, but changes no signal."""
    seen: list[int] = []
    effect = Effect(lambda: seen.append(dimmer.level.value))
    dimmer.level.set(40)
    dimmer.level.set(40)
    assert dimmer.driven == [0, 40, 40]
    assert seen == [0, 40]
    effect.dispose()


@pytest.mark.parametrize("value", [101, -1, 4.5, "4", True, None])
def test_a_value_that_is_not_allowed_drives_nothing(dimmer: Dimmer, value: int) -> None:
    """A wrong value is refused with what is allowed, and the output stays."""
    with pytest.raises(InvalidValueError, match="an integer from 0 to 100 %"):
        dimmer.level.set(value)
    assert dimmer.driven == [0]
    assert dimmer.level.value == 0


@given(values=st.lists(st.integers(-200, 300), max_size=20))
def test_only_allowed_values_reach_the_driver(values: list[int]) -> None:
    """P8: whatever is asked for, the driver gets values of the range only, in order."""
    runtime, device = Runtime(shutdown_limit_s=5.0), Dimmer()
    runtime.register(device)
    with runtime:
        for value in values:
            try:
                device.level.set(value)
            except InvalidValueError:
                assert not 0 <= value <= 100
    assert device.driven == [0, *(value for value in values if 0 <= value <= 100), 0]


def test_not_before_the_device_is_attached() -> None:
    """P8: nothing is driven before the boot."""
    device = Dimmer()
    with pytest.raises(UnavailableError, match=r"dimmer\.level: .*the device is not attached"):
        device.level.set(40)
    assert device.driven == []


def test_not_after_the_device_is_detached(make_runtime: MakeRuntime) -> None:
    """P8: after the shutdown the output stays safe; a set is refused with the reason."""
    runtime, device = make_runtime(), Dimmer()
    runtime.register(device)
    runtime.boot()
    device.level.set(40)
    runtime.shutdown()
    with pytest.raises(UnavailableError, match="the device is not attached"):
        device.level.set(50)
    assert device.driven == [0, 40, 0]


def test_hold_safe(dimmer: Dimmer) -> None:
    """P8: holding safe drives the safe value once and refuses all else with the reason."""
    dimmer.level.set(40)
    dimmer.level.hold_safe("the link is lost")
    dimmer.label.hold_safe("the link is lost")
    with pytest.raises(UnavailableError, match=r"dimmer\.level: not set to 50: the link is lost"):
        dimmer.level.set(50)
    with pytest.raises(UnavailableError, match="the link is lost"):
        dimmer.label.set("x")
    dimmer.level.hold_safe("still lost")
    assert dimmer.driven == [0, 40, 0]
    dimmer.level.release()
    dimmer.level.set(60)
    assert dimmer.driven == [0, 40, 0, 0, 60]


@pytest.mark.parametrize("error", [OSError("no answer"), RuntimeError("a bug in the driver")])
def test_a_driver_that_fails(dimmer: Dimmer, error: Exception) -> None:
    """P8: whatever the driver raises, the set is refused and the readback BAD, until it works."""
    dimmer.level.set(40)
    dimmer.failure = error
    with pytest.raises(UnavailableError, match=rf"dimmer\.level: not set to 50: .*{error}"):
        dimmer.level.set(50)
    assert dimmer.level.setpoint == 40
    assert dimmer.level.readback.quality is Quality.BAD
    with pytest.raises(BadReadingError, match=str(error)):
        dimmer.level.get()
    dimmer.failure = None
    dimmer.level.set(50)
    assert dimmer.level.value == 50


def test_effects_run_after_the_write(dimmer: Dimmer) -> None:
    """P2: what depends on an output runs when its write is over, and may set it again."""
    seen: list[tuple[int | None, int]] = []

    def follow() -> None:
        seen.append((dimmer.level.setpoint, dimmer.level.value))
        if dimmer.level.value == 40:
            dimmer.level.set(41)

    effect = Effect(follow)
    dimmer.level.set(40)
    assert seen == [(0, 0), (40, 40), (41, 41)]
    effect.dispose()


def test_sets_from_many_threads(dimmer: Dimmer, eager_switching: None) -> None:
    """P8: setpoint, readback and what was driven last agree, whoever set."""

    def work(first: int) -> None:
        for n in range(100):
            dimmer.level.set((first * 25 + n) % 101)

    threads = [threading.Thread(target=partial(work, k)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert len(dimmer.driven) == 401
    assert dimmer.driven[-1] == dimmer.level.setpoint == dimmer.level.value


def test_no_set_comes_after_hold_safe(dimmer: Dimmer, eager_switching: None) -> None:
    """P8: when threads keep setting, the safe value is the last that is driven."""
    refused: list[int] = []

    def work() -> None:
        for n in range(1, 2000):
            try:
                dimmer.level.set(n % 100 + 1)
            except UnavailableError:
                refused.append(n)
                return

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    dimmer.level.hold_safe("enough")
    for thread in threads:
        thread.join(LONG_S)
    assert dimmer.driven[-1] == 0
    assert dimmer.level.value == 0


def test_each_instance_has_its_own(make_runtime: MakeRuntime) -> None:
    """Two devices of one class have outputs of their own, in the order of the declaration."""
    runtime, one, two = make_runtime(), Dimmer("one"), Dimmer("two")
    runtime.register(one)
    runtime.register(two)
    runtime.boot()
    one.level.set(10)
    assert (one.level.value, two.level.value) == (10, 0)
    assert list(one.outputs) == ["level", "label"]
    assert one.outputs["level"] is one.level


def test_an_overridden_driver_method_is_used(make_runtime: MakeRuntime) -> None:
    """A subclass may override the method that drives."""

    class Inverted(Dimmer):
        def drive_level(self, value: int) -> int:
            return 100 - super().drive_level(100 - value)

    runtime, device = make_runtime(), Inverted()
    runtime.register(device)
    runtime.boot()
    device.level.set(30)
    assert device.driven == [100, 70]
    assert device.level.value == 30


def test_an_output_without_a_driver_is_a_mistake() -> None:
    """An output whose class marks no driver method says so."""

    class Forgotten(Device):
        power = output(bool, safe=False)

    with pytest.raises(TypeError, match=r"Forgotten\.power: no @power\.drive method"):
        Forgotten("x").outputs  # noqa: B018 (reading it is the test)


def test_a_safe_write_that_fails_is_tried_again(dimmer: Dimmer, make_runtime: MakeRuntime) -> None:
    """P8: one failing write does not leave the output on: the safe value is tried again."""
    dimmer.level.set(40)
    failures = [OSError("once"), OSError("twice")]

    def drive(value: int) -> int:
        if failures:
            raise failures.pop()
        dimmer.driven.append(value)
        return value

    dimmer.level._drive = drive
    dimmer.level.hold_safe("test")
    assert dimmer.driven[-1] == 0
    assert dimmer.level.value == 0


def test_what_could_not_be_made_safe_is_tried_at_the_next_call(dimmer: Dimmer) -> None:
    """P8: a hold that failed is not taken for done: detaching tries again."""
    dimmer.level.set(40)
    dimmer.failure = OSError("gone")
    with pytest.raises(UnavailableError, match="gone"):
        dimmer.level.hold_safe("test")
    dimmer.failure = None
    dimmer.detach()
    assert dimmer.driven[-1] == 0


def test_a_set_in_progress_when_it_is_held_ends_safe(dimmer: Dimmer) -> None:
    """P8: a driver that is still at work when the output is held drives the safe value last."""
    begun, go_on = threading.Event(), threading.Event()

    def drive(value: int) -> int:
        if value:
            begun.set()
            go_on.wait(LONG_S)
        dimmer.driven.append(value)
        return value

    dimmer.level._drive = drive
    setting = threading.Thread(target=dimmer.level.set, args=(40,))
    setting.start()
    begun.wait(LONG_S)
    with pytest.raises(UnavailableError, match="a write before this one hangs"):
        dimmer.level.hold_safe("test")
    go_on.set()
    setting.join(LONG_S)
    assert dimmer.driven[-2:] == [40, 0]
    assert dimmer.level.value == 0


def test_an_effect_that_fails_takes_its_outputs_to_safe(dimmer: Dimmer) -> None:
    """P8: an output falls to its safe value when the effect that drives it fails, and comes back
    when that works again."""
    wanted = Signal(40)
    effect = Effect(lambda: dimmer.level.set(100 // (100 // wanted.get())), on_error=lambda e: None)
    assert dimmer.level.value > 0
    wanted.set(0)
    assert dimmer.level.value == 0
    wanted.set(50)
    assert dimmer.level.value == 50
    effect.dispose()


def test_a_device_that_did_not_attach_takes_no_set(make_runtime: MakeRuntime) -> None:
    """P8: after an attach that failed half-way nothing drives the device."""

    class Broken(Dimmer):
        late = output(bool, safe=False)

        @late.drive
        def drive_late(self, value: bool) -> bool:
            raise OSError("no answer")

    runtime, device = make_runtime(), Broken()
    runtime.register(device)
    with pytest.raises(BootError):
        runtime.boot()
    device.driven.clear()
    with pytest.raises(HeldSafeError, match="not attached"):
        device.level.set(40)
    assert device.driven == []


def test_only_a_driver_is_tried_again_not_a_hanging_write(dimmer: Dimmer) -> None:
    """P8: an error of the driver's own kind is a failed write too, told by the readback."""
    dimmer.failure = UnavailableError("the driver says so")
    with pytest.raises(UnavailableError, match="the driver says so"):
        dimmer.level.set(40)
    assert dimmer.level.readback.quality is Quality.BAD
    dimmer.failure = None


class Untellable(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text either")


@pytest.mark.parametrize("error", [Untellable(), SystemExit(2), KeyboardInterrupt()])
def test_whatever_a_driver_raises_is_a_failed_write(dimmer: Dimmer, error: BaseException) -> None:
    """P8: an error without a text, or one that means to end the program, is a failed write."""
    dimmer.level.set(40)
    dimmer.failure = error
    with pytest.raises(UnavailableError, match=rf"dimmer\.level: .*{type(error).__name__}"):
        dimmer.level.hold_safe("test")
    assert dimmer.level.readback.quality is Quality.BAD
    dimmer.failure = None
    dimmer.level.hold_safe("test")
    assert dimmer.driven[-1] == 0


class LateWrite:
    """A write of 40 that hangs in the driver while the device is detached, and attached anew."""

    def __init__(self, dimmer: Dimmer, *, again: bool = True) -> None:
        self.go_on = threading.Event()
        self.refused: list[Exception] = []
        self._dimmer = dimmer
        self._begun = threading.Event()
        dimmer.level._drive = self._drive
        self._thread = threading.Thread(target=self._write)
        self._thread.start()
        assert self._begun.wait(LONG_S)
        dimmer.level.let_go()
        if again:
            dimmer.level.release()

    def come_through(self) -> None:
        self.go_on.set()
        self._thread.join(LONG_S)

    def _drive(self, value: int) -> int:
        if threading.current_thread() is self._thread and not self._begun.is_set():
            self._begun.set()
            self.go_on.wait(LONG_S)
        self._dimmer.driven.append(value)
        return value

    def _write(self) -> None:
        try:
            self._dimmer.level.set(40)
        except HeldSafeError as error:
            self.refused.append(error)


@pytest.mark.parametrize("wanted", [0, 70])
def test_a_late_write_does_not_count_on_a_new_attachment(dimmer: Dimmer, wanted: int) -> None:
    """P8: a write that hung while the device was attached anew is refused, and what was asked
    for since, or else the safe value, is driven again."""
    late = LateWrite(dimmer)
    if wanted:
        dimmer.level.set(wanted)
    late.come_through()
    assert len(late.refused) == 1
    assert dimmer.driven[-2:] == [40, wanted]
    assert (dimmer.level.setpoint, dimmer.level.value) == (wanted, wanted)


def test_a_late_write_does_not_count_without_an_attachment(dimmer: Dimmer) -> None:
    """What a write reports that comes through when no runtime has the device is BAD as well."""
    late = LateWrite(dimmer, again=False)
    late.come_through()
    assert 40 in dimmer.driven
    assert dimmer.level.readback.sample.reason == "detached"
    assert dimmer.level.readback.quality is Quality.BAD


@pytest.mark.parametrize(
    ("type_", "safe", "range_"),
    [(float, 200.0, (0, 100)), (bool, 1, None), (int, 0.5, None), (float, "off", None)],
)
def test_a_safe_value_that_cannot_be_driven_is_refused(
    type_: Any, safe: Any, range_: tuple[float, float] | None
) -> None:
    """P8: the safe value is one that the output takes; another is refused when declared."""
    with pytest.raises(ConfigError, match=rf"safe={safe!r} cannot be driven: the output takes"):
        output(type_, safe=safe, range=range_)


class Remote(Dimmer):
    """A dimmer that is asked every second whether it is there."""

    def poll(self) -> None:
        """Raise if it is not."""
        if self.failure is not None:
            raise self.failure


class Control(Process):
    """Sets the dimmer to a wish, and fails for one below 0."""

    name = "control"

    def __init__(self, dimmer: Dimmer) -> None:
        self.dimmer = dimmer
        self.wish = Signal(15)

    @effect
    def follow(self) -> None:
        if self.wish.get() < 0:
            raise ValueError("no wish")
        self.dimmer.level.set(self.wish.get())


@pytest.mark.parametrize("polled", [False, True])
def test_a_fallback_that_failed_is_tried_again(sim: Any, polled: bool) -> None:
    """P8: what drives the output fails while its hardware is away: the safe value is driven when
    the hardware is back, and not again after that."""
    dimmer, runtime = Remote() if polled else Dimmer(), sim.runtime()
    control = Control(dimmer)
    for part in (dimmer, control):
        runtime.register(part)
    with runtime:
        sim.advance(10)
        dimmer.failure = OSError("away")
        control.wish.set(-1)
        sim.advance(600)
        assert dimmer.driven == [0, 15]
        dimmer.failure = None
        sim.advance(75)
        assert dimmer.driven == [0, 15, 0]
        control.wish.set(20)
        sim.advance(600)
        assert dimmer.driven == [0, 15, 0, 20]


def test_a_set_takes_the_place_of_a_failed_fallback(sim: Any) -> None:
    """P8: if what drives it has recovered meanwhile, the output does not fall back later."""
    dimmer, runtime = Dimmer(), sim.runtime()
    control = Control(dimmer)
    for part in (dimmer, control):
        runtime.register(part)
    with runtime:
        dimmer.failure = OSError("away")
        control.wish.set(-1)
        dimmer.failure = None
        control.wish.set(25)
        sim.advance(60)
        assert dimmer.driven == [0, 15, 25]


def test_a_fallback_behind_a_write_that_hangs(sim: Any) -> None:
    """P8: what drives the output fails while a write of it hangs: when that has come through after
    all, the safe value follows."""
    dimmer, runtime = Dimmer(), sim.runtime()
    control = Control(dimmer)
    for part in (dimmer, control):
        runtime.register(part)
    with runtime:
        dimmer.delay_s = 20.0
        thread = runtime.clock.Thread(lambda: dimmer.level.set(80), "another")
        thread.start()
        sim.advance(1)
        dimmer.delay_s = 0.0
        control.wish.set(-1)
        sim.advance(30)
        assert dimmer.driven == [0, 15, 80, 0]

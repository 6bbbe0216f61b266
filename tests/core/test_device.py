"""Devices: lifecycle, online state, declarations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import (
    Context,
    Device,
    Effect,
    Message,
    Quality,
    ReadingSettings,
    Runtime,
    Sample,
    message,
    output,
    reading,
)
from edgekernel.core.errors import (
    BadReadingError,
    BootError,
    ConfigError,
    InvalidValueError,
    LifecycleError,
    UnavailableError,
)

MakeRuntime = Callable[..., Runtime]


class Heater(Device):
    """A device that notes what happens, and fails where it is told to."""

    power = output(bool, safe=False)
    temperature = reading(float)

    def __init__(self, id: str = "heater") -> None:
        super().__init__(id)
        self.steps: list[str] = []
        self.failing: dict[str, BaseException] = {}

    def note(self, step: str) -> None:
        self.steps.append(step)
        verb = step.partition(" ")[0]
        if verb in self.failing:
            raise self.failing[verb]

    def connect(self) -> None:
        self.note("connect")

    def disconnect(self) -> None:
        self.note("disconnect")

    @power.drive
    def drive(self, value: bool) -> bool:
        self.note(f"drive {value}")
        return value


def record(runtime: Runtime) -> list[Message]:
    """Collect everything that is said from now on."""
    found: list[Message] = []
    runtime.subscribe(Message, lambda event: found.append(event.payload))
    return found


@pytest.fixture
def attached(make_runtime: MakeRuntime) -> tuple[Heater, list[Message]]:
    """An attached heater and what is said after that."""
    runtime, heater = make_runtime(), Heater()
    heater.attach(Context(runtime, heater.id))
    return heater, record(runtime)


def test_attach_and_detach(make_runtime: MakeRuntime) -> None:
    """P8: connect, then safe; at the end safe, then disconnect; each told."""
    runtime, heater = make_runtime(), Heater()
    said = record(runtime)
    heater.attach(Context(runtime, heater.id))
    assert (heater.attached, heater.online) == (True, True)
    heater.power.set(True)
    heater.detach()
    heater.detach()
    assert (heater.attached, heater.online) == (False, False)
    assert heater.steps == ["connect", "drive False", "drive True", "drive False", "disconnect"]
    assert said == [
        message.DeviceAttached("heater"),
        message.DeviceOnline("heater"),
        message.DeviceDetached("heater"),
    ]


@pytest.mark.parametrize("step", ["connect", "drive"])
def test_a_failing_attach_lets_go(make_runtime: MakeRuntime, step: str) -> None:
    """P5: what fails in attach is told and raised, and the hardware is let go of."""
    runtime, heater = make_runtime(), Heater()
    heater.failing[step] = OSError("no answer")
    said = record(runtime)
    with pytest.raises(Exception, match="no answer"):
        heater.attach(Context(runtime, heater.id))
    assert heater.steps[-1] == "disconnect"
    assert not heater.attached
    [failed] = said
    assert isinstance(failed, message.DeviceFailed)
    assert "no answer" in failed.error
    assert "Traceback" in failed.traceback


class Untellable(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text either")


@pytest.mark.parametrize(
    "error", [OSError("stuck"), Untellable(), SystemExit(2), KeyboardInterrupt()]
)
@pytest.mark.parametrize("step", ["drive", "disconnect"])
def test_detach_never_raises(
    attached: tuple[Heater, list[Message]], step: str, error: BaseException
) -> None:
    """P6: whatever fails in detach is told, and the device still leaves."""
    heater, said = attached
    heater.failing[step] = error
    heater.detach()
    assert heater.steps[-1] == "disconnect"
    assert not heater.attached
    assert [type(each) for each in said] == [message.DeviceFailed, message.DeviceDetached]


def test_online_and_offline_are_told_on_change(attached: tuple[Heater, list[Message]]) -> None:
    """Only a change of the online state is a message; offline makes the readings BAD."""
    heater, said = attached
    heater.temperature.update(20.0)
    heater.set_online()
    heater.set_offline("unplugged")
    heater.set_offline("still unplugged")
    assert heater.temperature.quality is Quality.BAD
    with pytest.raises(BadReadingError, match="offline: still unplugged"):
        heater.temperature.get()
    heater.set_online()
    assert said == [message.DeviceOffline("heater", "unplugged"), message.DeviceOnline("heater")]


def test_readbacks_of_a_device_that_is_offline(
    attached: tuple[Heater, list[Message]],
) -> None:
    """Nobody knows what the outputs of a device do that does not answer: their readbacks are BAD
    until it answers again; then they are driven as they were."""
    heater, _ = attached
    heater.power.set(True)
    heater.set_offline("unplugged")
    assert heater.power.readback.sample.reason == "offline: unplugged"
    assert heater.power.setpoint is True
    heater.steps.clear()
    heater.set_online()
    assert heater.steps == ["drive True"]
    assert heater.power.value is True


def test_an_output_that_failed_is_safe_when_its_device_is_back(
    attached: tuple[Heater, list[Message]],
) -> None:
    """Of an output whose last write failed nobody knows the state: it is safe when the device
    answers again, and its readback is no longer BAD."""
    heater, _ = attached
    heater.power.set(True)
    heater.failing["drive"] = OSError("no answer")
    heater.set_offline("no answer")
    with pytest.raises(UnavailableError):
        heater.power.set(False)
    heater.set_online()
    assert not heater.power.is_safe
    heater.set_offline("no answer")
    heater.failing.clear()
    heater.set_online()
    assert (heater.power.setpoint, heater.power.value, heater.power.is_safe) == (False, False, True)


class Carrier(Heater):
    """A device on which others hang."""

    carries = True


def test_a_device_is_offline_with_what_carries_it(make_runtime: MakeRuntime) -> None:
    """A device that nobody polls is offline while any of what carries it is, and is back with the
    last of them; so is one that is carried by that one."""
    runtime = make_runtime()
    ids = ("left", "right", "both", "behind", "other")
    left, right, both, behind, other = (Carrier(id) for id in ids)
    both.depends, behind.depends = ("left", "right"), ("both",)
    for device in (left, right, both, behind, other):
        runtime.register(device)
    runtime.boot()
    left.set_offline("gone")
    right.set_offline("gone too")
    assert [each.online for each in (both, behind, other)] == [False, False, True]
    left.set_online()
    assert [each.online for each in (both, behind)] == [False, False]
    right.set_online()
    assert [each.online for each in (both, behind)] == [True, True]
    both.set_offline("its own trouble")
    left.set_offline("gone")
    left.set_online()
    assert not both.online


def test_readings_are_bad_after_detach(attached: tuple[Heater, list[Message]]) -> None:
    """A detached device has no trustworthy readings."""
    heater, _ = attached
    heater.temperature.update(20.0)
    heater.detach()
    with pytest.raises(BadReadingError, match="detached"):
        heater.temperature.get()


def test_readbacks_are_bad_after_detach(make_runtime: MakeRuntime) -> None:
    """Of a detached device nobody knows what its outputs do: their readbacks are BAD and say why,
    until the device is attached again."""
    runtime, heater = make_runtime(), Heater()
    heater.attach(Context(runtime, heater.id))
    heater.power.set(True)
    heater.detach()
    assert heater.power.readback.sample == Sample(
        False, Quality.BAD, heater.power.readback.sample.time_ns, "detached"
    )
    with pytest.raises(BadReadingError, match="detached"):
        heater.power.get()
    heater.attach(Context(runtime, heater.id))
    assert heater.power.value is False


def test_a_readback_that_is_bad_keeps_its_reason(attached: tuple[Heater, list[Message]]) -> None:
    """An output that could not be made safe says that, also when its device is detached."""
    heater, _ = attached
    heater.power.set(True)
    heater.failing["drive"] = OSError("no answer")
    heater.detach()
    assert heater.power.readback.sample.reason == "the driver failed: OSError: no answer"


def test_hot_remove_leaves_no_good_readback(make_runtime: MakeRuntime) -> None:
    """P12: what follows a readback hears that its device was removed."""
    runtime, heater = make_runtime(), Heater()
    runtime.attach_device(heater)
    with runtime:
        heater.power.set(True)
        seen: list[tuple[Quality, str]] = []

        def look() -> None:
            sample = heater.power.readback.sample
            seen.append((sample.quality, sample.reason))

        effect = Effect(look)
        runtime.hot_remove("heater")
        effect.dispose()
        assert seen[0] == (Quality.GOOD, "")
        assert seen[-1] == (Quality.BAD, "detached")


def test_context_only_while_attached(attached: tuple[Heater, list[Message]]) -> None:
    """The context is there while the device is attached; else the error says when to use it."""
    heater, _ = attached
    assert heater.ctx.source == "heater"
    heater.detach()
    with pytest.raises(LifecycleError, match=r"heater: no context.*Use self\.ctx from connect"):
        heater.ctx  # noqa: B018 (reading it is the test)


def test_hold_safe_tries_every_output(make_runtime: MakeRuntime) -> None:
    """P8: an output that cannot be made safe keeps no other from it; all failures are raised."""

    class Two(Heater):
        light = output(bool, safe=False)
        bell = output(bool, safe=False)

        @light.drive
        def drive_light(self, value: bool) -> bool:
            self.note(f"light {value}")
            return value

        @bell.drive
        def drive_bell(self, value: bool) -> bool:
            self.note(f"bell {value}")
            return value

    two = Two()
    two.attach(Context(make_runtime(), two.id))
    two.failing = {"drive": OSError("first"), "bell": OSError("last")}
    two.steps.clear()
    with pytest.raises(ExceptionGroup, match="heater: outputs that could not be made safe") as e:
        two.hold_safe("test")
    tries = 3
    assert two.steps == ["drive False"] * tries + ["light False"] + ["bell False"] * tries
    assert len(e.value.exceptions) == 2
    two.failing.clear()


def test_declarations_are_inherited_and_can_be_replaced() -> None:
    """A subclass has its base's readings and outputs, adds its own, and may take one out."""

    class Better(Heater):
        humidity = reading(float)

    class Blind(Better):
        temperature = None  # type: ignore[assignment]

    assert list(Better("b").readings) == ["temperature", "humidity"]
    assert list(Better("b").outputs) == ["power"]
    assert list(Heater("h").readings) == ["temperature"]
    assert list(Blind("x").readings) == ["humidity"]


def test_polled_means_it_has_a_poll_method() -> None:
    """A driver measures by polling exactly if it defines `poll`."""

    class Polled(Heater):
        def poll(self) -> None:
            self.temperature.update(20.0)

    assert Polled("p").polled
    assert not Heater("h").polled


def test_a_constructor_touches_no_hardware(make_runtime: MakeRuntime) -> None:
    """P5: making, declaring and registering a device connects nothing."""
    heater = Heater()
    make_runtime().register(heater)
    assert list(heater.outputs) == ["power"]
    assert heater.steps == []


def test_a_device_may_join_another_runtime_later(make_runtime: MakeRuntime) -> None:
    """A device whose boot failed, or whose runtime ended, can be used again in a new one."""
    heater = Heater()
    heater.failing["connect"] = OSError("not yet")
    first: Any = make_runtime()
    first.register(heater)
    with pytest.raises(BootError):
        first.boot()
    heater.failing.clear()
    second = make_runtime()
    second.register(heater)
    second.boot()
    heater.power.set(True)
    assert heater.power.value is True


@pytest.mark.parametrize("error", [Untellable(), SystemExit(2), KeyboardInterrupt()])
def test_no_error_of_a_driver_leaves_another_output_on(
    make_runtime: MakeRuntime, error: BaseException
) -> None:
    """P8: whatever kind of error a driver raises, the other outputs are made safe."""

    class Two(Heater):
        light = output(bool, safe=False)

        @light.drive
        def drive_light(self, value: bool) -> bool:
            self.note(f"light {value}")
            return value

    runtime, two = make_runtime(), Two()
    runtime.register(two)
    runtime.boot()
    two.light.set(True)
    two.failing = {"drive": error}
    runtime.shutdown()
    after = two.steps[two.steps.index("light True") :]
    assert "light False" in after
    assert after[-1] == "disconnect"
    assert not two.attached


def test_a_device_belongs_to_one_runtime(make_runtime: MakeRuntime) -> None:
    """P5: a second runtime cannot attach a device, and the first one keeps it."""
    first, second, heater = make_runtime(), make_runtime(name="other"), Heater()
    first.register(heater)
    first.boot()
    with pytest.raises(LifecycleError, match="the runtime 'edgekernel' has this very part"):
        second.register(heater)
    with pytest.raises(LifecycleError, match="attached to 'edgekernel' already"):
        heater.attach(Context(second, heater.id))
    heater.power.set(True)
    assert heater.power.value is True
    assert heater.steps.count("connect") == 1


def test_an_attach_that_means_to_end_the_program_lets_go(make_runtime: MakeRuntime) -> None:
    """P5: a `connect` that calls sys.exit leaves nothing half attached."""
    heater = Heater()
    heater.failing["connect"] = SystemExit(2)
    with pytest.raises(SystemExit):
        heater.attach(Context(make_runtime(), heater.id))
    assert heater.steps == ["connect", "disconnect"]
    assert not heater.attached


def test_added_readings(make_runtime: MakeRuntime) -> None:
    """A reading that a node file names is one device's own, and shares the fate of the others."""
    runtime, heater = make_runtime(), Heater()
    settings = ReadingSettings(unit="%", range=(0, 100), precision=1)
    humidity = heater.add_reading("humidity", float, settings)
    assert heater.readings == {"temperature": heater.temperature, "humidity": humidity}
    assert "humidity" not in Heater().readings
    heater.attach(Context(runtime, heater.id))
    humidity.update(40.0)
    assert humidity.value == 40.0
    humidity.update(140.0)
    with pytest.raises(BadReadingError, match=r"heater\.humidity: 140\.0 is not a number from 0"):
        _ = humidity.value
    heater.set_offline("unplugged")
    assert humidity.sample.reason == "offline: unplugged"


@pytest.mark.parametrize(
    ("name", "settings", "wrong"),
    [
        ("temperature", ReadingSettings(), "taken"),
        ("power", ReadingSettings(), "taken"),
        ("poll", ReadingSettings(), "taken"),
        ("twice", ReadingSettings(), "taken"),
        ("no-name", ReadingSettings(), "a-z, 0-9 and _"),
        ("Upper", ReadingSettings(), "a-z, 0-9 and _"),
        ("empty", ReadingSettings(range=(1, 0)), r"range \(1, 0\)"),
    ],
)
def test_wrong_added_readings(name: str, settings: ReadingSettings, wrong: str) -> None:
    """A reading whose name is taken or no name, or whose range is empty, is refused by name."""
    heater = Heater()
    heater.add_reading("twice", int, ReadingSettings())
    with pytest.raises(ConfigError, match=rf"readings\.{name}: .*{wrong}"):
        heater.add_reading(name, float, settings)


def test_added_outputs(make_runtime: MakeRuntime) -> None:
    """An output that a node file names is driven by its function, and made safe as the others."""
    runtime, heater, driven = make_runtime(), Heater(), []

    def drive(value: float) -> float:
        driven.append(value)
        return value

    settings = ReadingSettings(unit="%", range=(0, 100))
    speed = heater.add_output("speed", float, settings, safe=10.0, drive=drive)
    assert heater.outputs == {"power": heater.power, "speed": speed}
    assert "speed" not in Heater().outputs
    heater.attach(Context(runtime, heater.id))
    speed.set(55.0)
    with pytest.raises(InvalidValueError, match="a number from 0 to 100 %"):
        speed.set(101.0)
    heater.detach()
    assert driven == [10.0, 55.0, 10.0]
    assert (speed.last, speed.readback.sample.reason) == (10.0, "detached")


@pytest.mark.parametrize(
    ("name", "safe", "wrong"),
    [
        ("power", 0.0, "taken"),
        ("humidity", 0.0, "taken"),
        ("twice", 0.0, "taken"),
        ("no-name", 0.0, "an output's name"),
        ("speed", 11.0, "safe=11.0"),
    ],
)
def test_wrong_added_outputs(name: str, safe: float, wrong: str) -> None:
    """An output whose name is taken or no name, or whose safe value cannot be, is refused."""
    heater = Heater()
    heater.add_reading("humidity", float, ReadingSettings())
    heater.add_output("twice", int, ReadingSettings(), safe=None, drive=lambda value: value)
    settings = ReadingSettings(range=(0, 10))
    with pytest.raises(ConfigError, match=rf"outputs\.{name}: .*{wrong}"):
        heater.add_output(name, float, settings, safe=safe, drive=lambda value: value)


def test_an_output_does_not_count_up() -> None:
    """What is only said of a meter is refused for an output, and not passed over."""
    with pytest.raises(ConfigError, match=r"outputs\.speed: counts_up is for a reading"):
        Heater().add_output(
            "speed", float, ReadingSettings(counts_up=True), safe=0.0, drive=lambda value: value
        )


class TwoRelays(Device):
    """Two outputs, of which each driver does what the test says."""

    one = output(bool, safe=False)
    two = output(bool, safe=False)

    def __init__(self) -> None:
        super().__init__("relays")
        self.levels: dict[str, bool] = {}
        self.at_one: Callable[[bool], object] = bool
        self.at_two: Callable[[bool], object] = bool

    @one.drive
    def drive_one(self, value: bool) -> bool:
        self.at_one(value)
        self.levels["one"] = value
        return value

    @two.drive
    def drive_two(self, value: bool) -> bool:
        self.at_two(value)
        self.levels["two"] = value
        return value


def test_what_was_set_during_an_attach_that_fails_is_made_safe(make_runtime: MakeRuntime) -> None:
    """P8: an output that somebody has set before the next one failed does not stay on."""
    relays, runtime = TwoRelays(), make_runtime()

    def fail(value: bool) -> None:
        if relays.one.last is not True and not relays.one.status()["held"]:
            relays.one.set(True)
        raise OSError("NACK")

    relays.at_two = fail
    with pytest.raises(UnavailableError, match="NACK"):
        relays.attach(Context(runtime, relays.id))
    assert relays.levels == {"one": False}
    assert relays.one.is_safe


def test_all_are_held_before_one_is_driven(make_runtime: MakeRuntime) -> None:
    """P6: while the driver of one output hangs, no other one of its device can be set any more."""
    relays, runtime = TwoRelays(), make_runtime()
    relays.attach(Context(runtime, relays.id))
    relays.one.set(True)
    held: list[str] = []
    relays.at_one = lambda value: held.append(relays.two.status()["held"])
    relays.hold_safe("the node is stopping")
    assert held == ["the node is stopping"]
    assert relays.levels == {"one": False, "two": False}


def test_what_is_left_unsafe_is_known_after_its_device(make_runtime: MakeRuntime) -> None:
    """P8: an output whose device has gone without being made safe counts as unsafe until it is."""
    relays, runtime = TwoRelays(), make_runtime()
    relays.attach(Context(runtime, relays.id))
    relays.one.set(True)

    def fail(value: bool) -> None:
        raise OSError("no ACK")

    relays.at_one = fail
    relays.detach()
    assert runtime.outputs.left_unsafe == {"relays.one"}
    relays.at_one = bool
    relays.attach(Context(runtime, relays.id))
    assert not runtime.outputs.left_unsafe
    relays.detach()
    assert not runtime.outputs.left_unsafe

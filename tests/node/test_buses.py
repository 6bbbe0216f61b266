"""Shared buses as parts of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Device, Effect, Message, Quality, Runtime, message, output
from edgekernel.backends.linux import LinuxBackend
from edgekernel.backends.sim import SimBackend, SimI2CBus
from edgekernel.core.errors import BootError, ConfigError, LifecycleError, NackError
from edgekernel.hal import I2CBus
from edgekernel.hal.address import BusAddress
from edgekernel.node import make_plan
from edgekernel.node.buses import Bus
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

NodeFile = Callable[..., Path]

ROOM, OUTSIDE = (
    f'[devices.{id}]\ndriver = "bme280"\nbus = "i2c1"\naddress = {address:#x}\n'
    for id, address in (("room", 0x76), ("outside", 0x77))
)
FAN = '[devices.fan]\ndriver = "relay"\npin = "GPIO17"\n'


class Dac(Device):
    """An output on a bus; nobody polls it."""

    level = output(int, safe=0, range=(0, 255))

    def __init__(self, id: str, bus: I2CBus) -> None:
        super().__init__(id)
        self._bus = bus
        self.depends = (bus.name,)

    def connect(self) -> None:
        """Take the bus into use."""
        self._bus.open()

    def disconnect(self) -> None:
        """Give it back."""
        self._bus.close()

    @level.drive
    def _drive(self, value: int) -> int:
        self._bus.write(0x60, bytes([value]))
        return value


class DacChip:
    """What it drives."""

    def __init__(self) -> None:
        self.levels: list[int] = []

    def write(self, data: bytes) -> None:
        self.levels.append(data[0])

    def read(self, length: int) -> bytes:
        raise NackError("nothing to read")


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def backend(clock: SimClock) -> Iterator[SimBackend]:
    """A simulated board, given back at the end."""
    backend = SimBackend(clock)
    yield backend
    backend.close()


@pytest.fixture
def dac_chip(backend: SimBackend) -> DacChip:
    """A chip at 0x60."""
    chip = DacChip()
    backend.bus("i2c1").plug(0x60, chip)
    return chip


def record(runtime: Runtime) -> list[Message]:
    """Collect everything that is said from now on."""
    found: list[Message] = []
    runtime.subscribe(Message, lambda event: found.append(event.payload))
    return found


def told(found: list[Message], *kinds: type[Message]) -> list[str]:
    """Return what was said of whom, of some kinds."""
    return [
        f"{type(each).__name__} {next(iter(each.to_dict().values()))}"
        for each in found
        if isinstance(each, kinds)
    ]


def bus_of(runtime: Runtime) -> SimI2CBus:
    """Return the simulated bus of an assembled runtime."""
    part: Any = runtime.devices["i2c1"]
    bus: SimI2CBus = part.bus
    return bus


def test_a_bus_in_use_is_a_part(node_file: NodeFile, clock: SimClock) -> None:
    """A bus that devices use is a device of its own, once, before them, and they depend on it."""
    runtime, _ = assemble_simulated(make_plan(node_file(FAN + ROOM + OUTSIDE)), clock, Runtime)
    assert list(runtime.devices) == ["i2c1", "fan", "room", "outside"]
    assert [d.id for d in runtime.devices.list("bus")] == ["i2c1"]
    assert {id: d.depends for id, d in runtime.devices.items()} == {
        "i2c1": (),
        "fan": (),
        "room": ("i2c1",),
        "outside": ("i2c1",),
    }
    with runtime:
        clock.advance(1.5)
        readings = runtime.devices["i2c1"].readings
        assert {name: reading.value for name, reading in readings.items()} == {
            "state": "closed",
            "errors": 0,
            "nacks": 0,
            "recoveries": 0,
            "left_out": "",
        }
        assert list(runtime.services) == ["poll:i2c1"]


def test_a_missing_bus_is_one_error(node_file: NodeFile, clock: SimClock) -> None:
    """A bus that is not there keeps the node from booting with one error, which names the bus and
    who waits for it."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM + OUTSIDE + FAN)), clock, Runtime)
    bus_of(runtime).present = False
    with pytest.raises(BootError) as caught:
        runtime.boot()
    (error,) = caught.value.exceptions
    assert "i2c1: the simulated bus is not there" in str(error)
    assert error.__notes__ == ["while attaching device 'i2c1'", "room, outside wait for it"]


def test_other_errors_are_told_beside_it(node_file: NodeFile, clock: SimClock) -> None:
    """What fails for a reason of its own is an error of its own."""
    plan = make_plan(node_file(ROOM + FAN))
    runtime, _ = assemble_simulated(plan, clock, Runtime)
    bus_of(runtime).present = False

    class Broken(Device):
        def connect(self) -> None:
            raise OSError("it is broken")

    runtime.attach_device(Broken("other"))
    with pytest.raises(BootError) as caught:
        runtime.boot()
    assert [str(error) for error in caught.value.exceptions][1:] == ["it is broken"]


def test_a_bus_of_optional_devices_is_optional(node_file: NodeFile, clock: SimClock) -> None:
    """A bus of which only optional devices are users may be missing; it starts when it is there."""
    path = node_file(ROOM + "optional = true\n" + FAN)
    runtime, _ = assemble_simulated(make_plan(path), clock, Runtime)
    bus_of(runtime).present = False
    with runtime:
        clock.advance(1.5)
        assert runtime.status()["degraded"] == ["i2c1", "room"]
        bus_of(runtime).present = True
        clock.advance(10)
        assert runtime.devices["room"].online
    path = node_file(ROOM + "optional = true\n" + OUTSIDE)
    required, _ = assemble_simulated(make_plan(path), clock, Runtime)
    bus_of(required).present = False
    with pytest.raises(BootError):
        required.boot()


def test_devices_go_offline_with_their_bus(
    clock: SimClock, backend: SimBackend, dac_chip: DacChip
) -> None:
    """While the bus is stuck its devices are offline, also one that nobody polls, for a reason that
    names the bus; they are back when it is."""
    bus = backend.bus("i2c1")
    runtime = Runtime(clock=clock)
    part, dac = Bus("i2c1", bus), Dac("dac", bus)
    for device in (part, dac):
        runtime.attach_device(device)
    with runtime:
        said = record(runtime)
        clock.advance(1)
        bus.stick("scl")
        with pytest.raises(Exception, match="scl is held low"):
            dac.level.set(7)
        clock.advance(2)
        assert (part.online, dac.online) == (False, False)
        reason = part.readings["state"].sample.reason
        assert "i2c1: out of use since" in reason
        assert part.readings["state"].quality is Quality.BAD
        bus.release()
        clock.advance(10)
        assert (part.online, dac.online) == (True, True)
        assert part.readings["recoveries"].value == 1
        assert told(said, message.DeviceOffline, message.DeviceOnline) == [
            "DeviceOffline i2c1",
            "DeviceOffline dac",
            "DeviceOnline i2c1",
            "DeviceOnline dac",
        ]
        dac.level.set(9)
        assert dac_chip.levels[-1] == 9


def test_readings_name_the_bus(node_file: NodeFile, clock: SimClock) -> None:
    """The readings of devices on a stuck bus are BAD and name it, whatever their interval is, and
    are measured again at once when it works."""
    path = node_file(ROOM + OUTSIDE + 'every = "1h"\n')
    runtime, _ = assemble_simulated(make_plan(path), clock, Runtime)
    with runtime:
        clock.advance(1.5)
        bus_of(runtime).stick("sda")
        clock.advance(5)
        reasons = {
            id: {r.sample.reason for r in runtime.devices[id].readings.values()}
            for id in ("room", "outside")
        }
        for found in reasons.values():
            assert len(found) == 1
            assert "i2c1: out of use since" in found.pop()
        bus_of(runtime).release()
        clock.advance(20)
        for id in ("room", "outside"):
            for reading in runtime.devices[id].readings.values():
                assert reading.quality is Quality.GOOD


def test_a_long_outage_is_quiet(node_file: NodeFile, clock: SimClock) -> None:
    """While a bus stays stuck its devices' readings change with each attempt on it, and no more."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM)), clock, Runtime)
    with runtime:
        clock.advance(1.5)
        bus_of(runtime).stick("sda")
        clock.advance(3)
        seen: list[str] = []
        room: Any = runtime.devices["room"]
        effect = Effect(lambda: seen.append(room.temperature.sample.reason))
        clock.advance(600)
        effect.dispose()
        assert all("i2c1: out of use since" in reason for reason in seen)
        assert len(seen) == len(set(seen)) < 25


def test_a_bus_is_tried_again_when_it_may_be(node_file: NodeFile, clock: SimClock) -> None:
    """However long a bus was out of use, it is back at the first attempt that its breaker allows,
    and its devices are with it."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM)), clock, Runtime)
    with runtime:
        clock.advance(1.5)
        bus = bus_of(runtime)
        bus.stick("sda")
        clock.advance(1000)
        bus.release()
        attempt_ns = bus.health.next_attempt_ns
        assert attempt_ns is not None
        assert clock.run_until(lambda: runtime.devices["room"].online, 100)
        assert 0 <= clock.monotonic_ns() - attempt_ns < 0.1e9
        assert bus.health.next_attempt_ns is None


def test_a_missing_device_file(clock: SimClock, tmp_path: Path) -> None:
    """On Linux a bus without its device file is told once: what to do, and who waits for it."""
    backend = LinuxBackend(clock)
    bus = backend.i2c_bus(BusAddress("i2c1", str(tmp_path / "i2c-1")))
    runtime = Runtime(clock=clock)
    for device in (Bus("i2c1", bus), Dac("dac", bus)):
        runtime.attach_device(device)
    with pytest.raises(BootError) as caught:
        runtime.boot()
    (error,) = caught.value.exceptions
    assert "/i2c-1): the bus is not enabled" in str(error)
    assert error.__notes__[1:] == ["dac waits for it"]
    backend.close()


def test_a_bad_chip_leaves_the_good_one_alone(node_file: NodeFile, clock: SimClock) -> None:
    """A chip that hangs on every transaction is left out, and said to be; the readings of the one
    beside it stay GOOD and fresh."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM + OUTSIDE)), clock, Runtime)
    with runtime:
        clock.advance(1.5)
        room: Any = runtime.devices["room"]
        outside = runtime.devices["outside"]
        said = record(runtime)
        bus_of(runtime).hang(0x77)
        clock.advance(120)
        assert not outside.online
        assert "address 0x77" in outside.readings["pressure"].sample.reason
        assert runtime.devices["i2c1"].online
        assert runtime.devices["i2c1"].readings["left_out"].value == "0x77"
        assert told(said, message.DeviceOffline) == ["DeviceOffline outside"]
        assert room.temperature.quality is Quality.GOOD
        assert clock.time_ns() - room.temperature.measured_ns < 2.5e9
        bus_of(runtime).heal()
        clock.advance(75)
        assert outside.online
        assert runtime.devices["i2c1"].readings["left_out"].value == ""


def test_bits_and_refusals_hurt_one_poll(node_file: NodeFile, clock: SimClock) -> None:
    """A transaction without acknowledge costs its device one poll, and the bus nothing."""
    runtime, _ = assemble_simulated(make_plan(node_file(ROOM + OUTSIDE)), clock, Runtime)
    with runtime:
        clock.advance(1.5)
        said = record(runtime)
        bus_of(runtime).refuse(0x77, nth=2)
        clock.advance(4)
        kinds = message.DeviceOffline, message.DeviceOnline
        assert told(said, *kinds) == ["DeviceOffline outside", "DeviceOnline outside"]
        assert runtime.devices["i2c1"].readings["nacks"].value == 1


def test_detaching_a_bus(clock: SimClock, backend: SimBackend, dac_chip: DacChip) -> None:
    """A bus in use is not taken out, unless by force: then its devices go first, their outputs
    safe, and each step is told; they are back when the bus is."""
    bus = backend.bus("i2c1")
    runtime = Runtime(clock=clock)
    dac, other = Dac("dac", bus), Dac("other", bus)
    for device in (Bus("i2c1", bus), dac, other):
        runtime.attach_device(device)
    with runtime:
        dac.level.set(200)
        for refused in (runtime.devices.detach, runtime.hot_remove):
            with pytest.raises(LifecycleError, match="i2c1: not removed: dac, other cannot do"):
                refused("i2c1")
        assert dac_chip.levels[-1] == 200
        said = record(runtime)
        runtime.hot_remove("i2c1", force=True)
        assert dac_chip.levels[-2:] == [0, 0]
        assert told(said, message.DeviceDetached, message.ComponentWaiting, message.HotRemoved) == [
            "DeviceDetached other",
            "ComponentWaiting other",
            "DeviceDetached dac",
            "ComponentWaiting dac",
            "DeviceDetached i2c1",
            "HotRemoved i2c1",
        ]
        assert (dac.attached, other.attached) == (False, False)
        runtime.hot_add(Bus("i2c1", bus))
        assert (dac.attached, other.attached) == (True, True)
        dac.level.set(3)
        assert dac_chip.levels[-1] == 3


def test_a_device_called_as_a_bus(node_file: NodeFile) -> None:
    """A device must not be called as a bus that is in use; one that is not, gives its name away."""
    path = node_file('[devices.i2c1]\ndriver = "relay"\npin = "GPIO17"\n' + ROOM)
    with pytest.raises(ConfigError) as caught:
        make_plan(path)
    assert caught.value.problems == (
        'node.toml: devices.i2c1: the name "i2c1" is taken by the bus i2c1, which devices.room '
        "uses; name the device otherwise",
    )
    make_plan(node_file('[devices.i2c1]\ndriver = "relay"\npin = "GPIO17"\n'))


def test_a_bus_that_counts_nothing(clock: SimClock) -> None:
    """A bus without counters, such as 1-Wire, is online while it is attached."""

    class Plain:
        name = "w1"
        users = 0

        def open(self) -> None:
            self.users += 1

        def search(self) -> tuple[str, ...]:
            return ()

        def measure(self, rom: str) -> bytes:
            raise NackError(f"w1: no {rom}")

        def close(self) -> None:
            self.users -= 1

    plain = Plain()
    runtime = Runtime(clock=clock)
    part = Bus("w1", plain)
    runtime.attach_device(part)
    with runtime:
        clock.advance(3)
        assert (plain.users, part.online, part.readings) == (1, True, {})
    assert plain.users == 0

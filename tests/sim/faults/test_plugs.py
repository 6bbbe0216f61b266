"""Plugs: what is pulled out is missed, and what comes back is set up anew."""

from __future__ import annotations

import pytest

from edgekernel import Quality
from edgekernel.node import driver_names
from edgekernel.node.packs import load_driver
from edgekernel.sim.faults import Fault, Nack, Unplug
from tests.sim.faults.conftest import Play


@pytest.mark.parametrize("device", ["room", "air", "pipe", "io"])
def test_chip(play: Play, device: str) -> None:
    """A chip that is unplugged is offline, and back in use when it is plugged in again."""
    node = play(Fault(Unplug(), device=device, at_s=5, for_s=20))
    node.clock.advance(20)
    assert not node.device(device).online
    others = {"room", "air", "pipe"} - {device}
    assert all(node.device(each).online for each in others)
    node.clock.advance(120)
    assert node.device(device).online


def test_chip_has_lost_its_settings(play: Play) -> None:
    """An expander that was without power has forgotten its lines, and is set up as before."""
    node = play(Fault(Unplug(), device="io", at_s=5, for_s=20))
    node.clock.advance(4)
    node.bench.hold("gate")
    node.clock.advance(120)
    assert node.device("gate").open.value is False
    node.bench.release("gate")
    node.clock.advance(30)
    assert node.device("gate").open.value is True


SENSORS = {
    "ads1115": ("", "a0_v", 1.5, "a0"),
    "aht20": ("", "temperature_c", 27.0, "temperature"),
    "bh1750": ("sensitivity = 138", "illuminance_lx", 900.0, "illuminance"),
    "bme280": ("", "humidity_percent", 71.0, "humidity"),
    "bmp280": ("", "pressure_hpa", 950.0, "pressure"),
    "ina219": ("", "voltage_v", 12.0, "voltage"),
    "lm75": ("", "temperature_c", 27.0, "temperature"),
    "mcp9808": ("", "temperature_c", 27.0, "temperature"),
    "sht4x": ("", "humidity_percent", 71.0, "humidity"),
    "veml7700": ("", "illuminance_lx", 900.0, "illuminance"),
}


@pytest.mark.parametrize("driver", SENSORS)
def test_sensor_is_set_up_anew(play: Play, driver: str) -> None:
    """A sensor that was without power has forgotten its settings; its driver sets it up again, and
    reads what it read before."""
    settings, quantity, value, reading = SENSORS[driver]
    node = play(
        Fault(Unplug(), device="x", at_s=10, for_s=20),
        node='[node]\nname = "bench"\nboard = "sim"\n'
        f'[devices.x]\ndriver = "{driver}"\nbus = "i2c1"\nevery = "1s"\n{settings}\n',
    )
    chip = node.bench.chip("x")
    setattr(chip, quantity, value)
    node.clock.advance(8)
    assert node.sample("x", reading).value == pytest.approx(value, rel=0.01)
    node.clock.advance(12)
    assert node.sample("x", reading).quality is Quality.BAD
    node.clock.advance(100)
    sample = node.sample("x", reading)
    assert (sample.quality, sample.value) == (Quality.GOOD, pytest.approx(value, rel=0.01))


def test_every_chip_forgets() -> None:
    """Each simulated chip that keeps anything of what it is told can begin anew: without that an
    unplugged one would come back as it went."""
    made = [getattr(load_driver(name), "simulated", None) for name in driver_names()]
    chips = [each() for each in made if each is not None]
    keeping = [chip for chip in chips if any(name.startswith("_") for name in vars(chip))]
    assert len(keeping) > 10
    told = [chip for chip in keeping if hasattr(chip, "write") or hasattr(chip, "scratchpad")]
    assert [type(chip).__name__ for chip in told if not hasattr(chip, "power_on")] == []


def test_far_end(play: Play) -> None:
    """A receiver whose cable is out is silent: the device is offline after its `silence`."""
    node = play(Fault(Unplug(), device="position", at_s=20, for_s=60))
    node.clock.advance(40)
    assert not node.device("position").online
    assert node.sample("position", "latitude").quality is Quality.BAD
    node.clock.advance(120)
    assert node.device("position").online


@pytest.mark.parametrize(("sort", "name", "device"), [
    ("port", "uart0", "position"), ("bus", "i2c1", "room"),
])  # fmt: skip
def test_adapter(play: Play, sort: str, name: str, device: str) -> None:
    """An adapter that is pulled out takes along what is behind it, and brings it back."""
    node = play(Fault(Unplug(), at_s=10, for_s=30, **{sort: name}))  # type: ignore[arg-type]
    node.clock.advance(25)
    assert not node.device(device).online
    assert node.device("pipe").online
    node.clock.advance(180)
    assert node.device(device).online


def test_overlapping(play: Play) -> None:
    """A chip that two faults have pulled out is back when the second is healed, whatever else
    was wrong with it meanwhile."""
    node = play(
        Fault(Unplug(), device="room", at_s=5, for_s=20),
        Fault(Unplug(), device="room", at_s=15, for_s=30),
        Fault(Nack(), device="room", at_s=16, for_s=2),
    )
    node.clock.advance(40)
    assert not node.device("room").online
    node.clock.advance(120)
    assert node.device("room").online


def test_healed_at_the_end(play: Play) -> None:
    """What has no end is healed when the node stops, and says so."""
    node = play(Fault(Unplug(), device="room", at_s=5))
    node.clock.advance(60)
    assert not node.told("fault.ended")
    node.runtime.shutdown()
    assert [fields["fault"] for _, fields in node.told("fault.ended")] == ["1"]
    chip = node.bench.chip("room")
    with pytest.raises(OSError, match="BME280Chip is plugged in"):
        node.bench.backend.bus("i2c1").plug(0x76, chip)


@pytest.mark.parametrize(("sort", "name", "text"), [
    ("device", "door", "door has no plug: it is on lines; try `stuck`"),
    ("bus", "w1", "w1 is no I²C bus: unplug the devices on it"),
])  # fmt: skip
def test_misfit(play: Play, sort: str, name: str, text: str) -> None:
    """What has no plug is refused."""
    with pytest.raises(ValueError, match="unplug") as refused:
        play(Fault(Unplug(), **{sort: name}))  # type: ignore[arg-type]
    assert text in str(refused.value)

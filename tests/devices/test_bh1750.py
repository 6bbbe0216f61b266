from collections.abc import Callable

import pytest
from edgekernel_devices.bh1750 import BH1750, BH1750Chip, lux_per_count
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError
from edgekernel.hal.address import BusAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> BH1750Chip:
    """A chip on the bus, at 0x23."""
    chip = BH1750Chip()
    backend.i2c_bus(BUS).plug(0x23, chip)
    return chip


@pytest.fixture
def sky(backend: SimBackend, chip: BH1750Chip) -> BH1750:
    """The driver of that chip, polled once a second."""
    return BH1750("sky", bus=backend.i2c_bus(BUS))


def test_worked_example(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The technical note's example (page 10) comes out: 0x8390 are about 28067 lx."""

    class Example(BH1750Chip):
        def read(self, length: int) -> bytes:
            return b"\x83\x90"

    backend.i2c_bus(BUS).plug(0x5C, Example())
    sky = BH1750("sky", bus=backend.i2c_bus(BUS), address=0x5C)
    boot(sky)
    clock.advance(0.5)
    assert round(sky.illuminance.value) == 28067


def test_sensitivity_moves_the_range() -> None:
    """What one count means at the ends of the measurement time register (page 11): down to
    0.11 lx, up to more than 100,000 lx for all counts."""
    assert lux_per_count("high2", 254) == pytest.approx(0.11, abs=0.005)
    assert lux_per_count("high2", 69) == pytest.approx(0.42, abs=0.005)
    assert lux_per_count("high", 31) * 65535 == pytest.approx(121_557, abs=1)


@pytest.mark.parametrize("resolution", ["high", "high2", "low"])
@pytest.mark.parametrize("sensitivity", [31, 69, 254])
def test_reads_what_the_chip_measures(
    clock: SimClock, backend: SimBackend, boot: Boot, resolution: str, sensitivity: int
) -> None:
    """In every mode, over its whole range, the reading is what the chip measures."""
    chip = BH1750Chip()
    backend.i2c_bus(BUS).plug(0x23, chip)
    sky = BH1750("sky", bus=backend.i2c_bus(BUS), resolution=resolution, sensitivity=sensitivity)  # type: ignore[arg-type]
    boot(sky)
    each = lux_per_count(resolution, sensitivity)
    step = each * (4 if resolution == "low" else 1)

    @given(st.floats(0, 65_000 * each))
    def check(light: float) -> None:
        chip.illuminance_lx = light
        clock.advance(3)
        assert sky.illuminance.sample.value == pytest.approx(light, abs=step)

    check()


@pytest.mark.parametrize(
    ("resolution", "sensitivity", "command", "seconds"),
    [
        ("high", 69, 0x20, 0.18),
        ("high2", 254, 0x21, 0.18 * 254 / 69),
        ("low", 31, 0x23, 0.024 * 31 / 69),
    ],
)
def test_commands_and_times(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    resolution: str,
    sensitivity: int,
    command: int,
    seconds: float,
) -> None:
    """A poll sets the sensitivity, starts one measurement, and waits as long as it may take,
    in proportion to the sensitivity (pages 5 and 11)."""
    sent: list[tuple[int, float]] = []

    class Timed(BH1750Chip):
        def write(self, data: bytes) -> None:
            sent.append((data[0], clock.monotonic()))
            super().write(data)

        def read(self, length: int) -> bytes:
            sent.append((-1, clock.monotonic()))
            return super().read(length)

    backend.i2c_bus(BUS).plug(0x23, Timed())
    boot(
        BH1750("sky", bus=backend.i2c_bus(BUS), resolution=resolution, sensitivity=sensitivity)  # type: ignore[arg-type]
    )
    sent.clear()
    clock.advance(0.9)
    high, low = 0x40 | sensitivity >> 5, 0x60 | sensitivity & 0x1F
    assert [each for each, _ in sent] == [high, low, command, -1]
    assert sent[3][1] - sent[2][1] == pytest.approx(seconds)


def test_saturation(clock: SimClock, boot: Boot, sky: BH1750, chip: BH1750Chip) -> None:
    """More light than the scale has is BAD and says so; the next measurement counts again."""
    boot(sky)
    chip.illuminance_lx = 54_613.0
    clock.advance(1.5)
    assert sky.online
    assert sky.illuminance.quality is Quality.BAD
    assert "saturated: 54612 lx or more" in sky.illuminance.sample.reason
    chip.illuminance_lx = 54_611.0
    clock.advance(1)
    assert sky.illuminance.value == pytest.approx(54_611, abs=1)


def test_darkness(clock: SimClock, boot: Boot, sky: BH1750, chip: BH1750Chip) -> None:
    """No light is 0 lx, a value like any other."""
    chip.illuminance_lx = 0.0
    boot(sky)
    clock.advance(1.5)
    assert sky.illuminance.value == 0.0
    assert sky.illuminance.quality is Quality.GOOD


class Resetting(BH1750Chip):
    """Loses its supply once, while it measures."""

    lost = False

    def read(self, length: int) -> bytes:
        if not self.lost:
            self.lost = True
            self._mode, self._counts, self._sensitivity = 0, 0, 69
        return super().read(length)


def test_loss_of_supply_is_no_darkness(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A chip that lost measurement and settings is measured again, with its sensitivity."""
    backend.i2c_bus(BUS).plug(0x23, Resetting())
    sky = BH1750("sky", bus=backend.i2c_bus(BUS), sensitivity=138)
    boot(sky)
    seen = []
    for _ in range(20):
        clock.advance(0.1)
        seen.append(sky.illuminance.sample.value)
    values = [value for value in seen if value is not None]
    assert values == pytest.approx([200.0] * len(values), abs=0.3)
    assert values


def test_no_chip(boot: Boot, backend: SimBackend) -> None:
    """With nobody at the address the runtime does not boot, and the place is named."""
    with pytest.raises(BootError) as raised:
        boot(BH1750("sky", bus=backend.i2c_bus(BUS)))
    assert "i2c1, address 0x23: no acknowledge" in str(raised.value.exceptions[0])


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which has its sensitivity
    set before it is measured."""
    backend.i2c_bus(BUS).plug(0x23, BH1750Chip())
    sky = BH1750("sky", bus=backend.i2c_bus(BUS), sensitivity=254)
    boot(sky)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x23)
    clock.advance(2)
    assert not sky.online
    assert sky.illuminance.quality is Quality.BAD
    other = BH1750Chip()
    other.illuminance_lx = 12.3
    backend.i2c_bus(BUS).plug(0x23, other)
    assert clock.run_until(lambda: sky.online, 60)
    assert sky.illuminance.value == pytest.approx(12.3, abs=0.2)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]

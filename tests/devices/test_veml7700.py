from collections.abc import Callable

import pytest
from edgekernel_devices.veml7700 import RANGES, VEML7700, Range, VEML7700Chip, corrected
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
def chip(backend: SimBackend) -> VEML7700Chip:
    """A chip on the bus, at 0x10."""
    chip = VEML7700Chip()
    backend.i2c_bus(BUS).plug(0x10, chip)
    return chip


@pytest.fixture
def sky(backend: SimBackend, chip: VEML7700Chip) -> VEML7700:
    """The driver of that chip, polled once a second."""
    return VEML7700("sky", bus=backend.i2c_bus(BUS))


# The datasheet's table of resolutions in lx per count: integration times by gains 2, 1, 1/4, 1/8.
TABLE = {
    800: (0.0042, 0.0084, 0.0336, 0.0672),
    400: (0.0084, 0.0168, 0.0672, 0.1344),
    200: (0.0168, 0.0336, 0.1344, 0.2688),
    100: (0.0336, 0.0672, 0.2688, 0.5376),
    50: (0.0672, 0.1344, 0.5376, 1.0752),
    25: (0.1344, 0.2688, 1.0752, 2.1504),
}


@pytest.mark.parametrize("integration_ms", TABLE)
def test_resolutions(integration_ms: int) -> None:
    """What one count means is as in the datasheet's table, for every gain and time."""
    ours = [Range(gain, integration_ms).lux_per_count for gain in (2, 1, 1 / 4, 1 / 8)]
    assert ours == pytest.approx(TABLE[integration_ms])


@pytest.mark.parametrize(
    ("measured", "real"),
    [(100.0, 101.04), (1_000.0, 1_075.0), (5_000.0, 6_250.5), (10_000.0, 14_793.0)],
)
def test_correction(measured: float, real: float) -> None:
    """The application note's polynomial: next to nothing at 100 lx, half as much again at
    10,000."""
    assert corrected(measured) == pytest.approx(real, rel=1e-4)


@given(st.floats(0, 140_000))
def test_ranging_settles(light: float) -> None:
    """From every range, for every light, few changes lead to a range in which it is measured
    with more than 100 counts if there is one, and that is not left again."""
    for start in RANGES:
        chip = VEML7700Chip()
        chip.illuminance_lx = light
        ranges = [start]
        for _ in range(4):
            ranges.append(ranges[-1].fitting(chip._counts(ranges[-1].config)))
        counts = chip._counts(ranges[-1].config)
        assert ranges[-1] == ranges[-2]
        assert counts <= ranges[-1].most_counts or ranges[-1] == RANGES[0]
        assert counts > 100 or ranges[-1] == RANGES[-1]


def test_reads_what_the_chip_measures(
    clock: SimClock, boot: Boot, sky: VEML7700, chip: VEML7700Chip
) -> None:
    """From the first quarter of a lux to full sunlight the reading is within 1 % of the light,
    whatever it was before."""
    boot(sky)

    @given(st.floats(0.25, 139_000))
    def check(light: float) -> None:
        chip.illuminance_lx = light
        clock.advance(5)
        assert sky.illuminance.value == pytest.approx(light, rel=0.011)

    check()


def test_darkness(clock: SimClock, boot: Boot, sky: VEML7700, chip: VEML7700Chip) -> None:
    """No light is 0 lx, a value like any other."""
    boot(sky)
    chip.illuminance_lx = 0.0
    clock.advance(5)
    assert sky.illuminance.value == 0.0


@pytest.mark.parametrize(
    ("light", "says"), [(145_000.0, "not a number from 0 to 140000 lx"), (1e9, "saturated")]
)
def test_saturation(
    clock: SimClock, boot: Boot, sky: VEML7700, chip: VEML7700Chip, light: float, says: str
) -> None:
    """More light than the chip can measure is BAD and says so; less of it counts again."""
    boot(sky)
    clock.advance(2)
    chip.illuminance_lx = light
    clock.advance(5)
    assert sky.online
    assert sky.illuminance.quality is Quality.BAD
    assert says in sky.illuminance.sample.reason
    chip.illuminance_lx = 90_000.0
    clock.advance(2)
    assert sky.illuminance.value == pytest.approx(90_000, rel=0.01)


class Slow(VEML7700Chip):
    """Measures in real time: until an integration has ended it has the counts of before."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self._clock = clock
        self._begun_s = 0.0

    def write(self, data: bytes) -> None:
        super().write(data)
        if len(data) == 3 and data[0] == 0:
            self._begun_s = self._clock.monotonic()

    def _counts(self, config: int) -> int:
        integration_s = {0xC: 0.025, 8: 0.05, 0: 0.1, 1: 0.2, 2: 0.4, 3: 0.8}[config >> 6 & 0xF]
        if self._clock.monotonic() - self._begun_s < 1.5 * integration_s:
            return self._registers[4]
        return super()._counts(config)


def test_counts_of_another_range_are_no_value(
    clock: SimClock, backend: SimBackend, boot: Boot, events: list[Event]
) -> None:
    """While a chip still has the counts of the range before, nothing is reported; from bright to
    dark and back the reading is only ever one of the two."""
    chip = Slow(clock)
    chip.illuminance_lx = 2.0
    backend.i2c_bus(BUS).plug(0x10, chip)
    sky = VEML7700("sky", bus=backend.i2c_bus(BUS))
    boot(sky)
    clock.advance(5)
    seen = []
    for light in (30_000.0, 2.0, 400.0, 30_000.0, 400.0, 2.0):
        chip.illuminance_lx = light
        for _ in range(100):
            clock.advance(0.05)
            seen.append(sky.illuminance.value)
        assert seen[-1] == pytest.approx(light, rel=0.011)
    for value in seen:
        nearest = min((2.0, 400.0, 30_000.0), key=lambda light: abs(light - value))
        assert value == pytest.approx(nearest, rel=0.02, abs=1.1)  # one count, seen by day


class Deaf(VEML7700Chip):
    """Keeps no settings."""

    def write(self, data: bytes) -> None:
        super().write(data[:1])


class DeadLine:
    """Acknowledges everything and answers the same byte for ever."""

    def __init__(self, level: int) -> None:
        self._level = level

    def write(self, data: bytes) -> None:
        pass

    def read(self, length: int) -> bytes:
        return bytes([self._level] * length)


@pytest.mark.parametrize("other", [Deaf(), DeadLine(0x00), DeadLine(0xFF)])
def test_wrong_chip(boot: Boot, backend: SimBackend, other: VEML7700Chip | DeadLine) -> None:
    """What does not keep its settings keeps the runtime from booting, with the place named."""
    backend.i2c_bus(BUS).plug(0x10, other)
    with pytest.raises(BootError) as raised:
        boot(VEML7700("sky", bus=backend.i2c_bus(BUS)))
    text = str(raised.value.exceptions[0])
    assert "i2c1 address 0x10: the chip has the configuration" in text
    assert "instead of 0x1010" in text


@pytest.mark.parametrize("light", [0.3, 5.0, 30.0, 200.0, 5_000.0, 80_000.0])
def test_loss_of_supply_is_no_darkness(
    clock: SimClock, boot: Boot, sky: VEML7700, chip: VEML7700Chip, light: float
) -> None:
    """A chip that was switched on anew measures nothing: in whatever range it was, it is set up
    again, and its 0 is no value."""
    chip.illuminance_lx = light
    boot(sky)
    clock.advance(5)
    chip.power_on()
    seen = []
    for _ in range(100):
        clock.advance(0.05)
        seen.append(sky.illuminance.sample)
    assert any("configuration 0x0001" in sample.reason for sample in seen)
    assert any("no measurement yet" in sample.reason for sample in seen)
    assert [each.value for each in seen] == pytest.approx([light] * 100, rel=0.02, abs=0.6)
    assert seen[-1].quality is Quality.GOOD


@pytest.mark.parametrize("light", [0.3, 10.0, 30.0, 200.0])
def test_dead_line_is_no_darkness(
    clock: SimClock,
    boot: Boot,
    sky: VEML7700,
    chip: VEML7700Chip,
    backend: SimBackend,
    light: float,
) -> None:
    """A data line that stays low is told from darkness in every range."""
    chip.illuminance_lx = light
    boot(sky)
    clock.advance(5)
    backend.i2c_bus(BUS).unplug(0x10)
    backend.i2c_bus(BUS).plug(0x10, DeadLine(0x00))
    clock.advance(3)
    assert not sky.online
    assert "0x0000" in sky.illuminance.sample.reason


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, sky: VEML7700, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back, which is set up anew."""
    boot(sky)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x10)
    clock.advance(2)
    assert not sky.online
    assert sky.illuminance.quality is Quality.BAD
    other = VEML7700Chip()
    other.illuminance_lx = 3.0
    backend.i2c_bus(BUS).plug(0x10, other)
    clock.advance(4)
    assert sky.illuminance.value == pytest.approx(3.0, abs=0.01)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]

from collections.abc import Callable
from typing import Any

import pytest
from edgekernel_devices.ads1115 import ADS1115, ADS1115Chip, volts
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, InvalidValueError, Quality, Runtime, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError, ClosedError
from edgekernel.hal.address import BusAddress
from edgekernel.node.signature import model_of
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")
STEPS = {6144: 187.5, 4096: 125, 2048: 62.5, 1024: 31.25, 512: 15.625, 256: 7.8125}  # table 7-1

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> ADS1115Chip:
    """A chip on the bus, at 0x48."""
    chip = ADS1115Chip()
    backend.i2c_bus(BUS).plug(0x48, chip)
    return chip


@pytest.fixture
def adc(backend: SimBackend, chip: ADS1115Chip) -> ADS1115:
    """The driver of that chip: four inputs against ground, up to 4.096 V."""
    return ADS1115("adc", bus=backend.i2c_bus(BUS))


def word(chip: ADS1115Chip, register: int) -> int:
    """A register, by the chip's own protocol."""
    chip.write(bytes([register]))
    return int.from_bytes(chip.read(2))


@pytest.mark.parametrize(("full_scale", "microvolts"), STEPS.items())
def test_steps(full_scale: int, microvolts: float) -> None:
    """A step is what table 7-1 says, and the codes are two's complement (table 7-2)."""
    assert volts(0x0001, full_scale) == pytest.approx(microvolts / 1e6)
    assert volts(0x0000, full_scale) == 0
    assert volts(0xFFFF, full_scale) == pytest.approx(-microvolts / 1e6)
    assert volts(0x7FFF, full_scale) == pytest.approx(full_scale / 1000 * 32767 / 32768)
    assert volts(0x8000, full_scale) == -full_scale / 1000


def test_reset_values(chip: ADS1115Chip) -> None:
    """After a reset the registers have the values of section 8.1."""
    assert [word(chip, register) for register in range(4)] == [0, 0x8583, 0x8000, 0x7FFF]


def test_single_shot(chip: ADS1115Chip) -> None:
    """OS starts a conversion and is 0 until that is done; the result stays (section 7.4.2.1)."""
    chip.a0_v = 1.024
    chip.write(bytes.fromhex("01 C583"))
    assert word(chip, 1) == 0x4583
    assert word(chip, 1) == 0xC583
    chip.a0_v = 0.0
    assert word(chip, 0) == 0x4000


def test_continuous(chip: ADS1115Chip) -> None:
    """In continuous mode every read is of a new conversion (section 7.4.2.2)."""
    chip.write(bytes.fromhex("01 4483"))
    for code in (0x1000, 0xF000):
        chip.a0_v = volts(code, 2048)
        assert word(chip, 0) == code


@pytest.mark.parametrize("full_scale", STEPS)
def test_reads_what_is_at_the_inputs(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: ADS1115Chip, full_scale: Any
) -> None:
    """Each reading is its own input, within half a step, on both sides of zero."""
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS), full_scale=full_scale)
    boot(adc)

    @given(st.lists(st.floats(-0.9999, 0.9999), min_size=4, max_size=4))
    def check(shares: list[float]) -> None:
        chip.a0_v, chip.a1_v, chip.a2_v, chip.a3_v = (s * full_scale / 1000 for s in shares)
        clock.advance(1)
        for reading, share in zip((adc.a0, adc.a1, adc.a2, adc.a3), shares, strict=True):
            expected = share * full_scale / 1000
            assert reading.value == pytest.approx(expected, abs=STEPS[full_scale] / 2e6 + 1e-12)

    check()


def test_differences(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: ADS1115Chip, events: list[Event]
) -> None:
    """All four pairs are measured as the first input less the second; what is not asked for is
    no reading."""
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS), measure=["a01", "a03", "a13", "a23", "a3"])
    chip.a0_v, chip.a1_v, chip.a2_v, chip.a3_v = 0.3, 1.0, 3.2, 2.0
    boot(adc)
    clock.advance(0.5)
    values = {name: reading.value for name, reading in adc.readings.items()}
    expected = {"a01": -0.7, "a03": -1.7, "a13": -1.0, "a23": 1.2, "a3": 2.0}
    assert values == pytest.approx(expected, abs=1e-4)
    assert set(values) == set(expected)


def test_divider(clock: SimClock, backend: SimBackend, boot: Boot, chip: ADS1115Chip) -> None:
    """A reading with a divider is the voltage before it; the others are as they are."""
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS), divider={"a0": 11.0})
    chip.a0_v, chip.a1_v = 1.2, 1.2
    boot(adc)
    clock.advance(0.5)
    assert adc.a0.value == pytest.approx(13.2, abs=0.001)
    assert adc.a1.value == pytest.approx(1.2, abs=0.0001)


@pytest.mark.parametrize(
    ("voltage", "reason"), [(1.5, "saturated: 3 V or more"), (-1.5, "saturated: -3 V or less")]
)
def test_saturated(
    clock: SimClock,
    backend: SimBackend,
    boot: Boot,
    chip: ADS1115Chip,
    voltage: float,
    reason: str,
) -> None:
    """A voltage at the end of the full scale is BAD and says which, before its divider; the
    other readings go on, and so does this one later."""
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS), full_scale=1024, divider={"a0": 3 / 1.024})
    chip.a0_v = voltage
    chip.a2_v = 0.25
    boot(adc)
    clock.advance(0.5)
    assert (adc.a0.quality, adc.a0.sample.reason) == (Quality.BAD, reason)
    assert adc.a2.value == 0.25
    chip.a0_v = 0.512
    clock.advance(1)
    assert adc.a0.value == pytest.approx(1.5)


@pytest.mark.parametrize("rate", [8, 860])
def test_rate(
    clock: SimClock, backend: SimBackend, boot: Boot, chip: ADS1115Chip, rate: Any
) -> None:
    """A conversion is waited for as long as the chip takes at its slowest (10 %, section 5.5)."""
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS), measure=["a1"], rate=rate)
    boot(adc)
    clock.advance(1.1 / rate)
    assert adc.a1.quality is Quality.BAD
    clock.advance(0.15 / rate + 0.001)
    assert adc.a1.value == 0.5
    assert word(chip, 1) >> 5 & 7 == {8: 0, 860: 7}[rate]


class Resetting(ADS1115Chip):
    """Loses its supply in conversions, as often as it is told."""

    losses = 0

    def _convert(self) -> None:
        super()._convert()
        if self.losses:
            self.losses -= 1
            self.power_on()


def test_loss_of_supply_is_no_zero(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """The 0 V of a chip that was reset while it converted is no value; the next poll is good."""
    chip = Resetting()
    backend.i2c_bus(BUS).plug(0x48, chip)
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS))
    boot(adc)
    clock.advance(0.5)
    chip.losses = 1
    clock.advance(1)
    assert not adc.online
    assert "lost its settings" in adc.a1.sample.reason
    assert adc.a1.sample.value == 0.5
    clock.advance(2)
    assert adc.a1.value == 0.5


class Idle(ADS1115Chip):
    """Never ends a conversion."""

    def read(self, length: int) -> bytes:
        answer = super().read(length)
        busy = self._pointer == 1 and int.from_bytes(answer) >> 12 & 4
        return bytes([answer[0] & 0x7F]) + answer[1:] if busy else answer


def test_no_conversion(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """A chip that is busy for ever makes the device offline."""
    backend.i2c_bus(BUS).plug(0x48, Idle())
    adc = ADS1115("adc", bus=backend.i2c_bus(BUS))
    boot(adc)
    clock.advance(0.5)
    assert not adc.online
    assert "no conversion within 0.017 s" in adc.a0.sample.reason


class Thermometer(ADS1115Chip):
    """Another chip, which does not keep what is written."""

    def read(self, length: int) -> bytes:
        return b"\x19\x80"[:length]


def test_wrong_chip(boot: Boot, backend: SimBackend) -> None:
    """A chip that does not keep what is written (here a thermometer) keeps the runtime from
    booting, and the bus is given back."""

    backend.i2c_bus(BUS).plug(0x4B, Thermometer())
    with pytest.raises(BootError) as raised:
        boot(ADS1115("adc", bus=backend.i2c_bus(BUS), address=0x4B))
    assert "i2c1 address 0x4b: the chip there has 0x1980 in register 1" in str(
        raised.value.exceptions[0]
    )
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x4B, 1)


def test_replaced_by_another_chip(
    clock: SimClock, boot: Boot, adc: ADS1115, backend: SimBackend
) -> None:
    """What is plugged in again is looked at as at the start."""
    boot(adc)
    clock.advance(0.5)
    backend.i2c_bus(BUS).unplug(0x48)
    clock.advance(1)
    backend.i2c_bus(BUS).plug(0x48, Thermometer())
    clock.advance(5)
    assert not adc.online
    assert "and not the 0x8383 of an ADS1115" in adc.a0.sample.reason


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, adc: ADS1115, backend: SimBackend, events: list[Event]
) -> None:
    """An unplugged chip makes the device offline until one is back."""
    boot(adc)
    clock.advance(1.5)
    backend.i2c_bus(BUS).unplug(0x48)
    clock.advance(2)
    assert not adc.online
    assert all(reading.quality is Quality.BAD for reading in adc.readings.values())
    other = ADS1115Chip()
    other.a3_v = 3.3
    backend.i2c_bus(BUS).plug(0x48, other)
    clock.advance(4)
    assert adc.a3.value == pytest.approx(3.3, abs=0.0001)
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


def test_settings_from_a_file() -> None:
    """Lists and tables of a node file are taken, and mistakes in them refused."""
    model = model_of(ADS1115.__init__, {"bus": str})
    given = {"bus": "i2c1", "measure": ["a0", "a23"], "divider": {"a0": 11}}
    assert model.model_validate(given).measure == ["a0", "a23"]  # type: ignore[attr-defined]
    mistakes: tuple[dict[str, object], ...] = (
        {"measure": []},
        {"measure": ["a4"]},
        {"divider": {"a0": 0}},
        {"rate": 100},
    )
    for wrong in mistakes:
        with pytest.raises(ValueError, match=r"validation error"):
            model.model_validate({"bus": "i2c1", **wrong})


def test_divider_of_nothing(backend: SimBackend) -> None:
    """A divider for a reading that is not measured is refused, by name."""
    with pytest.raises(InvalidValueError, match="divider: a2 is not among the readings: a0, a1"):
        ADS1115("adc", bus=backend.i2c_bus(BUS), measure=["a0", "a1"], divider={"a2": 2.0})

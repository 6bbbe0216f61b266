from collections.abc import Callable

import pytest
from edgekernel_devices.mcp3008 import MCP3008, Channel, MCP3008Chip
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError, Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import SpiDevice
from edgekernel.hal.address import SpiAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]


@pytest.fixture
def select(backend: SimBackend) -> SpiDevice:
    """A chip select."""
    return backend.spi_device(SpiAddress("spi0.0", "/dev/spidev0.0"))


@pytest.fixture
def chip(backend: SimBackend) -> MCP3008Chip:
    """A chip behind it."""
    made = MCP3008Chip()
    backend.spi("spi0.0").plug(made)
    return made


def test_figure_6_1(chip: MCP3008Chip) -> None:
    """Three bytes as in figure 6-1: five bits undefined, the null bit, ten bits of value."""
    chip.__dict__["channel5"] = 0x2A7 / 1024
    for channel, expected in ((5, 0x2A7), (4, 0)):
        answer = chip.transfer(bytes([0x01, 0x80 | channel << 4, 0x00]))
        assert len(answer) == 3
        assert (answer[1] & 0x07) << 8 | answer[2] == expected


def test_figure_5_1(chip: MCP3008Chip) -> None:
    """More clocks bring the value again, lowest bit first, then zeros."""
    chip.__dict__["channel0"] = 0b1100101001 / 1024
    answer = f"{int.from_bytes(chip.transfer(bytes([0x01, 0x80, 0, 0, 0]))):040b}"
    assert answer[13:] == "0" + "1100101001" + "001010011" + "0" * 7


def test_differential(chip: MCP3008Chip) -> None:
    """A pair of inputs gives their difference, not below 0 (table 5-2)."""
    chip.__dict__.update(channel2=0.75, channel3=0.25)
    for setting, expected in ((0b0010, 512), (0b0011, 0)):
        answer = chip.transfer(bytes([0x01, setting << 4, 0]))
        assert (answer[1] & 0x03) << 8 | answer[2] == expected


def test_unasked(chip: MCP3008Chip) -> None:
    """Without a start bit, or with too little behind it, the output floats."""
    assert chip.transfer(bytes(3)) == b"\xff" * 3
    assert chip.transfer(b"\x01") == b"\xff"


def test_every_channel(clock: SimClock, select: SpiDevice, chip: MCP3008Chip, boot: Boot) -> None:
    """Without further settings there are eight fractions, each of its own input."""
    adc = MCP3008("adc", select=select)
    boot(adc)

    @given(st.lists(st.floats(0, 1), min_size=8, max_size=8))
    def check(fractions: list[float]) -> None:
        for number, fraction in enumerate(fractions):
            setattr(chip, f"channel{number}", fraction)
        clock.advance(2)
        for number, fraction in enumerate(fractions):
            assert adc.readings[f"channel{number}"].value == pytest.approx(fraction, abs=1 / 1024)

    check()
    assert list(adc.readings) == [f"channel{number}" for number in range(8)]


def test_volts(clock: SimClock, select: SpiDevice, chip: MCP3008Chip, boot: Boot) -> None:
    """With a reference readings are volts, in front of a divider if there is one."""
    readings = {
        "battery": Channel(channel=0, ratio=4.0),
        "light": Channel(channel=7, unit="%", range=(0, 1)),
    }
    adc = MCP3008("adc", select=select, reference=3.3, readings=readings)
    boot(adc)
    chip.__dict__.update(channel0=0.75, channel7=0.5)
    clock.advance(2)
    battery, light = adc.readings["battery"], adc.readings["light"]
    assert battery.value == pytest.approx(3.3 * 4 * 0.75)
    assert (battery.values.unit, battery.values.range) == ("V", (0.0, 13.2))
    assert light.values.unit == "%"
    assert light.quality is Quality.BAD  # 1.65 V, out of the range that was given


def test_missing(clock: SimClock, backend: SimBackend, select: SpiDevice, boot: Boot) -> None:
    """A line that stays high is no chip: the device is offline, and online when there is one."""

    class PulledUp:
        def transfer(self, data: bytes) -> bytes:
            return b"\xff" * len(data)

    backend.spi("spi0.0").plug(PulledUp())
    adc = MCP3008("adc", select=select)
    boot(adc)
    clock.advance(1)
    assert not adc.online
    assert "no MCP3008 answers" in adc.readings["channel0"].sample.reason
    backend.spi("spi0.0").plug(MCP3008Chip())
    clock.advance(60)
    assert adc.readings["channel0"].value == 0


def test_name_taken(select: SpiDevice) -> None:
    """A reading cannot be called as something else of the device."""
    with pytest.raises(ConfigError, match=r"readings\.poll"):
        MCP3008("adc", select=select, readings={"poll": Channel(channel=0)})

from collections.abc import Callable
from typing import Any

import pytest
from edgekernel_devices.pca9685 import (
    PCA9685,
    PCA9685Chip,
    decode_share,
    encode_share,
    prescale,
)
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Event, InvalidValueError, Output, Quality, Runtime, UnavailableError, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError, ClosedError
from edgekernel.hal.address import BusAddress
from edgekernel.node.signature import model_of
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")

Boot = Callable[..., Runtime]


@pytest.fixture
def chip(backend: SimBackend) -> PCA9685Chip:
    """A chip on the bus, at 0x40."""
    chip = PCA9685Chip()
    backend.i2c_bus(BUS).plug(0x40, chip)
    return chip


@pytest.fixture
def lights(backend: SimBackend, chip: PCA9685Chip) -> PCA9685:
    """The driver of that chip, at 200 Hz."""
    return PCA9685("lights", bus=backend.i2c_bus(BUS))


def channel(device: PCA9685, number: int) -> Output[float]:
    """An output by its number."""
    found: Output[float] = getattr(device, f"channel{number}")
    return found


def registers(chip: PCA9685Chip, first: int, count: int) -> bytes:
    """Registers, by the chip's own protocol."""
    chip.write(bytes([first]))
    return chip.read(count)


@pytest.mark.parametrize(
    ("frequency", "value"),
    [
        (200, 30),  # the datasheet's example, section 7.3.5
        (1526, 3),
        (24, 253),
        (50, 121),
        (60, 101),
        (1000, 5),
        (5000, 3),
        (1, 255),
    ],
)
def test_prescale(frequency: float, value: int) -> None:
    """The prescaler is rounded, less one, within what the register takes (equation 1)."""
    assert prescale(frequency) == value


def test_prescale_of_another_oscillator() -> None:
    """An oscillator that is faster than it should be needs a greater prescaler."""
    assert prescale(50, 27e6) == 131


@given(st.integers(24, 1526))
def test_prescale_is_the_nearest(frequency: int) -> None:
    """No other prescaler makes a period that is nearer to the one asked for."""
    wanted = 25e6 / 4096 / frequency
    best = min(range(3, 256), key=lambda value: abs(value + 1 - wanted))
    assert prescale(frequency) == best


@pytest.mark.parametrize(
    ("share", "encoded"),
    [
        (0.0, "0000 0010"),
        (0.0001, "0000 0010"),
        (1 / 4096, "0000 0100"),
        (0.5, "0000 0008"),
        (4095 / 4096, "0000 FF0F"),
        (0.9999, "0010 0000"),
        (1.0, "0010 0000"),
    ],
)
def test_shares(share: float, encoded: str) -> None:
    """A share is 12 bits, with full off and full on in bits of their own (section 7.3.3)."""
    assert encode_share(share) == bytes.fromhex(encoded)


@pytest.mark.parametrize(
    ("encoded", "share"),
    [
        ("9901 CC04", 0.2),  # delayed by 10 %, on for 20 %: section 7.3.3, example 1
        ("650E CB0C", 0.9),  # delayed by 90 %, on for 90 %, across the end of the period: example 2
        ("0010 0010", 0.0),  # full off takes precedence
        ("FF13 FF0F", 1.0),
        ("5501 5501", 0.0),
    ],
)
def test_what_registers_say(encoded: str, share: float) -> None:
    """Any setting of a channel is understood, as LEDn_ON and LEDn_OFF can be anywhere."""
    assert decode_share(bytes.fromhex(encoded)) == pytest.approx(share, abs=0.0003)


@given(st.floats(0, 1))
def test_shares_are_read_as_written(share: float) -> None:
    """A share comes back within half a step."""
    assert decode_share(encode_share(share)) == pytest.approx(share, abs=0.5 / 4096 + 1e-12)


def test_reset_values(chip: PCA9685Chip) -> None:
    """After a reset the chip sleeps, and every channel is off (tables 4 to 8)."""
    assert registers(chip, 0x00, 2) == b"\x11\x11"  # no auto-increment
    assert registers(chip, 0x01, 1) == b"\x04"
    assert registers(chip, 0x09, 1) == b"\x10"
    assert registers(chip, 0xFE, 1) == b"\x1e"


def test_sleep_and_restart(chip: PCA9685Chip) -> None:
    """Sleep stops active channels until RESTART is written or one is (section 7.3.1.1); only
    then the prescaler can be written."""
    chip.write(bytes.fromhex("00 20"))
    chip.write(bytes.fromhex("06 0000 0008"))
    assert chip.share(0) == 0.5
    chip.write(bytes.fromhex("FE 79"))
    assert registers(chip, 0xFE, 1) == b"\x1e"
    chip.write(bytes.fromhex("00 30"))
    assert (chip.share(0), registers(chip, 0x00, 1)) == (0.0, b"\xb0")
    chip.write(bytes.fromhex("FE 01"))
    assert registers(chip, 0xFE, 1) == b"\x03"
    chip.write(bytes.fromhex("00 20"))
    assert (chip.share(0), registers(chip, 0x00, 1)) == (0.0, b"\xa0")
    chip.write(bytes.fromhex("00 A0"))
    assert (chip.share(0), registers(chip, 0x00, 1)) == (0.5, b"\x20")
    chip.write(bytes.fromhex("00 30"))
    chip.write(bytes.fromhex("06 0000 0004"))
    chip.write(bytes.fromhex("00 20"))
    assert chip.share(0) == 0.25


class Watched(PCA9685Chip):
    """Notes every share that a channel has."""

    def __init__(self) -> None:
        self.seen: list[set[float]] = [set() for _ in range(16)]
        super().__init__()

    def write(self, data: bytes) -> None:
        super().write(data)
        for channel, seen in enumerate(self.seen):
            seen.add(self.share(channel))


def test_attach_goes_straight_to_safe(backend: SimBackend, boot: Boot) -> None:
    """From off, a channel has no other value than its safe one, and after the end too."""
    chip = Watched()
    backend.i2c_bus(BUS).plug(0x40, chip)
    servos = PCA9685(
        "servos", bus=backend.i2c_bus(BUS), frequency=50, safe={"channel3": 0.075, "channel15": 1}
    )
    runtime = boot(servos)
    assert servos.clock.monotonic() >= 0.0005  # the oscillator has started, section 7.3.1.1
    shares = {3: 307 / 4096, 15: 1.0}
    assert chip.seen == [{0.0, shares.get(number, 0.0)} for number in range(16)]
    assert chip.frequency_hz == pytest.approx(50, rel=0.002)
    servos.channel3.set(0.1)
    servos.channel15.set(0.1)
    servos.channel0.set(0.1)
    runtime.shutdown()
    assert [chip.share(number) for number in range(16)] == [
        shares.get(number, 0.0) for number in range(16)
    ]


@given(st.lists(st.tuples(st.integers(0, 15), st.floats(0, 1)), max_size=10))
def test_channels_do_not_touch_each_other(writes: list[tuple[int, float]]) -> None:
    """Whatever is set on some channels, each has its last value, and reads back as it was set."""
    with SimClock() as clock:
        backend, runtime, chip = SimBackend(clock), Runtime(clock=clock), PCA9685Chip()
        backend.i2c_bus(BUS).plug(0x40, chip)
        lights = PCA9685("lights", bus=backend.i2c_bus(BUS))
        runtime.attach_device(lights)
        with runtime:
            shares = [0.0] * 16
            for number, share in writes:
                channel(lights, number).set(share)
                shares[number] = share
                assert channel(lights, number).value == share
            assert [chip.share(number) for number in range(16)] == pytest.approx(
                shares, abs=0.5 / 4096 + 1e-12
            )
        backend.close()


@pytest.mark.parametrize(
    ("settings", "mode2"),
    [({}, 0x04), ({"inverted": True}, 0x14), ({"open_drain": True}, 0x00)],
)
def test_output_stage(
    backend: SimBackend, boot: Boot, chip: PCA9685Chip, settings: dict[str, Any], mode2: int
) -> None:
    """Inversion and the output's structure are those of MODE2 (table 6)."""
    boot(PCA9685("lights", bus=backend.i2c_bus(BUS), **settings))
    assert registers(chip, 0x01, 1) == bytes([mode2])


def test_running_chip_is_not_stopped(backend: SimBackend, boot: Boot, lights: PCA9685) -> None:
    """A chip that a program before has left running as it is to be goes on without a gap."""
    chip = Watched()
    backend.i2c_bus(BUS).unplug(0x40)
    backend.i2c_bus(BUS).plug(0x40, chip)
    for data in ("00 20", "06 0010 0000"):
        chip.write(bytes.fromhex(data))
    for seen in chip.seen:
        seen.clear()
    boot(PCA9685("lights", bus=backend.i2c_bus(BUS), safe={"channel0": 1}))
    assert chip.seen[0] == {1.0}


def test_loss_of_supply(
    clock: SimClock, boot: Boot, lights: PCA9685, chip: PCA9685Chip, events: list[Event]
) -> None:
    """A chip that lost its supply gets everything back within a poll, and the device is offline
    for a moment, so that it does not pass unseen."""
    boot(lights)
    lights.channel7.set(0.75)
    clock.advance(1.5)
    chip.power_on()
    assert chip.share(7) == 0
    clock.advance(1)
    assert chip.share(7) == 0.75
    clock.advance(3)
    assert lights.online
    told = [e.payload for e in events if isinstance(e.payload, message.DeviceOffline)]
    assert len(told) == 1
    assert "lost its settings" in told[0].error


def test_readback_of_a_lost_chip(boot: Boot, lights: PCA9685, chip: PCA9685Chip) -> None:
    """The readback is what the chip has: without auto-increment, as after a loss of supply, only
    a part of what was written arrives."""
    boot(lights)
    chip.power_on()
    lights.channel7.set(0.75)
    assert lights.channel7.setpoint == 0.75
    assert lights.channel7.value != 0.75


def test_unplugged_and_plugged_in_again(
    clock: SimClock, boot: Boot, lights: PCA9685, backend: SimBackend, events: list[Event]
) -> None:
    """While the chip is away setting raises; another one has each channel as it was driven last,
    but for those whose write failed, which are safe."""
    boot(lights)
    lights.channel1.set(0.25)
    lights.channel2.set(0.5)
    backend.i2c_bus(BUS).unplug(0x40)
    clock.advance(2)
    assert not lights.online
    with pytest.raises(UnavailableError, match=r"lights\.channel2"):
        lights.channel2.set(1.0)
    assert lights.channel2.readback.quality is Quality.BAD
    other = PCA9685Chip()
    backend.i2c_bus(BUS).plug(0x40, other)
    clock.advance(5)
    assert lights.online
    assert [other.share(number) for number in range(4)] == [0, 0.25, 0, 0]
    lights.channel2.set(1.0)
    assert other.share(2) == 1
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


def test_wrong_chip(boot: Boot, backend: SimBackend, lights: PCA9685) -> None:
    """Another chip at the address keeps the runtime from booting, and the bus is given back."""

    class Other(PCA9685Chip):
        def read(self, length: int) -> bytes:
            return b"\x39\x9f" * (length // 2) + b"\x39" * (length % 2)

    backend.i2c_bus(BUS).unplug(0x40)
    backend.i2c_bus(BUS).plug(0x40, Other())
    with pytest.raises(BootError) as raised:
        boot(lights)
    assert "i2c1 address 0x40: the chip does not keep its settings" in str(
        raised.value.exceptions[0]
    )
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x40, 1)


def test_refused_values(boot: Boot, lights: PCA9685) -> None:
    """A share outside 0 to 1 is refused and nothing is driven."""
    boot(lights)
    for wrong in (-0.1, 1.1):
        with pytest.raises(InvalidValueError, match="from 0 to 1"):
            lights.channel0.set(wrong)
    assert lights.channel0.setpoint == 0


def test_settings_from_a_file() -> None:
    """Tables of a node file are taken, and mistakes in them refused."""
    model = model_of(PCA9685.__init__, {"bus": str})
    model.model_validate({"bus": "i2c1", "address": 0x41, "safe": {"channel3": 0.5}})
    mistakes: tuple[dict[str, object], ...] = (
        {"address": 0x70},
        {"frequency": 23},
        {"frequency": 1600},
        {"safe": {"channel16": 0.5}},
        {"safe": {"channel1": 1.5}},
    )
    for wrong in mistakes:
        with pytest.raises(ValueError, match="validation error"):
            model.model_validate({"bus": "i2c1", **wrong})

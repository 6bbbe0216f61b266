from collections.abc import Callable

import pytest
from edgekernel_devices.pms5003 import PMS5003, FrameCutter, PMS5003Sensor, checked, command
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import SerialPort
from edgekernel.hal.address import PortAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]

# A frame that somebody has recorded from a sensor and published.
FRAME = bytes.fromhex("424d001c0029003e0046001f002e003c19ec07bf0169003600080000910004e5")
MASSES, COUNTS = [31, 46, 60], [6636, 1983, 361, 54, 8, 0]
masses = st.lists(st.integers(0, 1000), min_size=3, max_size=3)


@pytest.fixture
def port(backend: SimBackend) -> SerialPort:
    """A closed port."""
    return backend.serial_port(PortAddress("uart0", "/dev/serial0"))


@pytest.fixture
def sensor(backend: SimBackend) -> PMS5003Sensor:
    """A sensor at its far end."""
    made = PMS5003Sensor()
    backend.port("uart0").plug(made)
    return made


def test_appendix_1() -> None:
    """A frame is 32 bytes whose checksum is the sum of the others; words are big-endian."""
    assert checked(FRAME[:-2]) == FRAME
    (content,) = FrameCutter().feed(FRAME)
    words = [int.from_bytes(content[n : n + 2]) for n in range(0, 26, 2)]
    assert words == [41, 62, 70, *MASSES, *COUNTS, 0x9100]


def test_recorded_frame(clock: SimClock, backend: SimBackend, port: SerialPort, boot: Boot) -> None:
    """Of a recorded frame the masses under atmospheric conditions and the counts are read."""
    driver = PMS5003("dust", port=port)
    boot(driver)
    for _ in range(40):
        backend.port("uart0").inject(FRAME)
        clock.advance(1)
    assert [reading.value for reading in driver.readings.values()] == MASSES + COUNTS


def test_appendix_2() -> None:
    """Commands and the answer to one are those of the data manual, checksum included."""
    assert command(0xE1, 0) == bytes.fromhex("424de100000170")
    assert command(0xE1, 1) == bytes.fromhex("424de100010171")
    assert command(0xE2, 0) == bytes.fromhex("424de200000171")
    assert command(0xE4, 1) == bytes.fromhex("424de400010174")
    sensor = PMS5003Sensor()
    sensor.received(command(0xE1, 0), 0.0)
    assert sensor.due(0.0) == bytes.fromhex("424d0004e1000174")


def test_active(clock: SimClock, port: SerialPort, sensor: PMS5003Sensor, boot: Boot) -> None:
    """After the warm-up the readings are what the sensor says, at most two seconds late."""
    driver = PMS5003("dust", port=port)
    boot(driver)
    clock.advance(29)
    for reading in driver.readings.values():
        assert (reading.quality, reading.sample.reason) == (Quality.BAD, "warming up")
    assert driver.online
    clock.advance(3)

    @given(masses, st.lists(st.integers(0, 65535), min_size=6, max_size=6))
    def check(mass: list[int], counts: list[int]) -> None:
        sensor.pm1_0, sensor.pm2_5, sensor.pm10 = mass
        sensor.n0_3, sensor.n0_5, sensor.n1_0, sensor.n2_5, sensor.n5_0, sensor.n10 = counts
        clock.advance(2)
        assert [reading.value for reading in driver.readings.values()] == [*mass, *counts]

    check()
    assert driver.rejected == 0


@pytest.mark.parametrize("real_speed", [False, True])
def test_passive(
    clock: SimClock,
    backend: SimBackend,
    port: SerialPort,
    sensor: PMS5003Sensor,
    boot: Boot,
    real_speed: bool,
) -> None:
    """When passive the sensor is asked at each poll, and keeps quiet in between."""
    backend.port("uart0").real_speed = real_speed
    driver = PMS5003("dust", port=port, mode="passive")
    boot(driver)
    clock.advance(35)
    assert driver.online
    assert driver.pm2_5.value == 8
    sensor.pm2_5 = 21
    assert sensor.due(clock.monotonic()) == b""
    clock.advance(2)
    assert driver.pm2_5.value == 21
    backend.port("uart0").unplug()
    clock.advance(4)
    assert "no frame for 1 s" in driver.pm2_5.sample.reason


@pytest.mark.parametrize("mode", ["active", "passive"])
def test_supply_lost(
    clock: SimClock,
    backend: SimBackend,
    port: SerialPort,
    sensor: PMS5003Sensor,
    boot: Boot,
    mode: str,
) -> None:
    """A sensor that comes back is set up anew and warms up again."""
    driver = PMS5003("dust", port=port, mode="active" if mode == "active" else "passive")
    boot(driver)
    clock.advance(35)
    assert driver.pm10.value == 10
    backend.port("uart0").unplug()
    clock.advance(15)
    assert not driver.online
    sensor.power_on()
    backend.port("uart0").plug(sensor)
    while not driver.online:
        clock.advance(1)
    clock.advance(28)
    assert driver.pm10.sample.reason == "warming up"
    clock.advance(5)
    assert driver.pm10.value == 10
    if mode == "passive":
        assert sensor.due(clock.monotonic()) == b""


def test_replugged(
    clock: SimClock, backend: SimBackend, port: SerialPort, sensor: PMS5003Sensor, boot: Boot
) -> None:
    """An adapter that goes takes the device offline; when it is back the port is opened anew."""
    driver = PMS5003("dust", port=port)
    boot(driver)
    clock.advance(35)
    backend.port("uart0").present = False
    clock.advance(2)
    assert not driver.online
    backend.port("uart0").present = True
    clock.advance(100)
    assert driver.pm10.value == 10


def test_damaged(
    clock: SimClock, backend: SimBackend, port: SerialPort, sensor: PMS5003Sensor, boot: Boot
) -> None:
    """Damaged frames are passed over and counted; ten seconds of them put the device offline."""
    driver = PMS5003("dust", port=port)
    boot(driver)
    clock.advance(35)
    sensor.pm10 = 99
    backend.port("uart0").drop(1)
    backend.port("uart0").inject(FRAME[:20])
    clock.advance(3)
    assert driver.online
    assert driver.pm10.value == 99
    assert driver.rejected == 1
    backend.port("uart0").corrupt(100_000)
    clock.advance(12)
    assert not driver.online
    assert "no frame for 10 s" in driver.pm10.sample.reason


@given(
    st.lists(
        st.one_of(
            st.just(FRAME),
            st.just(bytes.fromhex("424d0004e1000174")),
            st.binary(max_size=40).filter(lambda noise: 0x42 not in noise),
        ),
        max_size=8,
    ),
    st.lists(st.integers(1, 60), max_size=12),
)
def test_any_split_gives_the_same(pieces: list[bytes], sizes: list[int]) -> None:
    """However a stream is cut into reads, every frame in it is found, whatever is between them."""
    cutter, stream = FrameCutter(), b"".join(pieces)
    found: list[bytes] = []
    for size in sizes:
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    found += cutter.feed(stream)
    frames = [piece[4:-2] for piece in pieces if piece[:2] == FRAME[:2]]
    assert found == frames
    assert cutter.rejected == 0


@given(st.integers(0, 31), st.integers(1, 255))
def test_damaged_frame(position: int, change: int) -> None:
    """A frame with a wrong byte is never taken, and the one behind it is not lost."""
    wrong = bytearray(FRAME)
    wrong[position] ^= change
    cutter = FrameCutter()
    found = list(cutter.feed(bytes(wrong) + FRAME + FRAME))
    assert set(found) == {FRAME[4:-2]}
    assert len(found) >= 1

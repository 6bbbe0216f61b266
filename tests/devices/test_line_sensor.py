from collections.abc import Callable

import pytest
from edgekernel_devices.line_sensor import LineReading, LineSensor, TalkingSensor
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError, Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import SerialPort
from edgekernel.hal.address import PortAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]
PATTERN = r"T=(?P<temperature>\S+) H=(?P<humidity>\S+)(?: L=(?P<lamp>\w+))?"
READINGS = {
    "temperature": LineReading(unit="°C", range=(-40, 85)),
    "humidity": LineReading(unit="%", type="int"),
    "lamp": LineReading(type="bool"),
}


@pytest.fixture
def port(backend: SimBackend) -> SerialPort:
    """A closed port."""
    return backend.serial_port(PortAddress("uart0", "/dev/serial0"))


@pytest.fixture
def sender(backend: SimBackend) -> TalkingSensor:
    """A sensor at its far end."""
    made = TalkingSensor()
    backend.port("uart0").plug(made)
    return made


@pytest.fixture
def sensor(port: SerialPort, sender: TalkingSensor, boot: Boot) -> LineSensor:
    """A booted driver."""
    made = LineSensor("sensor", port=port, pattern=PATTERN, readings=READINGS)
    boot(made)
    return made


def test_groups_are_readings(clock: SimClock, sensor: LineSensor, sender: TalkingSensor) -> None:
    """Each named group is a reading of its type, in its unit; a group left out changes nothing."""
    sender.line = "T=23.5 H=41 L=ON"
    clock.advance(3)
    values = {name: reading.value for name, reading in sensor.readings.items()}
    assert values == {"temperature": 23.5, "humidity": 41, "lamp": True}
    assert sensor.readings["temperature"].values.unit == "°C"
    sender.line = "T=-4,25 H=43.6"
    clock.advance(3)
    values = {name: reading.value for name, reading in sensor.readings.items()}
    assert values == {"temperature": -4.25, "humidity": 44, "lamp": True}
    assert sensor.unmatched == 0


def test_first_line_is_whole(
    clock: SimClock, backend: SimBackend, sensor: LineSensor, sender: TalkingSensor
) -> None:
    """The end of a line whose beginning was missed is no measurement."""
    backend.port("uart0").inject(b"T=3.5 H=41\r\n")  # of "T=23.5 ..."
    clock.advance(1)
    assert sensor.readings["temperature"].quality is Quality.BAD


def test_replugged(
    clock: SimClock, backend: SimBackend, sensor: LineSensor, sender: TalkingSensor
) -> None:
    """A port that goes takes the device offline; when it is back, it is opened and read on."""
    sender.line = "T=23.5 H=41"
    clock.advance(3)
    backend.port("uart0").inject(b"T=9")
    backend.port("uart0").present = False
    clock.advance(3)
    assert not sensor.online
    backend.port("uart0").present = True
    sender.line = "T=24.5 H=41"
    clock.advance(60)
    assert sensor.online
    assert sensor.readings["temperature"].value == 24.5


def test_what_is_no_value(clock: SimClock, sensor: LineSensor, sender: TalkingSensor) -> None:
    """What is no number, no switch or out of range is BAD and says so; the rest is GOOD."""
    sender.line = "T=-- H=41 L=maybe"
    clock.advance(3)
    assert (
        "'--' is no number in 'T=-- H=41 L=maybe'" in sensor.readings["temperature"].sample.reason
    )
    assert "'maybe' is neither" in sensor.readings["lamp"].sample.reason
    assert sensor.readings["humidity"].value == 41
    sender.line = "T=85.1 H=nan"
    clock.advance(3)
    assert "from -40 to 85 °C" in sensor.readings["temperature"].sample.reason
    assert sensor.readings["humidity"].quality is Quality.BAD


def test_silence(clock: SimClock, sensor: LineSensor, sender: TalkingSensor) -> None:
    """After ten seconds of lines that do not match the device is offline, until one does."""
    sender.line = "calibrating"
    clock.advance(12)
    assert not sensor.online
    assert "no line that matches for 10 s" in sensor.readings["temperature"].sample.reason
    assert sensor.unmatched > 5
    sender.line = "T=1 H=2"
    clock.advance(60)
    assert sensor.readings["temperature"].value == 1.0


def test_group_that_stays_away(clock: SimClock, sensor: LineSensor, sender: TalkingSensor) -> None:
    """A reading that no line has had for ten seconds is BAD and says so, while the others are
    GOOD; it is GOOD with the next line that has it."""
    sender.line = "T=23.5 H=41 L=on"
    clock.advance(3)
    sender.line = "T=23.5 H=41"
    clock.advance(9)
    lamp = sensor.readings["lamp"]
    assert lamp.value
    clock.advance(3)
    assert lamp.quality is Quality.BAD
    assert lamp.sample.reason == "no line with lamp for 10 s"
    assert sensor.online
    assert sensor.readings["temperature"].value == 23.5
    sender.line = "T=23.5 H=41 L=off"
    clock.advance(2)
    assert not lamp.value


def test_group_that_is_rare(
    port: SerialPort, clock: SimClock, sender: TalkingSensor, boot: Boot
) -> None:
    """A reading with a stale limit of its own is GOOD for as long as that says."""
    sensor = LineSensor("sensor", port=port, pattern=PATTERN, readings=READINGS)
    lamp = sensor.readings["lamp"]
    lamp.stale_s = 60.0
    boot(sensor)
    sender.line = "T=23.5 H=41 L=on"
    clock.advance(3)
    sender.line = "T=23.5 H=41"
    clock.advance(55)
    assert lamp.value
    clock.advance(10)
    assert lamp.sample.reason == "stale: not measured for 60 s"


def test_framing(backend: SimBackend, port: SerialPort, boot: Boot) -> None:
    """The port is opened with the framing of the sensor."""
    boot(
        LineSensor(
            "scale",
            port=port,
            pattern="(?P<mass>[0-9.]+) kg",
            readings={"mass": LineReading(unit="kg")},
            baudrate=1200,
            data_bits=7,
            parity="even",
            stop_bits=2,
        )
    )
    assert backend.port("uart0").byte_ns == round(11 / 1200 * 1e9)


@given(st.binary(max_size=300))
def test_noise(noise: bytes) -> None:
    """No bytes make the driver fail, and what does not match changes no reading."""
    with SimClock() as clock:
        backend = SimBackend(clock)
        port = backend.serial_port(PortAddress("uart0", "/dev/serial0"))
        sensor = LineSensor("sensor", port=port, pattern=PATTERN, readings=READINGS)
        sensor.connect()
        backend.port("uart0").inject(noise)
        sensor.poll()
        backend.port("uart0").inject(b"\nT=7 H=8\n")
        sensor.poll()
        sensor.disconnect()
        assert sensor.readings["temperature"].sample.value == 7.0


@given(st.floats(-1e6, 1e6), st.floats(-100, 100), st.floats(-100, 100))
def test_scale(number: float, scale: float, offset: float) -> None:
    """A number is multiplied by the scale before the offset is added."""
    wanted = LineReading(scale=scale, offset=offset)
    assert wanted.parse(repr(number)) == number * scale + offset
    assert LineReading(type="str").parse(" x") == " x"


@pytest.mark.parametrize(
    ("pattern", "wrong"),
    [
        ("(", "no regular expression"),
        ("T=(?P<temperature>.+)", "'humidity' is not among the groups"),
        (PATTERN + "(?P<more>x)?", "'more' is not among `readings`"),
    ],
)
def test_wrong_pattern(port: SerialPort, pattern: str, wrong: str) -> None:
    """A pattern that is none, or whose groups are not the readings, is refused with the reason."""
    with pytest.raises(ConfigError, match=f"pattern: {wrong}"):
        LineSensor("sensor", port=port, pattern=pattern, readings=READINGS)

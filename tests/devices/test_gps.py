from collections.abc import Callable

import pytest
from edgekernel_devices.gps import GPS, GPSReceiver
from hypothesis import given
from hypothesis import strategies as st
from pynmeagps import NMEAReader

from edgekernel import Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import PortAddress
from edgekernel.sim import SimClock

PORT = PortAddress("uart0", "/dev/serial0")
OTHER = PortAddress("uart1", "/dev/ttyAMA1")
GGA = b"$GPGGA,092725.00,4717.11399,N,00833.91590,E,1,08,1.01,499.6,M,48.0,M,,*5B\r\n"
RMC = b"$GPRMC,083559.00,A,4717.11437,N,00833.91522,E,10.000,77.52,091202,,,A*63\r\n"

Boot = Callable[..., Runtime]


class Script:
    """A far end that sends what the test puts into `out`."""

    def __init__(self) -> None:
        self.out = b""

    def received(self, data: bytes, now_s: float) -> None: ...

    def due(self, now_s: float) -> bytes:
        out, self.out = self.out, b""
        return out


def state(gps: GPS) -> list[tuple[object, Quality, str]]:
    """All that the readings say, but the times."""
    samples = [reading.sample for reading in gps.readings.values()]
    return [(sample.value, sample.quality, sample.reason) for sample in samples]


def plugged(
    backend: SimBackend, address: PortAddress = PORT, silence: float = 10.0
) -> tuple[GPS, Script]:
    """A driver and a far end, on one line."""
    port, script = backend.serial_port(address), Script()
    backend.port(address.name).plug(script)
    return GPS(f"gps-{address.name}", port=port, silence=silence), script


def test_reads_what_the_receiver_sends(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """In every place on Earth the readings are what the receiver knows."""
    port, receiver = backend.serial_port(PORT), GPSReceiver()
    backend.port("uart0").plug(receiver)
    gps = GPS("gps", port=port)
    boot(gps)
    receiver.satellites = 11

    @given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-400, 9000), st.floats(0, 300))
    def check(latitude: float, longitude: float, altitude: float, speed: float) -> None:
        receiver.latitude, receiver.longitude = latitude, longitude
        receiver.altitude_m, receiver.speed_mps = altitude, speed
        clock.advance(2)
        assert gps.latitude.value == pytest.approx(latitude, abs=1e-6)
        assert gps.longitude.value == pytest.approx(longitude, abs=1e-6)
        assert gps.altitude.value == pytest.approx(altitude, abs=0.051)
        assert gps.speed.value == pytest.approx(speed, abs=0.001)
        assert gps.fix.value is True
        assert gps.satellites.value == 11

    check()
    assert gps.rejected == 0


def test_receiver_sends_a_pair_per_second() -> None:
    """The simulated receiver sends GGA and RMC for each second, stamped from 2026-01-01 on."""
    receiver = GPSReceiver()
    lines = b"".join(receiver.due(now) for now in (0.0, 0.4, 1.0, 3.7)).splitlines(keepends=True)
    parsed = [NMEAReader.parse(line) for line in lines]
    assert [m.identity for m in parsed if m is not None] == ["GNGGA", "GNRMC"] * 4
    rmc = parsed[-1]
    assert (str(rmc.date), str(rmc.time)) == ("2026-01-01", "00:00:03")  # type: ignore[union-attr]


def test_no_fix(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Without a fix there is no position, and the reason says so; with it, there is again."""
    port, receiver = backend.serial_port(PORT), GPSReceiver()
    backend.port("uart0").plug(receiver)
    gps = GPS("gps", port=port)
    receiver.fix, receiver.satellites = False, 2
    boot(gps)
    clock.advance(2)
    assert gps.online
    assert gps.fix.value is False
    assert gps.satellites.value == 2
    for reading in (gps.latitude, gps.longitude, gps.altitude, gps.speed):
        assert (reading.quality, reading.sample.reason) == (Quality.BAD, "no fix")
    receiver.fix = True
    clock.advance(2)
    assert gps.latitude.value == pytest.approx(receiver.latitude, abs=1e-6)
    assert gps.speed.value == 0


def test_silence(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """After ten seconds without a sentence everything is BAD, until one comes."""
    gps, script = plugged(backend)
    boot(gps)
    script.out = GGA + RMC
    clock.advance(9)
    assert gps.online
    assert gps.altitude.value == 499.6
    clock.advance(3)
    assert not gps.online
    for reading in gps.readings.values():
        assert reading.quality is Quality.BAD
        assert "no sentence for 10 s" in reading.sample.reason
    script.out = GGA + RMC
    clock.advance(1)
    assert gps.online
    assert gps.altitude.value == 499.6


def test_port_unplugged_and_plugged_in_again(
    clock: SimClock, backend: SimBackend, boot: Boot
) -> None:
    """A port that goes takes the device offline at once; when it is back, it is opened anew."""
    gps, script = plugged(backend)
    boot(gps)
    script.out = GGA + GGA[:20]
    clock.advance(2)
    backend.port("uart0").present = False
    clock.advance(2)
    assert not gps.online
    assert gps.altitude.quality is Quality.BAD
    backend.port("uart0").present = True
    assert clock.run_until(lambda: gps.online, 10)
    script.out = GGA
    clock.advance(1)
    assert gps.altitude.value == 499.6


def test_noise_is_silence(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Bytes that are no sentences do not count as a sign of life."""
    gps, script = plugged(backend)
    boot(gps)
    for _ in range(12):
        script.out = b"\xff\x00$GPGGA,0\r\n" * 20
        clock.advance(1)
    assert not gps.online
    assert gps.rejected > 0


@pytest.mark.parametrize(
    "bad",
    [
        GGA.replace(b"499.6", b"999.6"),
        GGA.replace(b"*5B", b""),
        GGA.replace(b"*5B", b"*"),
        GGA.replace(b"4717", b"47\xc3\xff17"),
        b"$GPGGA*56\r\n",
        b"$*00\r\n",
        b"$\r\n",
        b"$GPRMC*4B\r\n",
        b"$GPGGA,a,b,c,d,e,f,g,h*00\r\n",
    ],
)
def test_bad_sentence_changes_no_position(
    clock: SimClock, backend: SimBackend, boot: Boot, bad: bytes
) -> None:
    """A damaged sentence, or one that says nothing, gives no position, and the next one is
    understood."""
    gps, script = plugged(backend)
    boot(gps)
    script.out = bad
    clock.advance(1)
    assert gps.altitude.quality is Quality.BAD
    script.out = bad + GGA
    clock.advance(1)
    assert gps.altitude.value == 499.6


def test_resynchronises_within_a_line(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Garbage and the beginning of another sentence before a good one do no harm."""
    gps, script = plugged(backend)
    boot(gps)
    script.out = b"\x80\x81" * 5000 + b"$GPGGA,092725.00,47" + GGA[:30]
    clock.advance(1)
    script.out = GGA[30:]
    clock.advance(1)
    assert gps.latitude.value == pytest.approx(47.2852332, abs=1e-6)


def test_any_split_gives_the_same(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """However a stream is cut into reads, the readings end up the same."""
    whole, whole_line = plugged(backend, PORT, silence=1e9)
    split, split_line = plugged(backend, OTHER, silence=1e9)
    boot(whole, split)
    receiver = GPSReceiver()
    pieces = st.one_of(
        st.just(GGA),
        st.just(RMC),
        st.just(GGA[:-1]),
        st.builds(receiver.due, st.floats(0, 100_000)),
        st.binary(max_size=20),
        st.sampled_from([b"\x80" * 300, b"$" + b"x" * 300 + b"\n"]),
        st.integers(0, 70).map(lambda n: GGA[:n]),
        st.integers(0, 70).map(lambda n: RMC[n:]),
    )

    @given(st.lists(pieces, max_size=6).map(b"".join), st.lists(st.integers(1, 350), max_size=12))
    def check(stream: bytes, sizes: list[int]) -> None:
        whole_line.out = stream
        for size in sizes:
            split_line.out, stream = stream[:size], stream[size:]
            clock.advance(1)
        split_line.out = stream
        clock.advance(1)
        assert state(split) == state(whole)
        assert split.rejected == whole.rejected

    check()

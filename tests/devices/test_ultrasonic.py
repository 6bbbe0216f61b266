from collections.abc import Callable

import pytest
from edgekernel_devices.ultrasonic import Ultrasonic, UltrasonicTarget
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

TRIGGER, ECHO = LineAddress("GPIO23", "sim", 23), LineAddress("GPIO24", "sim", 24)

Boot = Callable[..., Runtime]


@pytest.fixture
def target(clock: SimClock, backend: SimBackend) -> UltrasonicTarget:
    """A sensor on its two lines."""
    target = UltrasonicTarget()
    target.wire({"trigger": backend.line("GPIO23"), "echo": backend.line("GPIO24")}, clock)
    return target


@pytest.fixture
def level(backend: SimBackend) -> Ultrasonic:
    """The driver of that sensor."""
    return Ultrasonic(
        "level", trigger=backend.digital_output(TRIGGER), echo=backend.digital_input(ECHO)
    )


def test_measures_the_distance(
    clock: SimClock, boot: Boot, level: Ultrasonic, target: UltrasonicTarget
) -> None:
    """Over the whole range the reading is the distance, within what the echo's timing resolves."""
    boot(level)

    @given(st.floats(0.03, 3.9))
    def check(distance_m: float) -> None:
        target.distance_m = distance_m
        clock.advance(1)
        assert level.distance.value == pytest.approx(distance_m, abs=0.001)

    check()


def test_speed_of_sound_in_cold_air(
    clock: SimClock, backend: SimBackend, boot: Boot, target: UltrasonicTarget
) -> None:
    """With the air's temperature set, a measurement in cold air is right."""
    target.air_c, target.distance_m = -10.0, 2.0
    level = Ultrasonic(
        "level",
        trigger=backend.digital_output(TRIGGER),
        echo=backend.digital_input(ECHO),
        air=-10.0,
    )
    boot(level)
    clock.advance(1)
    assert level.distance.value == pytest.approx(2.0, abs=0.001)


@pytest.mark.parametrize("distance_m", [None, 0.005, 5.0])
def test_nothing_in_range(
    clock: SimClock,
    boot: Boot,
    level: Ultrasonic,
    target: UltrasonicTarget,
    distance_m: float | None,
) -> None:
    """Without an echo from the range the reading is BAD and says so; the device is online."""
    target.distance_m = distance_m
    boot(level)
    clock.advance(1)
    assert level.distance.quality is Quality.BAD
    assert level.distance.sample.reason == "no echo between 0.02 m and 4 m"
    assert level.online


def test_no_sensor(clock: SimClock, boot: Boot, level: Ultrasonic) -> None:
    """Without a sensor there is no echo pulse: the device is offline and says what to check."""
    boot(level)
    clock.advance(2)
    assert not level.online
    assert "no echo pulse: check wiring and supply" in level.distance.sample.reason

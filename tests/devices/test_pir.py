from collections.abc import Callable

from edgekernel_devices.pir import PIR

from edgekernel import Quality, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.hal.address import LineAddress
from edgekernel.sim import SimClock

LINE = LineAddress("GPIO27", "sim", 27)

Boot = Callable[..., Runtime]


def test_uncertain_while_it_warms_up(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """Until the detector is warm its reading is UNCERTAIN and says why; then it is GOOD at once,
    without waiting for a change."""
    hall = PIR("hall", pin=backend.digital_input(LINE), warm_up=60)
    hall.every = 3600.0
    boot(hall)
    backend.line("GPIO27").drive(True)
    clock.advance(59.9)
    sample = hall.motion.sample
    assert (sample.value, sample.quality, sample.reason) == (True, Quality.UNCERTAIN, "warming up")
    clock.advance(0.2)
    assert hall.motion.quality is Quality.GOOD
    assert hall.motion.value


def test_motion_follows_the_line(clock: SimClock, backend: SimBackend, boot: Boot) -> None:
    """After the warm-up the reading is the active level, at the moment of the edge."""
    hall = PIR("hall", pin=backend.digital_input(LINE), warm_up=0, active_high=False, pull="up")
    boot(hall)
    assert not hall.motion.value
    backend.line("GPIO27").drive(False)
    assert hall.motion.value
    backend.line("GPIO27").release()
    assert not hall.motion.value

"""How long a device has said nothing, across openings of its port."""

from __future__ import annotations

from edgekernel.backends.sim import SimBackend
from edgekernel.hal import LastingPort, Silence
from edgekernel.hal.address import PortAddress


def test_silence(backend: SimBackend) -> None:
    """It lasts since what was heard last, and begins anew when the port was opened again."""
    port = LastingPort(backend.serial_port(PortAddress("uart0", "/dev/ttyAMA0")), 9600, 1.0)
    silence = Silence(port)
    port.open()
    assert (silence.lasts_s(5.0), silence.lasts_s(8.0)) == (0.0, 3.0)
    silence.ended(9.0)
    assert silence.lasts_s(11.5) == 2.5
    port.close()
    assert silence.lasts_s(12.0) == 3.0
    port.open()
    assert (silence.lasts_s(40.0), silence.lasts_s(41.0)) == (0.0, 1.0)

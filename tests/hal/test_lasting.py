"""A port that is opened again after it was lost."""

from __future__ import annotations

import pytest

from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BrokenError
from edgekernel.hal import LastingPort, Parity
from edgekernel.hal.address import PortAddress

UART0 = PortAddress("uart0", "/dev/ttyAMA0")


@pytest.fixture
def port(backend: SimBackend) -> LastingPort:
    """A port that nobody has opened."""
    made = backend.serial_port(UART0)
    return LastingPort(made, 300, 1.0, data_bits=7, parity=Parity.ODD, stop_bits=2)


def test_opened_once(backend: SimBackend, port: LastingPort) -> None:
    """Opening again what is open is harmless; after closing it is opened when it is used."""
    port.open()
    port.open()
    assert port.openings == 1
    port.close()
    port.close()
    backend.port("uart0").inject(b"lost")
    with port.in_use() as opened:
        assert opened.read_available() == b""
    assert port.openings == 2


def test_lost_and_found(backend: SimBackend, port: LastingPort) -> None:
    """A failure closes the port and is raised; the next use opens it with the same settings."""
    socket = backend.port("uart0")
    port.open()
    byte_ns = socket.byte_ns
    assert byte_ns == round(11 / 300 * 1e9)
    socket.present = False
    for _ in range(2):
        with pytest.raises(BrokenError, match="uart0"), port.in_use() as opened:
            opened.write(b"x")
        assert not socket.taken
    socket.present, socket.byte_ns = True, 0
    with port.in_use() as opened:
        opened.write(b"x")
    assert (port.openings, socket.byte_ns) == (2, byte_ns)


def test_silence_is_no_loss(backend: SimBackend, port: LastingPort) -> None:
    """A device that does not answer, and a mistake of the driver, leave the port open."""
    for error in (TimeoutError, ValueError):
        with pytest.raises(error), port.in_use():
            raise error
    assert port.openings == 1
    assert backend.port("uart0").taken

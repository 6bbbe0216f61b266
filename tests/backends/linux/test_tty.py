"""What is asked of the kernel when a port is opened for RS-485, which no pseudo-terminal has."""

from __future__ import annotations

import array
import fcntl
import os
from typing import Any

import pytest
from serial.serialposix import TIOCGRS485, TIOCMBIC, TIOCMBIS, TIOCSRS485, TIOCM_RTS_str

from edgekernel.backends.linux.tty import open_tty
from edgekernel.backends.pyserial_port import PortSettings
from edgekernel.hal import Rs485

ENABLED, RTS_ON_SEND, RTS_AFTER_SEND = 1, 2, 4  # <linux/serial.h>


@pytest.mark.parametrize("rts_on_send", [True, False])
def test_rs485(monkeypatch: pytest.MonkeyPatch, rts_on_send: bool) -> None:
    """The kernel gets level and delays in ms, once, and RTS never says "send" in between."""
    asked: list[tuple[int, Any]] = []
    real = fcntl.ioctl

    def ioctl(file: int, request: int, argument: Any = 0, *more: Any) -> Any:
        if request in (TIOCGRS485, TIOCSRS485):
            asked.append((request, array.array("i", argument)))
            return 0
        if request in (TIOCMBIS, TIOCMBIC):
            if argument == TIOCM_RTS_str:
                asked.append((request, argument))
            return 0
        return real(file, request, argument, *more)

    monkeypatch.setattr("serial.serialposix.fcntl.ioctl", ioctl)
    far, near = os.openpty()
    try:
        rs485 = Rs485(rts_on_send=rts_on_send, delay_before_s=0.029, delay_after_s=0.1)
        with open_tty(os.ttyname(near), PortSettings(9600, 1.0, rs485=rs485)) as tty:
            tty.timeout = 0.0
            assert tty.read(1) == b""
    finally:
        os.close(far)
        os.close(near)
    assert [request for request, _ in asked] == [
        TIOCGRS485,
        TIOCSRS485,
        TIOCMBIC if rts_on_send else TIOCMBIS,
    ]
    flags, before_ms, after_ms = asked[1][1][:3]
    assert flags == ENABLED | (RTS_ON_SEND if rts_on_send else RTS_AFTER_SEND)
    assert (before_ms, after_ms) == (29, 100)

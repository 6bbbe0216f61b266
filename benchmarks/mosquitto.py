"""A mosquitto for a benchmark, with and without its `set_tcp_nodelay`."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekernel.mqtt.broker import find_mosquitto

HOST = "127.0.0.1"


def start_broker(folder: str, nodelay: bool) -> tuple[subprocess.Popen[bytes], int]:
    """Start mosquitto on a free port; return it and the port when it accepts connections."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    conf = Path(folder) / f"{port}.conf"
    conf.write_text(
        f"listener {port} {HOST}\nallow_anonymous true\nset_tcp_nodelay {str(nodelay).lower()}\n"
    )
    binary = find_mosquitto() or sys.exit("mosquitto is missing: tools/ensure-mosquitto")
    broker = subprocess.Popen([binary, "-c", str(conf)], stderr=subprocess.DEVNULL)
    for _ in range(500):
        with socket.socket() as attempt:
            if attempt.connect_ex((HOST, port)) == 0:
                return broker, port
        time.sleep(0.01)
    sys.exit("mosquitto did not start")


@contextmanager
def running(folder: str, nodelay: bool) -> Iterator[int]:
    """Give the port of a mosquitto that runs as long."""
    broker, port = start_broker(folder, nodelay)
    try:
        yield port
    finally:
        broker.terminate()
        broker.wait(10)


def no_delay(client: Any, userdata: Any, sock: Any) -> None:
    """Let paho send small packets at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

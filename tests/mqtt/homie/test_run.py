"""`edgekernel run` with a node file that asks for Homie, on a real mosquitto."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.brokers import LIMIT_S, Mosquitto, Watcher

NODE = """
[node]
name = "n1"
board = "sim"

[devices.fan]
driver = "relay"
pin = "GPIO17"
safe = "off"

[mqtt]
host = "127.0.0.1"
port = {port}
dialect = "homie"

[mqtt.homie]
domain = "haus"
"""
BASE = "haus/5/n1"


@contextmanager
def agent(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a node file until it is ended, at the latest at the end."""
    program = "from edgekernel.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", str(path), "--sim"], stdout=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(LIMIT_S)


def sees(watcher: Watcher, topic: str, payload: bytes) -> None:
    """Wait for a payload on a topic."""
    watcher.wait_for(lambda r: (r.topic, r.payload) == (topic, payload), f"{topic} {payload!r}")


def test_lost_when_killed_and_disconnected_when_ended(
    broker: Mosquitto, watcher: Watcher, tmp_path: Path
) -> None:
    """The node of a file is ready and does what is set; `kill -9` leaves `lost`, a stop
    `disconnected`."""
    path = tmp_path / "node.toml"
    path.write_text(NODE.format(port=broker.port))
    for end, state in ((signal.SIGKILL, b"lost"), (signal.SIGTERM, b"disconnected")):
        watcher.forget()
        with agent(path) as process:
            sees(watcher, f"{BASE}/$state", b"ready")
            watcher.publish(f"{BASE}/fan/power/set", "true")
            sees(watcher, f"{BASE}/fan/power", b"true")
            watcher.forget()
            process.send_signal(end)
            sees(watcher, f"{BASE}/$state", state)

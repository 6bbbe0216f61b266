"""mqtt-io with an output and an input of its gpiozero module, on gpiozero's mock pins."""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from benchmarks.mosquitto import HOST
from benchmarks.round_trip.edges import BUTTON, LAMP, follow_stdin


def with_no_delay() -> None:
    """Let its sockets send small packets at once, which mqtt-io has no setting for."""
    create = socket.create_connection

    def create_connection(*args: Any, **named: Any) -> socket.socket:
        made = create(*args, **named)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    socket.create_connection = create_connection


def main(port: int, nodelay: bool) -> None:
    """Serve until the process is ended."""
    factory = Device.pin_factory = MockFactory()
    if nodelay:
        with_no_delay()
    lamp = {"name": "lamp", "module": "gpio", "pin": LAMP, "on_payload": "1", "off_payload": "0"}
    button = {"name": "button", "module": "gpio", "pin": BUTTON, "interrupt": "both"}
    config = {
        "mqtt": {"host": HOST, "port": port, "topic_prefix": "mqtt-io"},
        "gpio_modules": [{"name": "gpio", "module": "gpiozero"}],
        "digital_outputs": [lamp],
        "digital_inputs": [{**button, "pullup": True, "retain": True}],
        "logging": {"version": 1},
    }
    pin = factory.pin(BUTTON)
    follow_stdin(lambda level: pin.drive_high() if level else pin.drive_low())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mqtt-io.yml"
        file.write_text(json.dumps(config))  # YAML that happens to be JSON
        sys.argv = ["mqtt_io", str(file)]
        import_module("mqtt_io.__main__").main()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "nodelay")

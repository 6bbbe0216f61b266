"""The same by hand, with nothing but paho and gpiozero: as little as does the same on the wire.

With `answers` it does less: no pin, no state, only a reply.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from gpiozero import LED, Button, Device
from gpiozero.pins.mock import MockFactory
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.mosquitto import HOST, no_delay
from benchmarks.round_trip.edges import BUTTON, LAMP, follow_stdin


def main(port: int, prefix: str) -> None:
    """Serve until the process is ended."""
    factory = Device.pin_factory = MockFactory()
    lamp, button = LED(LAMP), Button(BUTTON)
    base = f"{prefix}/n1"

    def publish_state(device: str, name: str, value: bool) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        state = {"online": True, name: {"value": value, "quality": "GOOD", "time": now}}
        client.publish(f"{base}/state/{device}", json.dumps(state), 1, True)

    def answer(client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        request = json.loads(message.payload)
        if prefix != "answers":
            lamp.value = request["value"]
        reply = {"id": request["id"], "ok": True, "result": None}
        client.publish(request["reply_to"], json.dumps(reply), 1)
        if prefix != "answers":
            publish_state("lamp", "power", bool(lamp.value))

    def connected(client: paho.Client, *_: Any) -> None:
        client.subscribe(f"{base}/set/+/+", 1)

    def subscribed(client: paho.Client, *_: Any) -> None:
        client.publish(f"{base}/status", "online", 1, True)

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_socket_open = no_delay
    client.on_message = answer
    client.on_connect = connected
    client.on_subscribe = subscribed
    button.when_pressed = lambda: publish_state("button", "pressed", True)
    button.when_released = lambda: publish_state("button", "pressed", False)
    pin = factory.pin(BUTTON)
    follow_stdin(lambda level: pin.drive_high() if level else pin.drive_low())
    client.connect(HOST, port)
    client.loop_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

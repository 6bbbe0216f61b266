"""How long a QoS 1 set takes until its reply is there: ours beside a bare paho client.

Agent and client are processes of their own, the broker is mosquitto with and without its
`set_tcp_nodelay`. The two are interleaved; printed are medians over all requests, in
microseconds. A round trip near 44,000 is the other side's delayed ACK.
"""

from __future__ import annotations

import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edgekernel.mqtt.broker import find_mosquitto

ROUNDS, REQUESTS = 5, 200
HOST = "127.0.0.1"

OURS = """
import sys
from edgekernel import Device, Runtime, output
from edgekernel.mqtt import MqttInterface, Settings
class Lamp(Device):
    power = output(bool, safe=False)
    @power.drive
    def switch(self, on): return on
sys.setswitchinterval(0.0005)
runtime = Runtime(name="n1")
runtime.register(Lamp("lamp"))
runtime.register(MqttInterface(Settings("127.0.0.1", int(sys.argv[1]), prefix="ours")))
runtime.run()
"""

PAHO = """
import json, socket, sys
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
def answer(client, _, message):
    request = json.loads(message.payload)
    client.publish(request["reply_to"], json.dumps({"id": request["id"], "ok": True}), 1)
client = paho.Client(CallbackAPIVersion.VERSION2)
client.on_socket_open = lambda c, u, s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
client.on_message = answer
client.on_connect = lambda c, *_: c.subscribe("paho/n1/set/+/+", 1)
client.on_subscribe = lambda c, *_: c.publish("paho/n1/status", '{"state": "online"}', 1, True)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
"""


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


def no_delay(client: paho.Client, userdata: Any, sock: Any) -> None:
    """Send small packets at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """Asks one node, one request after the other."""

    def __init__(self, port: int, prefix: str) -> None:
        self._prefix = prefix
        self._ids = itertools.count()
        self._arrived = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_socket_open = no_delay
        self._client.on_message = lambda *_: self._arrived.set()
        self._client.connect(HOST, port)
        self._client.subscribe([(f"{prefix}/n1/reply/me", 1), (f"{prefix}/n1/status", 1)])
        self._client.loop_start()
        if not self._arrived.wait(20):
            sys.exit(f"{prefix}: the node did not come online")

    def ask(self, number: int) -> float:
        """Return how long one request took, in microseconds; each has an id of its own, or it would
        be a repeat of an earlier one."""
        self._arrived.clear()
        reply_to = f"{self._prefix}/n1/reply/me"
        document = {"value": bool(number % 2), "id": next(self._ids), "reply_to": reply_to}
        begin = time.perf_counter()
        self._client.publish(f"{self._prefix}/n1/set/lamp/power", json.dumps(document), 1)
        if not self._arrived.wait(5):
            sys.exit(f"{self._prefix}: no reply")
        return (time.perf_counter() - begin) * 1e6

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def measure(port: int) -> dict[str, list[float]]:
    """Return the round trips of both, interleaved."""
    code = {"ours": OURS, "paho": PAHO}
    nodes = [subprocess.Popen([sys.executable, "-c", c, str(port)]) for c in code.values()]
    clients = {name: Client(port, name) for name in code}
    times: dict[str, list[float]] = {name: [] for name in code}
    for _ in range(ROUNDS):
        for name, client in clients.items():
            times[name] += [client.ask(number) for number in range(REQUESTS)]
    for client in clients.values():
        client.close()
    for node in nodes:
        node.terminate()
        node.wait(10)
    return times


def main() -> None:
    """Print medians, 99th percentiles and the ratio, with and without the broker's no-delay."""
    with tempfile.TemporaryDirectory() as folder:
        for nodelay in (True, False):
            broker, port = start_broker(folder, nodelay)
            try:
                times = measure(port)
            finally:
                broker.terminate()
                broker.wait(10)
            print(f"broker set_tcp_nodelay {nodelay}:")
            for name, each in times.items():
                p99 = statistics.quantiles(each, n=100)[98]
                print(f"  {name}: p50 {statistics.median(each):7.0f} us  p99 {p99:7.0f} us")
            ratio = statistics.median(times["ours"]) / statistics.median(times["paho"])
            print(f"  ours / paho: {ratio:.2f}")


if __name__ == "__main__":
    main()

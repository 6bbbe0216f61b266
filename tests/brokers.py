"""Real brokers for tests, and a foreign client to look at what is on them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edgekernel.mqtt.broker import find_mosquitto
from edgekernel.mqtt.site.mosquitto import password_line

HOST = "127.0.0.1"
LIMIT_S = 15.0
"""How long to wait for what must happen; never reached when all is well."""


def start_mosquitto(conf: Path, log: Path, *ports: int) -> subprocess.Popen[bytes]:
    """Start a mosquitto and wait until all of its ports accept connections."""
    binary = find_mosquitto()
    assert binary is not None, "mosquitto is missing; tools/ensure-mosquitto installs it"
    with log.open("ab") as said:
        process = subprocess.Popen([binary, "-c", conf], stdout=said, stderr=said)
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        if all(map(_accepts, ports)):
            return process
        time.sleep(0.01)  # the broker is another process: there is nothing to wait on
    process.terminate()
    process.wait(LIMIT_S)
    raise AssertionError(f"mosquitto did not start:\n{log.read_text()}")


def _accepts(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((HOST, port)) == 0


class Mosquitto:
    """A mosquitto of its own on a free loopback port; `kill` and `start` it as often as needed."""

    def __init__(
        self,
        folder: Path,
        users: dict[str, str] | None = None,
        denied: str = "",
        rules: str = "",
    ) -> None:
        """Prepare a broker whose files go to `folder`; with `users` anonymous access is off, and on
        the topic `denied` nobody may publish. Or `rules` are an access list."""
        self.host = HOST
        self.port = free_port()
        self._conf = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        lines = [
            f"listener {self.port} {HOST}",
            f"allow_anonymous {'false' if users else 'true'}",
            "set_tcp_nodelay true",
            "persistence false",
            "log_type all",
            *(["user root"] if os.geteuid() == 0 else []),  # else it may not read pytest's folder
        ]
        self._passwords = folder / "passwords"
        if users:
            self._write(users)
            lines.append(f"password_file {self._passwords}")
        if denied:
            rules = f"topic readwrite #\ntopic deny {denied}\n"
        if rules:
            (folder / "rules").write_text(rules)
            lines.append(f"acl_file {folder / 'rules'}")
        self._conf.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and wait until it accepts connections."""
        self._process = start_mosquitto(self._conf, self._log, self.port)

    def kill(self) -> None:
        """End it without any goodbye to its clients; what it retained is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order. Stopping twice is harmless."""
        self._end(signal.SIGTERM)

    def send(self, which: signal.Signals) -> None:
        """Send it a signal: SIGSTOP keeps it from hearing and saying anything, until SIGCONT."""
        assert self._process is not None
        self._process.send_signal(which)

    def let_in(self, users: dict[str, str]) -> None:
        """Let it know these users, and no others, as its files are read anew."""
        self._write(users)
        self.send(signal.SIGHUP)

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text("utf-8")

    def _write(self, users: dict[str, str]) -> None:
        listed = (password_line(*user, rounds=101) for user in users.items())
        self._passwords.write_text("".join(f"{line}\n" for line in listed))
        self._passwords.chmod(0o600)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)  # one that is stopped would not hear a SIGTERM
            process.wait(LIMIT_S)


class Received(NamedTuple):
    """A message as it arrived."""

    topic: str
    payload: bytes
    retained: bool

    @property
    def document(self) -> Any:
        """The payload as JSON."""
        return json.loads(self.payload)


class Watcher:
    """A client that is none of ours: collects what is published, and publishes."""

    def __init__(self, port: int, filters: str = "#", **login: str) -> None:
        """Connect and subscribe; `login` is username and password."""
        self.received: list[Received] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2)
        if login:
            client.username_pw_set(**login)
        client.on_socket_open = _no_delay
        client.on_connect = lambda c, *_: c.subscribe(filters, 1) and None
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_message = self._arrived
        client.reconnect_delay_set(1, 1)
        client.connect(HOST, port)
        client.loop_start()
        self._client = client
        assert self._subscribed.wait(LIMIT_S), "the watcher could not subscribe"

    def close(self) -> None:
        """Disconnect and end the thread."""
        self._client.disconnect()
        self._client.loop_stop()
        self._client.on_connect = self._client.on_subscribe = None
        self._client.on_message = None  # no circle is left: paho closes its sockets when freed

    def publish(self, topic: str, payload: str | bytes | object, retain: bool = False) -> None:
        """Publish at QoS 1 and wait for the acknowledgement; what is no text goes as JSON."""
        data = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        self._client.publish(topic, data, 1, retain).wait_for_publish(LIMIT_S)

    def wait_for(self, wanted: Callable[[Received], object], what: str = "") -> Received:
        """Return the first message that fits, now or as soon as it comes."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(wanted, self.received)), LIMIT_S)
            for received in self.received:
                if wanted(received):
                    return received
        seen = "\n".join(f"  {r.topic} {r.payload[:200]!r}" for r in self.received)
        raise AssertionError(f"nothing came that fits {what}; there was:\n{seen}")

    def on(self, topic: str, **fields: object) -> Received:
        """Return the first message on a topic whose JSON has these fields."""
        return self.wait_for(
            lambda r: r.topic == topic and fields.items() <= _flat(r).items(), f"{topic} {fields}"
        )

    def forget(self) -> None:
        """Forget what has arrived so far."""
        with self._changed:
            self.received.clear()

    def _arrived(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            received = Received(message.topic, bytes(message.payload), message.retain)
            self.received.append(received)
            self._changed.notify_all()


@contextmanager
def watching(port: int, filters: str = "#", **login: str) -> Iterator[Watcher]:
    """Give a Watcher that is closed at the end."""
    watcher = Watcher(port, filters, **login)
    try:
        yield watcher
    finally:
        watcher.close()


def free_port() -> int:
    """Return a loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _no_delay(client: paho.Client, userdata: object, sock: Any) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _flat(received: Received) -> dict[str, object]:
    """Return the scalars of a JSON object; of signals in it their value, under their name."""
    try:
        document = received.document
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {
        key: value.get("value", value.get("code")) if isinstance(value, dict) else value
        for key, value in document.items()
        if not isinstance(value, list)
    }

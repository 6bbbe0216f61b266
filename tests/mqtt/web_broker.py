"""A real mosquitto that is reached over websockets, with TLS and without, and over TLS alone."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from edgekernel.mqtt.site import Site
from edgekernel.mqtt.tls import Tls
from edgekernel.mqtt.transport import Server
from tests.brokers import HOST, LIMIT_S, free_port, start_mosquitto


class WebBroker:
    """A mosquitto with a plain listener, which Debian's asks for, two for websockets, and one with
    TLS."""

    def __init__(self, folder: Path) -> None:
        site = Site.make(folder / "site", [HOST])
        self.port, self._web, self._secure = free_port(), free_port(), free_port()
        self._encrypted = free_port()
        trusted = Tls(site.folder / "broker/ca.crt")
        self.web = Server(HOST, self._web, None, "/mqtt")
        self.secure = Server(HOST, self._secure, trusted, "/mqtt")
        self.encrypted = Server(HOST, self._encrypted, trusted)
        self._conf, self._log = folder / "web.conf", folder / "web.log"
        place = site.folder / "broker"
        certified = [f"certfile {place}/server.crt", f"keyfile {place}/server.key"]
        lines = [
            *(["user root"] if os.geteuid() == 0 else []),  # else it may not read pytest's folder
            "allow_anonymous true",
            "persistence false",
            "set_tcp_nodelay true",
            f"listener {self.port} {HOST}",
            *_web_listener(self._web),
            *_web_listener(self._secure),
            *certified,
            f"listener {self._encrypted} {HOST}",
            *certified,
        ]
        self._conf.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until all ports accept connections."""
        ports = (self.port, self._web, self._secure, self._encrypted)
        self._process = start_mosquitto(self._conf, self._log, *ports)

    def send(self, which: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(which)

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(LIMIT_S)


def _web_listener(port: int) -> list[str]:
    return [f"listener {port} {HOST}", "socket_domain ipv4", "protocol websockets"]

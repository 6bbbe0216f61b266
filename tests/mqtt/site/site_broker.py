"""A real mosquitto that is started with a site's own configuration."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from edgekernel.mqtt.broker import find_mosquitto
from edgekernel.mqtt.site import Site
from tests.brokers import HOST, LIMIT_S


class SiteBroker:
    """A mosquitto that is started with a site's own configuration."""

    def __init__(self, site: Site, folder: Path) -> None:
        text = site.configuration_file.read_text("utf-8")
        if os.geteuid() == 0:  # else it may not read pytest's folder
            text = f"user root\n{text}"
        self._conf = folder / "started.conf"
        self._conf.write_text(text, "utf-8")
        self._log = folder / "mosquitto.log"
        self._ports = (site.record.node_port, site.record.user_port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until both ports accept connections."""
        binary = find_mosquitto()
        assert binary is not None, "mosquitto is missing; tools/ensure-mosquitto installs it"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary, "-c", self._conf], stdout=log, stderr=log)
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end and self._process.poll() is None:
            if all(_accepts(port) for port in self._ports):
                return
            time.sleep(0.01)  # the broker is another process: there is nothing to wait on
        self.stop()
        raise AssertionError(f"mosquitto did not start:\n{self._log.read_text()}")

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(LIMIT_S)


def _accepts(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex((HOST, port)) == 0

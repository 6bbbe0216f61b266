"""A real mosquitto that is started with a site's own configuration."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from edgekernel.mqtt.site import Site
from edgekernel.mqtt.site.dialect import plugins_for
from tests.brokers import LIMIT_S, start_mosquitto


class SiteBroker:
    """A mosquitto that is started with a site's own configuration, for the version that is here.

    `make test-new-mosquitto` has the tests run with 2.1, on which both forms go.
    """

    def __init__(self, site: Site, folder: Path) -> None:
        site.rewrite(plugins_for(os.environ.get("MOSQUITTO_DIALECT", "auto")))
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
        self._process = start_mosquitto(self._conf, self._log, *self._ports)

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(LIMIT_S)

"""An embedded broker for the first run and the demo: mosquitto if it is here, otherwise amqtt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from edgekernel.core.errors import BusyError, ConfigError, UnavailableError

Kind = Literal["mosquitto", "amqtt"]

HOST = "127.0.0.1"
STANDARD_PORT = 1883
_START_LIMIT_S = 20.0
_STOP_LIMIT_S = 3.0

_MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
persistence false
max_connections 100
max_packet_size 1000000
log_dest stderr
log_type error
log_type warning
"""

# Runs the broker until it ends, or until our end of the pipe on descriptor 0 closes: by `stop`,
# or by the kernel when this process ends, however it ends. Then nobody else needs the folder.
_GUARD = """\
exec 3<&0
folder=$1
shift
"$@" 3<&- &
broker=$!
(read -r _ <&3; trap "" TERM; kill "$broker"; rm -rf "$folder") 2>/dev/null &
watcher=$!
exec 3<&-
wait "$broker"
code=$?
kill "$watcher" 2>/dev/null
wait "$watcher"
exit "$code"
"""


class EmbeddedBroker:
    """A broker as a child process on the loopback, open to whoever is on this machine.

    A context manager. The child ends with it, also when this process is killed. `kind` says
    which broker it is; amqtt is for trying things out, not for more.
    """

    def __init__(
        self, port: int | None = None, *, prefer: int = STANDARD_PORT, kind: Kind | None = None
    ) -> None:
        """Choose a port and a broker (what there is).

        Unless `port` is given it is `prefer` if that is free, otherwise any free one.
        """
        self.host = HOST
        self.port = port or (prefer if _is_free(prefer) else _free_port())
        self._wanted = kind
        self._kind: Kind | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def kind(self) -> Kind | None:
        """Which broker was started; None before."""
        return self._kind

    def start(self) -> None:
        """Start the broker and wait until it accepts connections.

        Raises BusyError if the port is taken, ConfigError if there is no broker to start, and
        UnavailableError, with what the broker said, if it does not come up.
        """
        if not _is_free(self.port):
            raise BusyError(f"port {self.port} of {HOST} is in use; is a broker running already?")
        self._folder = tempfile.TemporaryDirectory(prefix="edgekernel-broker-")
        try:
            self._kind, command = self._command(Path(self._folder.name))
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", _GUARD, "edgekernel-broker", self._folder.name, *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,  # Ctrl-C in the terminal is for us, then we stop it
                )
            self._wait_until_up(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker. Stopping twice is harmless."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # the session that was made for it
                process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _said(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "stderr"

    def _command(self, folder: Path) -> tuple[Kind, list[str]]:
        mosquitto = find_mosquitto()
        if mosquitto and self._wanted != "amqtt":
            conf = folder / "mosquitto.conf"
            conf.write_text(_MOSQUITTO_CONF.format(port=self.port, host=HOST), "utf-8")
            return "mosquitto", [mosquitto, "-c", str(conf)]
        if self._wanted != "mosquitto" and importlib.util.find_spec("amqtt") is not None:
            module = "edgekernel.mqtt.amqtt_broker"
            return "amqtt", [sys.executable, "-m", module, str(self.port)]
        raise ConfigError(
            f"there is no {self._wanted or 'broker'} to start. Install mosquitto (sudo apt install "
            "mosquitto, brew install mosquitto), or a small one with: "
            "python -m pip install 'edgekernel[demo]'"
        )

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < end:
            if process.poll() is not None:
                raise UnavailableError(f"{self._kind} did not start: {self._last_words()}")
            with socket.socket() as attempt:
                attempt.settimeout(1.0)
                if attempt.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise UnavailableError(
            f"{self._kind} did not accept connections on port {self.port} within "
            f"{_START_LIMIT_S:.0f} s: {self._last_words()}"
        )

    def _last_words(self) -> str:
        said = self._said.read_text("utf-8", "replace").strip().splitlines()
        return said[-1] if said else "it said nothing"


def find_mosquitto() -> str | None:
    """Return where mosquitto is, also where Debian keeps it out of the users' PATH."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"))
    return shutil.which("mosquitto", path=path)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port

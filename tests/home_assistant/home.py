"""A running Home Assistant, and a simulated node, each as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cli.conftest import Agent

LIMIT_S = 60.0
PYTHON = os.environ.get("HOME_ASSISTANT_PYTHON", "")
CORE = Path(__file__).parent / "core.py"

APP = '''
from enum import Enum
from typing import Annotated, Literal
from pydantic import Field
from edgekernel import Message, Process, command


class Asked(Message):
    """Somebody asked for something."""

    what: str


class Plant(Process):
    """Has commands of every form."""

    name = "plant"

    def _asked(self, what: str) -> None:
        self.ctx.emit(Asked(what))

    @command
    def flush(self) -> None:
        self._asked("flush")

    @command
    def boost(self, minutes: Annotated[int, Field(ge=1, le=60)]) -> None:
        self._asked(f"boost {minutes!r}")

    @command
    def lock(self, locked: bool) -> None:
        self._asked(f"lock {locked!r}")

    @command
    def choose(self, mode: Literal["eco", "full"]) -> None:
        self._asked(f"choose {mode}")

    @command
    def show(self, text: str) -> None:
        self._asked(f"show {text}")


def setup(runtime):
    runtime.register(Plant())
'''

NODE = """
[node]
name = "bench-1"
board = "sim"
app = "plant_app"

[devices.fan]
driver = "relay"
pin = "GPIO17"

[devices.lamp]
driver = "led"
pin = "GPIO22"

[devices.strip]
driver = "pwm_output"
pin = "GPIO18"
software = true

[devices.flap]
driver = "servo"
pin = "GPIO19"
software = true

[devices.screen]
driver = "luma_oled"
bus = "i2c1"

[devices.bell]
driver = "button"
pin = "GPIO23"

[devices.door]
driver = "contact"
pin = "GPIO24"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
every = "1s"

[devices.meter]
driver = "pulse_counter"
pin = "GPIO25"
every = "1s"

[devices.scale]
driver = "line_sensor"
port = "uart0"
silence = "1h"
pattern = "(?P<mass>[0-9.]+)"
readings.mass = { unit = "kg", device_class = "weight" }

[devices.ghost]
driver = "circuitpython"
bus = "i2c1"
use = "adafruit_sht4x:SHT4x"
address = 0x44
optional = true                 # no such chip is there
readings.temperature = {}
"""


def write_node(folder: Path, port: int, text: str = NODE, link: str = "", **table: str) -> Path:
    """Write the node's files, with a line more in `[mqtt]`, and with `[mqtt.home_assistant]` of
    these keys; return the node file."""
    (folder / "plant_app.py").write_text(APP)
    keys = "".join(f"{key} = {value}\n" for key, value in table.items())
    path = folder / "node.toml"
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nkeepalive = "5s"\n'
    path.write_text(f"{text}\n{mqtt}{link}\n[mqtt.home_assistant]\n{keys}")
    return path


def start_node(path: Path) -> Agent:
    """Run a node as an agent of its own, simulated."""
    return Agent("run", path, "--sim", "--json")


LET_PASS = (
    "zlib_ng and isal are not available",
    "without awaiting async_forward_entry_setups",  # its MQTT integration about itself
    "No device components to cleanup",  # it clears what has been cleared, for disabled entities
    # The state of a device that was taken out is cleared before it has taken the entity away.
    "'value_json' is undefined",
)
"""Warnings of Home Assistant that mean nothing to its user."""


class Home:
    """A Home Assistant that keeps its state in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        """Start it, connected to the broker on this port."""
        (folder / "configuration.yaml").touch()
        self._log = folder / "core.log"
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [PYTHON, CORE, folder, str(port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
            )
        try:
            assert self._line() == "running"
        except BaseException:
            self._process.kill()
            self._process.communicate()
            raise

    def look(self) -> dict[str, Any]:
        """Return `states`, `entities` and `devices`."""
        answer: dict[str, Any] = self._ask({"do": "look"})
        return answer

    def state(self, entity: str) -> str | None:
        """Return the state of an entity, None if there is no such entity."""
        found = self.look()["states"].get(entity)
        return None if found is None else found["state"]

    def attributes(self, entity: str) -> dict[str, Any]:
        """Return the attributes of an entity."""
        found: dict[str, Any] = self.look()["states"][entity]["attributes"]
        return found

    def call(self, service: str, entity: str, **data: Any) -> None:
        """Call a service for an entity, as a button on the page does."""
        self._ask({"do": "call", "service": service, "data": {"entity_id": entity, **data}})

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is so; it is another process, so there is only to look again."""
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"not {what}; it has {self.look()['states']}"
            time.sleep(0.1)

    def shows(self, entity: str, state: str) -> None:
        """Wait until an entity has a state."""
        self.until(lambda: self.state(entity) == state, f"{entity} {state}")

    def complaints(self) -> list[str]:
        """Return the warnings and errors that it has logged, but for those that are let pass."""
        return [
            line
            for line in self._log.read_text().splitlines()
            if line.startswith(("WARNING", "ERROR", "CRITICAL"))
            and not any(text in line for text in LET_PASS)
        ]

    def close(self) -> None:
        """Stop it; stopping twice is harmless."""
        if self._process.poll() is None:
            self._process.communicate('{"do": "stop"}\n', timeout=LIMIT_S)
        assert self._process.returncode == 0, self._log.read_text()

    def _ask(self, wanted: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(wanted) + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"Home Assistant has ended:\n{self._log.read_text()}"
        return json.loads(line)

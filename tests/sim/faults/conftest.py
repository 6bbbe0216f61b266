"""What the tests of the faults share: a node with a bit of everything, and a plan played on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Event, Message, Runtime
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Bench, SimClock
from edgekernel.sim.faults import Fault

NODE = """
[node]
name = "bench"
board = "sim"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.door]
driver = "button"
pin = "GPIO27"

[devices.gate]
driver = "contact"
pin = "io:GPA0"

[devices.io]
driver = "mcp23017"
bus = "i2c1"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "1s"

[devices.air]
driver = "sht4x"
bus = "i2c1"
every = "1s"

[devices.pipe]
driver = "ds18b20"
bus = "w1"
every = "2s"

[devices.adc]
driver = "mcp3008"
select = "spi0.0"
every = "1s"
readings.level = { channel = 0 }

[devices.position]
driver = "gps"
port = "uart0"
every = "1s"
silence = 5

[sim.worlds.house]
kind = "thermal_room"
heater = "heater"
sensor = "room.temperature_c"
start_c = 20
outside_c = 20

[sim.worlds.gate]
kind = "door"
open = "heater"
travel_s = 100
"""


@dataclass
class Played:
    """A running node on which a plan is played."""

    clock: SimClock
    runtime: Runtime
    bench: Bench
    events: list[Event] = field(default_factory=list)

    def device(self, id: str) -> Any:
        """Return a device."""
        return self.runtime.devices[id]

    def sample(self, device: str, reading: str) -> Any:
        """Return the sample of a reading."""
        return self.device(device).readings[reading].sample

    def told(self, name: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the times since the first fault began, and the fields, of the messages of a
        name."""
        begun = next(e.monotonic for e in self.events if e.payload.name == "fault.began")
        return [
            (round(event.monotonic - begun, 6), event.payload.to_dict())
            for event in self.events
            if event.payload.name == name
        ]


Play = Callable[..., Played]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Give a function that starts the node with a plan; it is shut down at the end."""
    with ExitStack() as stack:

        def play(*faults: Fault, node: str = NODE, seed: int = 0) -> Played:
            path = tmp_path / "node.toml"
            path.write_text(node)
            clock = stack.enter_context(SimClock())
            runtime, bench = assemble_simulated(
                make_plan(path), clock, Runtime, faults=faults, seed=seed
            )
            played = Played(clock, runtime, bench)
            runtime.subscribe(Message, played.events.append)
            stack.enter_context(runtime)
            return played

        yield play

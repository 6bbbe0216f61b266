"""A node that speaks Homie in simulated time."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from edgekernel import Runtime
from edgekernel.mqtt.simulated import connect_simulated
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.broker import SimBroker
from edgekernel.sim.faults import BrokerAway, Fault, Unplug
from tests.mqtt.homie.convention import description_problems

NODE = """
[node]
name = "bench"
board = "sim"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "10s"

[sim.worlds.weather]
kind = "climate"
sensor = "room.temperature_c"

[mqtt]
host = "broker.example"
dialect = "homie"
"""
BASE = "homie/5/bench"
STEP_S = 600.0

Seen = list[tuple[float, str, bytes]]


def simulate(folder: Path) -> tuple[Seen, list[dict[str, bytes]]]:
    """Run a node for two hours, in which its sensor is away for ten minutes and the broker for
    thirty; return all that was published, and what was retained every quarter of an hour."""
    path = folder / "node.toml"
    path.write_text(NODE)
    plan = make_plan(path)
    faults = (
        Fault(Unplug(), device="room", at_s=STEP_S, for_s=STEP_S),
        Fault(BrokerAway(), at_s=4 * STEP_S, for_s=3 * STEP_S),
    )
    seen: Seen = []
    kept = []
    with ExitStack() as stack:
        clock = stack.enter_context(SimClock())
        broker = stack.enter_context(SimBroker(clock))
        runtime, _ = assemble_simulated(plan, clock, Runtime, faults=faults, seed=1, broker=broker)
        connect_simulated(plan, runtime, broker, 1)
        broker.watch(lambda p: seen.append((clock.monotonic(), p.topic, p.payload)))
        stack.enter_context(runtime)
        for _ in range(8):
            clock.advance(1.5 * STEP_S)
            kept.append({topic: each.payload for topic, each in broker.retained.items()})
    return seen, kept


def test_two_hours(tmp_path: Path) -> None:
    """A sensor that is away has no value and an alert, on a broker that has lost everything all is
    back, and a second run publishes the same at the same times."""
    seen, kept = simulate(tmp_path)
    alert, value = f"{BASE}/$alert/room--temperature", f"{BASE}/room/temperature"
    assert kept[0][alert].startswith(b"room.temperature: ")
    assert value not in kept[0]
    assert alert not in kept[1]
    assert float(kept[1][value])
    assert kept[3] == {}
    for each in (kept[1], kept[4], kept[7]):
        document: Any = json.loads(each[f"{BASE}/$description"])
        assert description_problems(document) == []
        assert each[f"{BASE}/$state"] == b"ready"
        assert each[f"{BASE}/heater/power"] == b"false"
        assert float(each[value])
    assert simulate(tmp_path)[0] == seen

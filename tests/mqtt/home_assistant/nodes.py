"""Nodes to be shown in Home Assistant: their schemas, as the node itself describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekernel import Runtime
from edgekernel.mqtt.home_assistant import Announcement, HomeAssistant, announce
from edgekernel.mqtt.layout import TOGETHER, Form
from edgekernel.mqtt.topics import Topics
from edgekernel.node import make_plan
from edgekernel.node.schema import describe_node
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from tests.node.test_places import PLACES

GREENHOUSE = Path(__file__).parents[3] / "examples/greenhouse/node.toml"

I2C = 'bus = "i2c1"\n'

SETTINGS = {driver: settings for driver, (settings, *_) in PLACES.items()} | {
    "circuitpython": f'{I2C}use = "adafruit_sht4x:SHT4x"\naddress = 0x44\noptional = true\n'
    'readings.temperature = { unit = "°C", device_class = "temperature" }\n',
    "luma_oled": I2C,
    "mcp23017": I2C,
    "pcf8574": I2C,
}
"""The least that each driver needs in a node file."""


def schema_of(path: Path) -> dict[str, Any]:
    """Return the schema of a node, which runs simulated meanwhile."""
    with SimClock() as clock, assemble_simulated(make_plan(path), clock, Runtime)[0] as runtime:
        found = describe_node(runtime)
    found["commands"].pop("sim", None)  # only a simulated node has it
    return found


def driver_schema(driver: str, folder: Path) -> dict[str, Any]:
    """Return the schema of a node with one device, x."""
    path = folder / f"{driver}.toml"
    path.write_text(
        f'[node]\nname = "{driver.replace("_", "-")}"\nboard = "sim"\n'
        f'[devices.x]\ndriver = "{driver}"\n{SETTINGS[driver]}'
    )
    return schema_of(path)


def announced(schema: dict[str, Any], form: Form = TOGETHER, **settings: Any) -> Announcement:
    """Return what is told of a node below the prefix "edge" that publishes states in a form."""
    return announce(schema, Topics("edge", schema["node"], form), HomeAssistant(**settings))

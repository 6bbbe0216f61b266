"""A driver in words: what its settings take, and a table of a node file to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from edgekernel.cli.console import table

_KINDS = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "`true` or `false`",
    "string": "a text",
    "array": "a list",
    "object": "a table",
}
_SIGNS = {
    "exclusiveMinimum": "above",
    "minimum": "from",
    "exclusiveMaximum": "below",
    "maximum": "to",
}
_BOUNDARIES = {
    "DigitalInput": "a line: its name, header pin or label, or `device:line`",
    "DigitalOutput": "a line: its name, header pin or label, or `device:line`",
    "PwmOutput": "a line, best one with hardware PWM",
    "I2CBus": "an I²C bus, such as `i2c1`",
    "SerialPort": "a serial port: its name, or a path such as `/dev/serial/by-id/...`",
    "SpiDevice": "an SPI chip select, such as `spi0.0`",
    "OneWireBus": "a 1-Wire bus, such as `w1`",
}
_EXAMPLES = {"I2CBus": "i2c1", "SerialPort": "uart0", "SpiDevice": "spi0.0", "OneWireBus": "w1"}
_LINES = ("GPIO17", "GPIO27", "GPIO22", "GPIO23", "GPIO24", "GPIO25")
_PULSES = ("GPIO12", "GPIO13")
"""Lines that have hardware PWM on many boards."""
_OF_EVERY_DEVICE = """\
Every device also takes:
  every      how often it is measured, such as "5s"
  stale      how long after its last measurement a reading is BAD, such as "1min"
  filters    what its readings go through, such as [{ median = 5 }, { delta = 0.1 }]
  optional   true: the node runs without it, degraded, and tries it again
and tables for single readings and outputs: [devices.ID.readings.NAME], [devices.ID.outputs.NAME]"""


def takes(setting: dict[str, Any]) -> str:
    """Say in words what a setting takes, from its JSON Schema; what is written is in backticks."""
    if "boundary" in setting:
        return _BOUNDARIES[setting["boundary"]]
    kinds = [s for s in setting.get("anyOf", [setting]) if s.get("type") != "null"]
    said = (_schema(kind, setting["name"]) for kind in kinds)
    return ", or ".join(filter(None, said)) or "anything"


def default(setting: dict[str, Any]) -> str:
    """Return what a setting is if it is left out, as it is written; "" if nothing is said."""
    value = setting.get("default")
    return "" if value in (None, "") else toml(value, setting["name"])


def toml(value: object, name: str = "") -> str:
    """Return a value as it is written in a node file."""
    if name == "address" and isinstance(value, int):
        return f"{value:#04x}"  # chips are known by hexadecimal addresses
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def page(driver: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield what `describe_driver` knows, for people: description, settings, signals, example."""
    yield driver["description"]
    if driver["settings"]:
        yield ""
        yield _settings(driver["settings"])
    if driver["signals"]:
        yield ""
        yield _signals(driver["signals"])
    if driver["lines"]:
        yield f"\nIts lines: {', '.join(driver['lines'])}."
    yield f"\n{_OF_EVERY_DEVICE}"
    yield "\nIn a node file:\n"
    yield "\n".join(example(driver))


def example(driver: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table that is right if the driver needs nothing but boundaries; what
    may be left out is commented out, with its default."""
    lines = {"DigitalInput": iter(_LINES), "PwmOutput": iter(_PULSES + _LINES)}
    lines["DigitalOutput"] = lines["DigitalInput"]
    yield f"[devices.{driver['name'].replace('_', '-')}-1]"
    yield f'driver = "{driver["name"]}"'
    for setting in driver["settings"]:
        name, boundary = setting["name"], setting.get("boundary", "")
        if boundary and setting["required"]:
            yield f'{name} = "{_EXAMPLES.get(boundary) or next(lines[boundary])}"'
        elif setting["required"]:
            yield f"# {name} =   # required: {_plain(takes(setting))}"
        elif given := default(setting):
            yield f"# {name} = {given}"
        else:
            yield f"# {name} =   # {_plain(takes(setting))}"


def _settings(settings: list[dict[str, Any]]) -> Table:
    drawn = table("", "setting", "takes", "default")
    for setting in settings:
        given = "required" if setting["required"] else default(setting) or "-"
        drawn.add_row(setting["name"], _plain(takes(setting)), given)
    return drawn


def _signals(signals: list[dict[str, Any]]) -> Table:
    drawn = table("", "signal", "kind", "type", "range", "safe")
    for signal in signals:
        low_high = signal["range"]
        limits = "" if low_high is None else f"{low_high[0]:g} to {low_high[1]:g} "
        safe = "none" if signal.get("safe") is None else toml(signal["safe"])
        is_output = signal["kind"] == "output"
        span = f"{limits}{signal['unit']}".strip() or "-"
        cells = (signal["kind"], signal["type"], span, safe if is_output else "-")
        drawn.add_row(signal["name"], *cells)
    return drawn


def _plain(text: str) -> str:
    return text.replace("`", "")


def _schema(schema: dict[str, Any], name: str) -> str:
    choices = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if choices:
        return ", ".join(f"`{toml(choice, name)}`" for choice in choices)
    text = _KINDS.get(schema.get("type", ""), "")
    seconds = schema.get("unit") == "s"
    text = "seconds" if seconds else text
    limits = [f"{word} {schema[key]:g}" for key, word in _SIGNS.items() if key in schema]
    written = " ".join([text, *limits])
    return f'{written}, or a text such as `"20ms"`' if seconds else written

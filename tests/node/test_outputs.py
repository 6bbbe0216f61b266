"""Outputs in the node file: limits reach the devices, and what is restored is in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekernel import ConfigError, Device, Limits, Runtime, output
from edgekernel.backends.sim import SimBackend
from edgekernel.cli import main
from edgekernel.core.errors import InterlockedError
from edgekernel.node import assemble, make_plan
from edgekernel.node.document import parse_document
from edgekernel.node.memory import FileMemory
from edgekernel.node.outputs import (
    check_interlocks,
    check_outputs,
    forget_gone,
    limit_outputs,
)
from edgekernel.sim import SimClock

NODE = """
data = "kept"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
initial = "restore"
fallback = "hold"
min_on = "30s"
min_off = 2
max_on = "1h"
max_changes = "6/min"
lease = "10min"
interlock = ["cooler.power"]
mismatch = "2s"

[devices.cooler]
driver = "relay"
pin = "GPIO27"
"""


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def file(node_file: Callable[..., Path]) -> Path:
    """A node file with limits."""
    return node_file(NODE, board="raspberrypi/4b")


def run(file: Path, clock: SimClock, *, remember: bool = True) -> tuple[Runtime, SimBackend]:
    """Assemble the node on a simulated board, as `edgekernel run` does on a real one."""
    backend = SimBackend(clock)
    return assemble(make_plan(file), backend, clock, Runtime, remember=remember), backend


def test_limits_reach_the_outputs(file: Path, clock: SimClock) -> None:
    """Each key is the limit of that name, in seconds where it is a duration."""
    runtime, _ = run(file, clock)
    assert runtime.devices["heater"].outputs["power"].limits == Limits(
        initial="restore",
        fallback="hold",
        min_on_s=30,
        min_off_s=2,
        max_on_s=3600,
        max_changes="6/min",
        lease_s=600,
        interlock=("cooler.power",),
        mismatch_s=2,
    )
    assert runtime.devices["cooler"].outputs["power"].limits is None


def test_limits_count(file: Path, clock: SimClock) -> None:
    """The node runs within them."""
    runtime, _ = run(file, clock)
    with runtime:
        heater = runtime.devices["heater"].outputs["power"]
        cooler = runtime.devices["cooler"].outputs["power"]
        clock.advance(3)
        heater.set(True)  # type: ignore[arg-type]  # a switch
        with pytest.raises(InterlockedError):
            cooler.set(True)  # type: ignore[arg-type]
        clock.advance(601)
        assert heater.value is False


def test_the_folder_is_beside_the_node_file(file: Path, clock: SimClock) -> None:
    """What was on before the restart is on after it, without a level between."""
    runtime, _ = run(file.parent / file.name, clock)
    with runtime:
        clock.advance(3)
        runtime.devices["heater"].outputs["power"].set(True)  # type: ignore[arg-type]
        clock.advance(1)
    assert (file.parent / "kept" / "memory.json").exists()
    text = file.read_text().replace("min_off = 2\n", "")
    file.write_text(text)
    runtime, backend = run(file, clock)
    with runtime:
        assert runtime.devices["heater"].outputs["power"].value is True
        assert backend.line("GPIO17").levels == (True,)


def test_a_simulated_node_remembers_nothing(file: Path, clock: SimClock) -> None:
    """Only a node on its real board reads and writes the folder."""
    runtime, _ = run(file, clock, remember=False)
    with runtime:
        clock.advance(3)
        runtime.devices["heater"].outputs["power"].set(True)  # type: ignore[arg-type]
    assert not (file.parent / "kept").exists()


def test_check_lists_outputs_without_a_safe_value(node_file: Callable[..., Path]) -> None:
    """P8: an output that nobody makes safe is right if its driver says so, and is listed."""
    app = """
from edgekernel import Device, output

class Flap(Device):
    angle = output(float, safe=None)

    @angle.drive
    def turn(self, degrees):
        return degrees

def setup(runtime):
    runtime.attach_device(Flap("flap"))
"""
    path = node_file("", app_name="flaps", flaps=app)
    result = CliRunner().invoke(main, ["check", str(path)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert "without a safe value, as their drivers say: flap.angle" in result.stdout
    result = CliRunner().invoke(main, ["check", str(path), "--json"])
    assert json.loads(result.stdout)["without_safe_value"] == ["flap.angle"]


class Registers(Device):
    """Has the outputs that its settings name, known when it is made."""

    level = output(float, safe=0.0)

    def __init__(self, id: str, outputs: dict[str, int]) -> None:
        super().__init__(id)
        self.registers = outputs

    @level.drive
    def drive(self, value: float) -> float:
        return value

    @property
    def outputs(self) -> Any:
        return dict.fromkeys(self.registers, self.level)


def test_outputs_that_are_made_from_settings() -> None:
    """A driver that makes its outputs itself is limited like any other, when they are known."""
    document = parse_document(
        {
            "node": {"name": "n", "board": "sim"},
            "devices": {
                "plc": {"driver": "x", "outputs": {"pump": {"register": 3, "rate": 2.0}}},
            },
        },
        "node.toml",
    )
    assert list(check_outputs("plc", Registers, document)) == []
    table = document.devices["plc"].outputs["pump"]
    assert table.settings == {"register": 3}
    device = Registers("plc", {"pump": 3})
    limit_outputs(device, {"pump": table.limits})
    assert device.level.limits == Limits(rate=2.0)
    with pytest.raises(ConfigError) as refused:
        limit_outputs(device, {"pump": Limits(initial="as-is"), "pmp": Limits()})
    assert refused.value.problems == (
        '.outputs.pump.initial: "as-is" is not possible: the driver cannot read what the hardware '
        "does",
        ".outputs.pmp: unknown output; did you mean 'pump'?",
    )


class Dimmer(Device):
    """A number that cannot be read back, and an angle without a safe value."""

    level = output(float, safe=0.0, range=(0, 1))
    angle = output(float, safe=None)

    @level.drive
    def dim(self, level: float) -> float:
        return level

    @angle.drive
    def turn(self, degrees: float) -> float:
        return degrees


def problems_of(name: str, **written: Any) -> list[str]:
    """What is wrong with an output of a dimmer, as its class tells."""
    devices = {"d": {"driver": "x", "outputs": {name: written}}}
    document = parse_document(
        {"node": {"name": "n", "board": "sim"}, "devices": devices}, "node.toml"
    )
    return [*check_outputs("d", Dimmer, document)]


def test_values_are_checked_with_the_type_and_range_of_the_output() -> None:
    """What the class of a driver can tell is told before a device is made, all of it."""
    assert problems_of("level", initial="as-is", fallback=1.5, rate=-1.0) == [
        '.outputs.level.initial: "as-is" is not possible: the driver cannot read what the hardware '
        "does",
        ".outputs.level.fallback: 1.5 is not allowed: a number from 0 to 1, or one of safe, hold",
        ".outputs.level.rate: is how fast a number changes: it is for numbers above 0, not -1.0",
    ]
    assert problems_of("level", initial=0.4, fallback="hold", rate=2, min_on="1s") == []


def test_what_needs_a_safe_value_is_told_when_it_is_known() -> None:
    """A driver may choose the safe value from its settings: with the device made, what needs one
    is told with its key."""
    assert problems_of("angle", lease="30s", min_on="1s") == []
    with pytest.raises(ConfigError) as refused:
        limit_outputs(Dimmer("d"), {"angle": Limits(lease_s=30, min_on_s=1)})
    needs = "needs a safe value, and this output has none"
    assert refused.value.problems == (
        f".outputs.angle.lease: {needs}",
        f".outputs.angle.min_on: {needs}",
    )
    found = check_interlocks({"level": Limits(interlock=("e.angle",))}, {"e": Dimmer("e")})
    assert [*found] == [".outputs.level.interlock: 'e.angle': that output has no safe value"]


BOTH = """
[devices.heater]
driver = "relay"
pin = "GPIO17"
safe = {safe}
outputs.power = {{ initial = {heater}, interlock = ["cooler.power"] }}

[devices.cooler]
driver = "relay"
pin = "GPIO27"
outputs.power = {{ initial = {cooler} }}
"""


@pytest.mark.parametrize(
    ("heater", "cooler", "safe", "refused"),
    [
        ("true", "true", '"off"', True),
        ("true", "false", '"off"', False),
        ("true", '"safe"', '"off"', False),
        ('"safe"', "true", '"off"', False),
        ('"as-is"', "true", '"off"', False),  # nobody knows before
        ("true", "true", '"on"', False),  # the heater is safe when it is on
        ("false", "true", '"on"', True),
    ],
)
def test_both_begin_on(
    node_file: Callable[..., Path],
    clock: SimClock,
    heater: str,
    cooler: str,
    safe: str,
    refused: bool,
) -> None:
    """P8: two outputs of which one excludes the other do not both begin away from their safe
    values; whichever of them names the other."""
    path = node_file(BOTH.format(heater=heater, cooler=cooler, safe=safe))
    if not refused:
        run(path, clock)[1].close()
        return
    with pytest.raises(ConfigError) as caught:
        run(path, clock)
    (problem,) = caught.value.problems
    assert problem.startswith("node.toml: devices.heater.outputs.power.initial: begins o")
    assert "while cooler.power, which its interlock excludes, begins on" in problem


class Lamp(Device):
    """Something that is as it was before the restart."""

    power = output(bool, safe=False, limits=Limits(initial="restore"))

    @power.drive
    def _switch(self, on: bool) -> bool:
        return on


class Absent(Lamp):
    """One that does not answer."""

    def connect(self) -> None:
        raise OSError("no such hardware")


def test_what_does_not_come_is_not_gone(tmp_path: Path, clock: SimClock) -> None:
    """A device that is out of use is one that the node has: it begins with what it had, however
    late it is back; what the application adds while the node runs is one too."""
    memory = FileMemory(tmp_path, clock)
    runtime = Runtime(clock=clock, memory=memory)
    runtime.attach_device(Absent("hall"), optional=True)
    for label in ("hall.power", "added.power", "gone.power"):
        memory.put(f"output/{label}", True)
    with runtime:
        runtime.hot_add(Lamp("added"))
        for n in range(5):
            forget_gone(runtime)
            assert memory.get("output/gone.power") is (True if n < 4 else None)
            runtime.hot_add(Lamp(f"lamp-{n}"))
    assert not runtime.devices["hall"].attached
    assert memory.get("output/hall.power") is memory.get("output/added.power") is True
    assert memory.get("output/gone.power") is None

"""Outputs in the node file: limits reach the devices, and what is restored is in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel import Limits, Runtime
from edgekernel.backends.sim import SimBackend
from edgekernel.cli import main
from edgekernel.core.errors import InterlockedError
from edgekernel.node import assemble, make_plan
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

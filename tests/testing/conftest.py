"""What the tests of the plugin share: a simulation, parts to run in it, and runs of pytest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from textwrap import dedent

import pytest

from edgekernel import Device, Message, Runtime, output, reading
from edgekernel.node import simulate
from edgekernel.testing import Simulation

LOADED = simulate
"""What simulates, loaded before: pytest in pytest forgets the modules that it has loaded itself."""

PLUGIN = (
    () if entry_points(group="pytest11", name="edgekernel") else ("-p", "edgekernel.testing.plugin")
)
"""An installation from before the plugin does not name it."""

ROOT = Path(__file__).parents[2]
SOURCES = ROOT, ROOT / "devices", ROOT / "boards"

SHED = """
[node]
name = "shed"
board = "raspberrypi/4b"

[devices.fan]
driver = "relay"
pin = "GPIO17"
safe = "off"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
every = "5s"

[devices.knob]
driver = "button"
pin = "GPIO23"
"""


class Overheated(Message):
    """Something is too hot."""

    device: str
    celsius: float


class Oven(Device):
    """A device without a boundary: what a test sets is what it shows."""

    heat = reading(float, unit="°C", range=(0, 300))
    power = output(bool, safe=False)

    @power.drive
    def drive(self, on: bool) -> bool:
        """Report what was asked for."""
        return on


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A simulation that leaves nothing behind."""
    made = Simulation()
    yield made
    assert made.close() == []


@pytest.fixture
def booted(simulation: Simulation) -> Runtime:
    """A runtime in the simulation, with an oven."""
    runtime = Runtime(name="kitchen", clock=simulation.clock)
    runtime.attach_device(Oven("oven"))
    simulation.boot(runtime)
    simulation.events.clear()
    return runtime


def use_these_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Pythons that are started import what is here, whatever is installed."""
    paths = [*map(str, SOURCES), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.fixture
def run_pytest(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Run pytest with the plugin on the text of a test module, here or in its own process."""

    use_these_sources(monkeypatch)

    def run(source: str, *options: str, apart: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_it=f"NODE = '''{SHED}'''\n\n" + dedent(source))
        plugin = () if "no:edgekernel" in options else PLUGIN
        arguments = ("-p", "no:cacheprovider", *plugin, *options)
        if apart:
            return pytester.runpytest_subprocess(*arguments)
        return pytester.runpytest_inprocess(*arguments)

    return run

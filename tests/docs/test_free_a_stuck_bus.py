"""docs/howto/free-a-stuck-bus.md tells the truth: its node file and its fault plan are run."""

from __future__ import annotations

import re
from pathlib import Path

from edgekernel import Runtime
from edgekernel.node import make_plan
from edgekernel.node.fault_plan import load_faults
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock

PAGE = Path(__file__).parents[2] / "docs/howto/free-a-stuck-bus.md"


def test_the_page(tmp_path: Path) -> None:
    """The node of the page is freed from both faults of the page, each in the way it names."""
    node, faults = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for name, text in (("node.toml", node), ("plan.toml", faults)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    plan = make_plan(tmp_path / "node.toml")
    with SimClock() as clock:
        found = load_faults(tmp_path / "plan.toml")
        runtime, bench = assemble_simulated(plan, clock, Runtime, faults=found)
        with runtime:
            bus, room = runtime.devices["i2c1"], runtime.devices["room"]
            for until_s, recoveries, cycles in ((120, 1, 0), (300, 2, 1)):
                clock.run_until(until_s)
                assert bus.readings["recoveries"].value == recoveries
                assert bus.readings["power_cycles"].value == cycles
                assert room.online
        bench.backend.close()

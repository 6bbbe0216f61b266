"""The steps that make a node a service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.node import make_plan
from edgekernel.node.installation import WriteFile, to_install, to_remove
from edgekernel.node.unit import Unit

STANDBY = "/etc/systemd/system/pumps-standby.service"


@pytest.mark.parametrize("has_standby", [True, False])
def test_standby(node_file: Callable[..., Path], has_standby: bool) -> None:
    """A node's standby is installed before the service is started that wants it; a node without one
    leaves none from an earlier installation, and removing a node removes both."""
    plan = make_plan(node_file("", board="raspberrypi/4b"))
    program, node = Path("/usr/bin/env"), Path("/etc/edgekernel/node.toml")
    unit = Unit(plan, program, Path("/usr/bin/python3"), node, "pumps", has_standby=has_standby)
    steps = list(to_install(unit))
    told = [str(step) for step in steps]
    assert (f"write {STANDBY}" in told) is has_standby
    assert (f"remove {STANDBY}" in told) is not has_standby
    assert "restart pumps.service" in told[-1]
    texts = {step.path.name: step.text for step in steps if isinstance(step, WriteFile)}
    assert ("pumps-standby" in texts["pumps.service"]) is has_standby
    gone = [str(step) for step in to_remove("pumps")]
    assert "remove /etc/systemd/system/pumps.service" in gone
    assert f"remove {STANDBY}" in gone

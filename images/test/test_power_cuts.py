"""The power goes while the node writes: nothing that it has answered for is lost."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import NoAnswerError
from images.test.machine import GUEST_BROKER, Machine, is_online, until

CUTS = 6
NODE = f"""
[node]
name = "cut"
board = "raspberrypi/4b"
app = "ledger"
data = "/data/edgekernel/state"

[journal]
folder = "/data/edgekernel/state/journal"

[mqtt]
host = "{GUEST_BROKER}"
"""


def test_power_cuts(machine: Machine, fleet: Fleet) -> None:
    """Whenever the power goes, the node comes back with its configuration and every row that it
    has acknowledged, and knows that it was the power."""
    chance = random.Random(6)
    machine.put("node.toml", NODE)
    machine.put("ledger.py", Path(__file__).with_name("ledger.py").read_text())
    kept: list[int] = []
    for cut in range(CUTS + 1):
        machine.start()
        until(lambda: is_online(fleet, "cut"), machine)
        info = fleet.info("cut")
        assert info.restart_cause == ("power-loss" if cut else "first")
        found = fleet.call("cut", "ledger.look", timeout_s=60)
        assert found["check"] == "ok"
        lost = set(kept) - set(found["rows"])
        assert not lost, f"cut {cut}: {len(lost)} of {len(kept)} rows are lost"
        print(f"\ncut {cut}: {len(kept)} rows acknowledged, {len(found['rows'])} there")
        if cut < CUTS:
            kept += write_until_cut(machine, fleet, 1000 * cut, chance.uniform(2.5, 7.5))
            until(lambda: not is_online(fleet, "cut"), machine)


def write_until_cut(machine: Machine, fleet: Fleet, first: int, after_s: float) -> list[int]:
    """Write rows until the power goes; return those that were acknowledged."""
    kept: list[int] = []
    timer = threading.Timer(after_s, machine.cut_power)
    end = time.monotonic() + after_s + 60
    timer.start()
    try:
        while time.monotonic() < end:
            kept.append(fleet.call("cut", "ledger.add", {"row": first + len(kept)}, check=False))
    except NoAnswerError:
        pass
    else:
        pytest.fail("the power was not cut")
    finally:
        timer.join()
    assert kept, "nothing was written before the power went"
    return kept

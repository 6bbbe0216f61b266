"""How a node is, as it publishes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekernel import Service
from edgekernel.mqtt.health import computer
from tests.mqtt.parts import staged_node
from tests.mqtt.seer import BASE, Seer
from tests.node.computers import MEBIBYTE, lay, lay_pi4
from tests.node.computers import computer as machine_of
from tests.stages import SimStage, Stage

HEALTH = f"{BASE}/health"


class Pulse(Service):
    """A service that has nothing to do."""

    name = "pulse"
    interval = 1.0

    def tick(self, ctx: object) -> None:
        """Do nothing."""


def test_it_is_retained_and_small(stage: Stage) -> None:
    """Who comes later finds the services, queues and losses, in less than 2 kB, at QoS 0."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        n1.runtime.register(Pulse())
        seer.sees(HEALTH)
        got = Seer(stage, "late").sees(HEALTH)
    found = got.document
    assert (got.retained, got.qos) == (True, 0)
    assert len(got.payload) < 2000
    assert (found["state"], found["degraded"], found["offline_devices"]) == ("running", [], [])
    assert set(found["dropped"].values()) == {0}
    if stage.medium is None:
        assert found["turn_wait_s"] is None or 0 <= found["turn_wait_s"] <= 0.5
    else:
        assert not {"turn_wait_s", "load_1min"} & found.keys()
    assert found["connections"] == 1


def test_a_service_and_a_device_that_fails_are_named(sim_stage: SimStage) -> None:
    """The next health names the services, and the devices that do not answer."""
    seer = Seer(sim_stage)
    with staged_node(sim_stage) as n1:
        seer.sees(HEALTH)
        n1.runtime.register(Pulse())
        n1.lamp.set_offline("no answer")
        sim_stage.sim_clock.advance(31)
        found = seer.sees(HEALTH, lambda health: health["offline_devices"]).document
    assert found["offline_devices"] == ["lamp"]
    assert "pulse" in found["services"]


def test_the_computer(tmp_path: Path) -> None:
    """The room of the data folder's disk, memory, load, heat and supply are told."""
    lay_pi4(tmp_path)
    lay(
        tmp_path,
        {
            "/sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
            "/sys/block/mmcblk1/device/life_time": "0x02 0x03\n",
        },
    )
    found = told_of(tmp_path, Path("/var/lib/bench"))
    assert (found["disk_free_bytes"], found["disk_free_percent"]) == (8_000 * MEBIBYTE, 50.0)
    assert found["disk_read_only"] is False
    assert found["flash_used_percent"] == 30
    assert found["memory_available_bytes"] == 3_400_000 * 1024
    assert found["memory_available_percent"] == 87.5
    assert found["load_1min"] >= 0
    assert found["cpu_temperature_c"] == 48.3
    assert (found["cpu_throttled"], found["under_voltage"]) == (False, True)


def test_a_computer_that_measures_nothing(tmp_path: Path) -> None:
    """What is not measured is null: a consumer finds the same keys everywhere."""
    lay_pi4(tmp_path / "pi")
    known = told_of(tmp_path / "pi", Path("/"))
    (tmp_path / "empty").mkdir()
    found = told_of(tmp_path / "empty", Path("/"))
    assert found.keys() == known.keys()
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == {
        "flash_used_percent",
        "memory_available_bytes",
        "memory_available_percent",
        "cpu_temperature_c",
        "cpu_throttled",
        "under_voltage",
    }


def told_of(root: Path, folder: Path) -> dict[str, Any]:
    """Give what the health tells of the computer of a root."""
    return computer(machine_of(root), folder)

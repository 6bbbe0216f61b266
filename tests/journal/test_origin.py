"""Boot and configuration: who has recorded, of what plan, without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgekernel import SystemClock
from edgekernel.journal.origin import app_version, boot_record, config_record
from edgekernel.journal.text import as_line
from edgekernel.node import make_plan
from edgekernel.node.assemble import load_named
from edgekernel.sim import SimClock

Write = Callable[..., Path]
LAMP = '[devices.lamp]\ndriver = "led"\npin = "GPIO17"\n'
MQTT = '[mqtt]\nhost = "broker.local"\nusername = "ann"\npassword = "hush"\n'


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock with a seed."""
    with SimClock(seed=3) as clock:
        yield clock


def test_simulated_boot(node_file: Write, clock: SimClock) -> None:
    """On simulated time the boot is the same in every process, and another one for another seed,
    time or plan."""
    plan = make_plan(node_file(LAMP))
    record = boot_record(clock, "bench", plan)
    assert record == boot_record(clock, "bench", plan)
    assert (record.clock, record.seed) == ("simulated", 3)
    assert set(record.versions) == {"edgekernel", "uptime_s"}
    other_plan = make_plan(node_file(LAMP.replace("17", "18")))
    with SimClock(seed=4) as other_clock:
        others = {
            boot_record(clock, "bench", other_plan).boot_id,
            boot_record(other_clock, "bench", plan).boot_id,
            boot_record(clock, "bench").boot_id,
        }
    assert len(others - {record.boot_id}) == 3


def test_real_boot() -> None:
    """On real time every boot has an id of its own, and says on what it runs, and for how long."""
    clock = SystemClock()
    first, second = boot_record(clock, "bench"), boot_record(clock, "bench")
    assert first.boot_id != second.boot_id
    assert {"edgekernel", "python", "machine", "kernel", "uptime_s"} == set(first.versions)
    assert first.clock == "system"


def test_configuration(node_file: Write, clock: SimClock) -> None:
    """The node file is recorded as it was written, but for its secrets; its hash is that of its
    content."""
    record = config_record(clock, make_plan(node_file(LAMP + MQTT)))
    assert record.document["devices"] == {"lamp": {"driver": "led", "pin": "GPIO17"}}
    assert record.document["mqtt"] == {
        "host": "broker.local", "username": "ann", "password": "***",
    }  # fmt: skip
    assert "hush" not in as_line(record)
    same = config_record(clock, make_plan(node_file(f"# a comment\n{LAMP}{MQTT}")))
    other = config_record(clock, make_plan(node_file(LAMP)))
    assert same.hash == record.hash != other.hash


def test_hash_tells_nothing_of_secrets(node_file: Write, clock: SimClock) -> None:
    """Nobody can try passwords against the hash: it is the same for all of them."""
    hashes = {
        config_record(clock, make_plan(node_file(MQTT.replace("hush", secret)))).hash
        for secret in ("hush", "quiet")
    }
    assert len(hashes) == 1


def test_application(node_file: Write, clock: SimClock) -> None:
    """A boot has a hash of the application that is loaded, which changes with its source."""
    plan = make_plan(node_file("", app_name="origin_app", origin_app="X = 1\n"))
    assert "app" not in boot_record(clock, "bench", plan).versions
    load_named(plan, "node.app", "origin_app")
    first = boot_record(clock, "bench", plan).versions["app"]
    assert first == app_version(plan)["app"]
    node_file("", app_name="origin_app", origin_app="X = 2\n")
    assert app_version(plan)["app"] != first


def test_application_in_a_package(node_file: Write, clock: SimClock, tmp_path: Path) -> None:
    """Of a package every module counts."""
    (tmp_path / "origin_house").mkdir()
    (tmp_path / "origin_house" / "__init__.py").touch()
    (tmp_path / "origin_house" / "app.py").touch()
    plan = make_plan(node_file("", app_name="origin_house.app"))
    load_named(plan, "node.app", "origin_house.app")
    first = app_version(plan)
    (tmp_path / "origin_house" / "other.py").write_text("X = 1\n")
    assert app_version(plan) != first

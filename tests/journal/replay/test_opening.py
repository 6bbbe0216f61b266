"""Opening: from a journal, and perhaps a node file, to what is replayed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekernel.journal.replay import RecordingError, plan_of, plan_recorded, read_journal
from tests.journal.replay.recorded import MQTT, NODE, record, recorded, write_shed


def test_the_recorded_node_file(shed: Path, folder: Path) -> None:
    """Without a node file it is the one that was recorded, without broker, world and journal; the
    application is looked for in the current folder."""
    write_shed(shed.parent, node=NODE + MQTT)
    record(shed, folder)
    plan = plan_recorded(recorded(folder), None)
    assert plan.name == "shed-1"
    assert [device.id for device in plan.devices] == ["fan", "knob", "room", "position"]
    assert plan.document.mqtt is None
    assert not plan.document.sim.surrounds
    assert plan.folder == Path(os.curdir).resolve()


def test_another_node_file(journal: Path, shed: Path) -> None:
    """A node file takes its place; the application is beside it."""
    write_shed(shed.parent, node=NODE.replace("shed-1", "shed-2"))
    plan = plan_recorded(recorded(journal), shed)
    assert (plan.name, plan.folder) == ("shed-2", shed.parent)


def test_a_restored_output(tmp_path: Path, folder: Path) -> None:
    """An output that is restored at the start begins with what it began with then."""
    limits = '[devices.fan.outputs.power]\ninitial = "restore"\n'
    node = NODE.replace("[node]\n", '[node]\ndata = "kept"\n').replace(
        "[devices.knob]", f"{limits}\n[devices.knob]"
    )
    shed = write_shed(tmp_path / "shed", node=node)
    record(shed, folder)
    plan = plan_recorded(recorded(folder), shed)
    assert plan.document.node.data is None
    assert plan.devices[0].limits["power"].initial is False


def test_an_embedded_node_file(journal: Path, tmp_path: Path) -> None:
    """The content of a node file is enough."""
    raw = {"node": {"name": "a", "board": "sim"}, "mqtt": {"host": "gone"}}
    plan = plan_of(raw, tmp_path, recorded(journal))
    assert (plan.name, plan.folder, plan.document.mqtt) == ("a", tmp_path, None)


def test_what_is_no_journal(tmp_path: Path, journal: Path) -> None:
    """A folder without a journal is told, and a run without a node file too."""
    with pytest.raises(RecordingError, match=r"no journal: there is no segment \(\*.ekj\) in it"):
        read_journal(tmp_path)
    with pytest.raises(RecordingError, match="No such file or directory"):
        read_journal(tmp_path / "nowhere")
    run = recorded(journal)
    run.config = None
    with pytest.raises(RecordingError, match="does not have the node file; name one: NODE"):
        plan_recorded(run, None)

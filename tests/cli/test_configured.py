"""What `edgekernel run` gives a node to keep its system up with."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.cli.configured import keep_up
from edgekernel.node import make_plan
from edgekernel.node.service_manager import ServiceManager
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.witness import hear_witness
from edgekernel.sim import SimClock


@pytest.mark.parametrize("remote", ["true", "false"])
def test_bears_witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remote: str) -> None:
    """A node that a service manager has started says in the folder that it was given how it is, and
    which start of the agent it is; any other node does not."""
    node, folder, state = tmp_path / "node.toml", tmp_path / "run", tmp_path / "state.json"
    node.write_text(f'[node]\nname = "n"\nboard = "sim"\n[update]\nremote = {remote}\n')
    folder.mkdir()
    witness = folder / "witness.json"
    monkeypatch.setattr("edgekernel.cli.configured.WITNESS_FILE", witness)
    monkeypatch.setattr("edgekernel.cli.configured.STATE_FILE", state)
    monkeypatch.setenv("INVOCATION_ID", "7f")
    write_state(UpdateState(slot="B").moved("trial"), state, boot="this")
    plan, manager = make_plan(node), ServiceManager(str(tmp_path / "notify"))

    def run(manager: ServiceManager | None) -> bool:
        """Run the node for a while; return whether it has said how it is."""
        with SimClock() as clock:
            runtime = Runtime(clock=clock)
            keep_up(plan, runtime, manager)
            with runtime:
                clock.advance(2)
        return witness.exists()

    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "other"))
    assert not run(manager)
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{folder}:{tmp_path}/more")
    assert not run(None)
    assert run(manager)
    assert hear_witness(witness).run == "7f"

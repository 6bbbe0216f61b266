"""Nodes are updated, restarted and held busy over MQTT."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_
from hypothesis import strategies as st

from edgekernel import Runtime
from edgekernel.core.errors import ForbiddenError
from edgekernel.mqtt import Fleet, NoAnswerError, RequestRefusedError
from edgekernel.mqtt.fleet import NodeSchema, NodeUpdate
from edgekernel.mqtt.fleet.busy import read_busy
from edgekernel.mqtt.fleet.updating import check_takes_updates, read_update
from edgekernel.node.busy import Busy, GuardedBusy
from edgekernel.node.update_request import UpdateRequest, take_request
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.update_table import UpdateTable
from edgekernel.node.updating import GuardedUpdate, Update
from tests.mqtt.fleet.conftest import Enter
from tests.mqtt.parts import Node, settings, staged_node
from tests.stages import SimStage, Stage

BUNDLE = "/data/v2.raucb"
STORY = ("installing", "installed", "rebooting", "trial", "confirmed")


class Root:
    """What root does on the board of a node: what a story says, a step with each look."""

    def __init__(self, folder: Path, stage: Stage, *story: UpdateState) -> None:
        self.state = folder / "update/state.json"
        self.requests = folder / "request.json"
        self.taken: list[UpdateRequest] = []
        self._clock = stage.clock
        self._story = [*story] or [UpdateState(phase, slot="B", after="2.0") for phase in STORY]
        self._ended = stage.clock.Event()
        write_state(UpdateState(), self.state, boot="this")
        stage.clock.Thread(self._run, "root").start()

    def end(self) -> None:
        """Do nothing any more."""
        self._ended.set()

    def _run(self) -> None:
        while not self._clock.sleep(0.5, self._ended):
            if self.requests.exists():
                self.taken.append(take_request(self.requests))
                self._tell_until("installed" if self.taken[-1].action == "install" else "")

    def _tell_until(self, last: str) -> None:
        while self._story and not self._ended.is_set():
            state = self._story.pop(0)
            write_state(replace(state, id=self.taken[0].id), self.state, boot="this")
            if state.phase == last or self._clock.sleep(1.3, self._ended):
                return


@contextmanager
def board(
    stage: Stage, folder: Path, *story: UpdateState, name: str = "n1", **how: Any
) -> Iterator[tuple[Node, Root]]:
    """Run a node that takes updates."""
    root = Root(folder / name, stage, *story) if how.pop("image", True) else None
    kinds = (GuardedBusy, GuardedUpdate) if how.pop("guarded", False) else (Busy, Update)

    def prepare(runtime: Runtime) -> None:
        runtime.register(kinds[0](runtime))
        state = root.state if root else folder / "none/state.json"
        requests = root.requests if root else None
        runtime.register(
            kinds[1](runtime, state, UpdateTable(remote=True), requests=requests, comes_back=True)
        )

    with ExitStack() as stack:
        if root is not None:
            (folder / name).mkdir(exist_ok=True)
            stack.callback(root.end)
        made = stack.enter_context(staged_node(stage, name=name, prepare=prepare, **how))
        yield made, root  # type: ignore[misc]


def eventually(stage: Stage, condition: Callable[[], bool]) -> None:
    """Look again until a condition holds that asks the broker; in simulated time too."""
    for _ in range(200):
        if condition():
            return
        stage.clock.sleep(0.1)
    raise AssertionError("never came")


def takes(fleet: Fleet) -> bool:
    """Say whether the node has told that it takes updates."""
    try:
        return "update" in fleet.schema("n1").document["commands"]
    except NoAnswerError:
        return False


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    """Make the folders of the nodes."""
    for name in ("n1", "n2", "n3"):
        (tmp_path / name).mkdir()


def test_confirmed(stage: Stage, enter: Enter, tmp_path: Path) -> None:
    """An update is followed from the question to its end, and whoever looks sees it too."""
    with board(stage, tmp_path) as (_, root):
        fleet = enter()
        eventually(stage, lambda: fleet.updating("n1").phase == "none" and takes(fleet))
        seen: list[NodeUpdate] = []
        found = fleet.update("n1", BUNDLE, told=seen.append)
        assert (found.phase, found.slot, found.after) == ("confirmed", "B", "2.0")
        phases = [*dict.fromkeys(each.phase for each in seen)]
        assert phases[-5:] == [*STORY]
        assert [each.action for each in root.taken] == ["install", "reboot"]
        info = fleet.info("n1")
        assert info.update == found
        assert fleet.updating("n1") == found


@pytest.mark.parametrize(
    ("end", "code", "text"),
    [
        (UpdateState("refused", reason="signature verification failed"), "refused", "signature"),
        (UpdateState("failed", reason="No space left"), "not_installed", "No space left"),
        (
            UpdateState("fell_back", slot="B", reason="broker: it is not reached, after 60 s"),
            "fell_back",
            "slot B was given up, and the slot before it runs again: broker: it is not reached",
        ),
    ],
)
def test_ends(
    sim_stage: SimStage, tmp_path: Path, end: UpdateState, code: str, text: str, sim_enter: Enter
) -> None:
    """How it has ended is told with its reason."""
    with board(sim_stage, tmp_path, UpdateState("installing"), end):
        fleet = sim_enter()
        with pytest.raises(RequestRefusedError, match=text) as caught:
            fleet.update("n1", BUNDLE)
        assert caught.value.code == code


def test_refused(sim_stage: SimStage, tmp_path: Path, sim_enter: Enter) -> None:
    """Where there are no slots, and where no update is taken, that is the answer at once."""
    with board(sim_stage, tmp_path, image=False):
        with pytest.raises(RequestRefusedError, match="two slots and RAUC") as caught:
            sim_enter().update("n1", BUNDLE)
        assert caught.value.code == "unavailable"
    with staged_node(sim_stage, name="n2"), pytest.raises(ForbiddenError, match="remote = true"):
        sim_enter().update("n2", BUNDLE)


def test_roles(sim_stage: SimStage, tmp_path: Path, sim_enter: Enter) -> None:
    """Where roles are granted it takes that of an administrator, and of an operator for a lock."""
    with board(sim_stage, tmp_path, guarded=True):
        fleet = sim_enter()
        for ask in (
            partial(fleet.update, "n1", BUNDLE),
            partial(fleet.restart, "n1", "why"),
            partial(fleet.hold_busy, "n1", "why", 5),
        ):
            with pytest.raises(RequestRefusedError, match="needs the role") as caught:
                ask()
            assert caught.value.code == "forbidden"


def test_busy(sim_stage: SimStage, sim_enter: Enter, tmp_path: Path) -> None:
    """A lock is seen with who holds it and until when; an update waits for it, and says so."""
    with board(sim_stage, tmp_path) as (node, _):
        fleet = sim_enter()
        lock = fleet.hold_busy("n1", "a firing", 3600, "anna@bench")
        eventually(sim_stage, lambda: bool(fleet.busy("n1")))
        (held,) = fleet.busy("n1")
        assert (held.id, held.holder, held.reason) == (lock, "anna@bench", "a firing")
        assert held.until is not None
        assert fleet.info("n1").busy == (held,)
        with pytest.raises(RequestRefusedError, match="the node is busy: anna@bench: a firing"):
            fleet.update("n1", BUNDLE, "refuse")
        with pytest.raises(NoAnswerError, match=r"within 3 s: it is waiting: anna@bench: a firing"):
            fleet.update("n1", BUNDLE, wait_s=3)
        assert fleet.release_busy("n1") == [lock]
        eventually(sim_stage, lambda: fleet.busy("n1") == ())
        with node.runtime.busy.hold("kiln", "firing", 60):  # not an operator's: stays
            assert fleet.release_busy("n1") == []
        eventually(sim_stage, lambda: fleet.updating("n1").phase == "confirmed")


def test_a_lock_ends_by_itself(sim_stage: SimStage, tmp_path: Path, sim_enter: Enter) -> None:
    """When its time is over nobody sees it any more."""
    with board(sim_stage, tmp_path):
        fleet = sim_enter()
        fleet.hold_busy("n1", "a firing", 30)
        sim_stage.sim_clock.advance(31)
        assert fleet.busy("n1") == ()
        with pytest.raises(Exception, match=r"seconds|604800"):
            fleet.hold_busy("n1", "for ever", 1e9)


def test_many(sim_stage: SimStage, tmp_path: Path, sim_enter: Enter) -> None:
    """Many nodes are updated so many at a time, each with its own outcome."""
    bad = UpdateState("refused", reason="Compatible mismatch")
    with (
        board(sim_stage, tmp_path, name="n1"),
        board(sim_stage, tmp_path, bad, name="n2"),
        board(sim_stage, tmp_path, name="n3"),
    ):
        fleet = sim_enter(at_once=2)
        found = list(fleet.each(["n1", "n2", "n3"], lambda name: fleet.update(name, BUNDLE)))
        assert {each.node: each.code for each in found} == {"n1": "", "n2": "refused", "n3": ""}


def test_restart(sim_stage: SimStage, tmp_path: Path, sim_enter: Enter) -> None:
    """A restart waits for a lock, and then ends the agent with the reason."""
    with board(sim_stage, tmp_path) as (node, _):
        fleet = sim_enter()
        with node.runtime.busy.hold("kiln", "firing", 20):
            fleet.restart("n1", "a new pump")
            sim_stage.sim_clock.advance(10)
            assert node.runtime.status()["state"] == "running"
        sim_stage.sim_clock.advance(10)
        status = {each.name: each.status for each in fleet.nodes()}["n1"]
        assert (status.state, status.cause) == ("offline", "operator: mqtt: a new pump")


@settings_(max_examples=40)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_is_published(value: Any) -> None:
    """What somebody else has written on these topics is no error."""
    for key in ("phase", "percent", "unmet", "at", "locks"):
        document = json.loads(json.dumps({key: value}))
        assert str(read_update("n1", document))
        assert isinstance(read_busy(document), tuple)


@pytest.fixture
def sim_enter(sim_stage: SimStage) -> Iterator[Enter]:
    """Give a function that makes a fleet in simulated time, entered; it is left at the end."""
    with ExitStack() as stack:

        def enter(**options: Any) -> Fleet:
            how = {"timeout_s": 10.0, "clock": sim_stage.clock, "medium": sim_stage.medium}
            return stack.enter_context(Fleet(settings(sim_stage.port), **{**how, **options}))

        yield enter


@pytest.mark.parametrize("commands", [[], None, {"update": []}, {"update": {"install": {}}}])
def test_a_schema_of_somebody_else(commands: object) -> None:
    """A schema that is none of ours is that of a node that takes no updates, and no mistake."""
    schema = NodeSchema("n1", {"commands": commands})
    if commands == {"update": {"install": {}}}:
        check_takes_updates("n1", schema)
    else:
        with pytest.raises(ForbiddenError, match="does not take an update from afar"):
            check_takes_updates("n1", schema)

"""`edgekernel ctl update`, `restart` and `busy`: how they end, and what they print."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel import Runtime
from edgekernel.cli import main
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import UnknownTargetError
from edgekernel.mqtt import Fleet, MqttInterface, NoAnswerError
from edgekernel.node import updating
from edgekernel.node.busy import Busy
from edgekernel.node.signature import bind_validated
from edgekernel.node.update_request import take_request
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.update_table import UpdateTable
from tests.brokers import LIMIT_S, Mosquitto
from tests.mqtt.parts import Lamp, Seen, settings

BUNDLE = "/data/v2.raucb"
BAD_ENDS = ("failed", "refused", "fell_back")
ON_TRIAL = UpdateState("trial", slot="B", unmet=("broker: it is not reached",))


def has_schema(fleet: Fleet) -> bool:
    """Say whether the node has published what it can be asked for."""
    try:
        fleet.schema("n1")
    except (NoAnswerError, UnknownTargetError):
        return False
    return True


class Bench:
    """A node that takes updates, and root beside it."""

    def __init__(self, port: int, folder: Path, stack: ExitStack) -> None:
        self.port = port
        self.state = folder / "update/state.json"
        self.requests = folder / "request.json"
        self.runtime = Runtime(name="n1", binder=bind_validated)
        self.seen = Seen(self.runtime)
        write_state(UpdateState(), self.state, boot="this")
        update = updating.Update(
            self.runtime, self.state, UpdateTable(remote=True), requests=self.requests
        )
        link = MqttInterface(settings(port))
        for part in (Lamp("lamp"), Busy(self.runtime), update, link):
            self.runtime.register(part)
        stack.enter_context(self.runtime)
        self.seen.wait("mqtt.connected")
        with Fleet(settings(port)) as fleet:
            end = time.monotonic() + LIMIT_S
            while not has_schema(fleet):
                assert time.monotonic() < end

    def ctl(self, *args: str) -> Result:
        """Run `edgekernel ctl` here."""
        words = ["ctl", "--port", str(self.port), *args]
        return CliRunner().invoke(main, words, env={"COLUMNS": "200"}, catch_exceptions=False)

    def root(self, *story: UpdateState) -> threading.Thread:
        """Let root take a request, and tell a story of it, each when it has been seen."""

        def act() -> None:
            end = time.monotonic() + LIMIT_S
            while not self.requests.exists():
                assert time.monotonic() < end
                time.sleep(0.01)
            id = take_request(self.requests).id
            for state in story:
                write_state(replace(state, id=id), self.state, boot="this")
                name = "update.failed" if state.phase in BAD_ENDS else "update.changed"
                self.seen_phase(name, state.phase)

        thread = threading.Thread(target=act)
        thread.start()
        return thread

    def seen_phase(self, name: str, phase: str) -> None:
        """Wait until the node has told of a phase."""
        count = 1
        while self.seen.wait(name, count)["phase"] != phase:
            count += 1


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """Give a broker that keeps nothing for other tests."""
    broker = Mosquitto(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def bench(own_broker: Mosquitto, tmp_path: Path) -> Iterator[Bench]:
    """Give a node on the broker."""
    with ExitStack() as stack:
        yield Bench(own_broker.port, tmp_path, stack)


@pytest.mark.parametrize(
    ("story", "code", "said"),
    [
        (
            (UpdateState("installing", percent=40, doing="Copying image"), ON_TRIAL,
             UpdateState("confirmed", slot="B", reason="healthy for 300 s")),
            Exit.DONE, "n1: confirmed [slot B]: healthy for 300 s",
        ),
        ((UpdateState("refused", reason="signature verification failed"),), Exit.REFUSED,
         "refused (refused): signature verification failed"),
        ((UpdateState("failed", reason="No space left"),), Exit.FAILED,
         "refused (not_installed): No space left"),
        ((ON_TRIAL, UpdateState("fell_back", slot="B", reason="broker: it is not reached")),
         Exit.FELL_BACK, "slot B was given up, and the slot before it runs again: broker: it is"),
    ],
    ids=["confirmed", "refused", "failed", "fell_back"],
)  # fmt: skip
def test_update(bench: Bench, story: tuple[UpdateState, ...], code: Exit, said: str) -> None:
    """The exit code tells how it has ended; on the way there is a line for each change."""
    root = bench.root(*story)
    done = bench.ctl("update", "n1", "--bundle", BUNDLE, "--wait")
    root.join()
    assert (done.exit_code, said in done.output) == (code, True), done.output
    if ON_TRIAL in story:
        assert "n1: trial 0 % [slot B]: broker: it is not reached" in done.stderr


def test_asked_only(bench: Bench) -> None:
    """Without --wait it is asked for, and `info` shows how it goes; another one is refused."""
    held = json.loads(
        bench.ctl("busy", "n1", "--for", "30min", "--reason", "a firing", "--json").stdout
    )
    shown = bench.ctl("busy", "n1").stdout
    assert shown.startswith(held)
    assert "a firing (until " in shown
    done = bench.ctl("update", "n1", "--bundle", BUNDLE, "--json")
    assert (done.exit_code, json.loads(done.stdout)["phase"]) == (0, "asked")
    bench.seen_phase("update.changed", "waiting")
    info = bench.ctl("info", "n1").stdout
    assert info.count("a firing (until ") == 2
    again = bench.ctl("update", "n1", "--bundle", BUNDLE)
    assert (again.exit_code, "under way already" in again.output) == (Exit.REFUSED, True)
    assert bench.ctl("call", "n1", "update.cancel").exit_code == 0
    refused = bench.ctl("update", "n1", "--bundle", BUNDLE, "--if-free")
    assert (refused.exit_code, "the node is busy" in refused.output) == (Exit.REFUSED, True)
    released = bench.ctl("busy", "n1", "--release")
    assert released.stdout == f"released {held}\n"
    assert bench.ctl("busy", "n1", "--release").stdout == "nothing to release\n"


def test_too_late(bench: Bench) -> None:
    """What has not ended in time goes on, and says how it is."""
    done = bench.ctl("update", "n1", "--bundle", BUNDLE, "--wait", "--limit", "1s")
    assert (done.exit_code, "has not ended within 1 s" in done.output) == (Exit.NO_ANSWER, True)


def test_no_service(bench: Bench) -> None:
    """An agent that nobody starts again is not ended."""
    done = bench.ctl("restart", "n1", "--reason", "a new pump")
    assert (done.exit_code, "not run as a service" in done.output) == (Exit.REFUSED, True)


@pytest.mark.parametrize(
    "words",
    [
        ("update", "n1"),
        ("update", "n1", "--bundle", "/x", "--now", "--if-free"),
        ("busy", "n1", "--for", "5min"),
        ("busy", "n1", "--reason", "x"),
        ("busy", "n1", "--for", "5min", "--reason", "x", "--release"),
        ("busy", "n1", "--for", "soon", "--reason", "x"),
    ],
)
def test_wrong_words(words: tuple[str, ...]) -> None:
    """What does not go together is wrong usage, and nobody is asked."""
    done = CliRunner().invoke(main, ["ctl", *words])
    assert done.exit_code == 2

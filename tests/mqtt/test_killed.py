"""An agent that is killed with SIGKILL: what it was asked for is done once, or not known to be. One
that is stopped for a while: what it is asked for meanwhile is not done."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.brokers import LIMIT_S, Mosquitto, Received, Watcher, watching

ROOT = Path(__file__).parents[2]
REPLY = "edge/n1/reply/me"
STATUS = "edge/n1/status"


def _is_new_status(received: Received, word: bytes) -> bool:
    return received.topic == STATUS and not received.retained and word in received.payload


def _is_new_lamp(received: Received) -> bool:
    return received.topic == "edge/n1/state/lamp" and not received.retained


Process = subprocess.Popen[bytes]


@contextmanager
def running(
    broker: Mosquitto, folder: Path, keepalive_s: int = 60
) -> Iterator[tuple[Watcher, Process]]:
    """Run the agent until it is killed; give a client of its own for each run."""
    where = [str(broker.port), str(folder), str(keepalive_s)]
    with watching(broker.port) as watcher:
        process = subprocess.Popen([sys.executable, "-m", "tests.mqtt.kill_me", *where], cwd=ROOT)
        try:
            watcher.wait_for(lambda r: _is_new_status(r, b'"online"'))
            yield watcher, process
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(LIMIT_S)
        watcher.wait_for(lambda r: _is_new_status(r, b"connection lost"))


@contextmanager
def agent(broker: Mosquitto, folder: Path) -> Iterator[Watcher]:
    """Run the agent until it is killed; give a client of its own."""
    with running(broker, folder) as (watcher, _):
        yield watcher


def ask(watcher: Watcher, topic: str, id: int, **body: object) -> dict[str, Any]:
    """Send a request and return its reply."""
    watcher.publish(f"edge/n1/{topic}", {**body, "id": id, "reply_to": REPLY})
    reply: dict[str, Any] = watcher.on(REPLY, id=id).document
    return reply


def test_nothing_is_done_twice(broker: Mosquitto, tmp_path: Path) -> None:
    """After each kill an answered call has its first answer, one that had begun is answered as one
    of unknown outcome, and neither is carried out again; a new one is."""
    book = tmp_path / "book"
    slow = {"args": {"what": "slow"}}
    for run in range(5):
        with agent(broker, tmp_path) as watcher:
            for number in range(run):
                again = ask(watcher, "call/feeder/feed", number, args={"what": f"{number}"})
                assert again == {"id": number, "ok": True, "result": f"{number}"}
                lost = ask(watcher, "call/feeder/feed-slowly", 100 + number, **slow)
                assert lost["error"]["code"] == "unknown_outcome"
                assert "another id" in lost["error"]["message"]
            fed = ask(watcher, "call/feeder/feed", run, args={"what": f"{run}"})
            assert fed["result"] == f"{run}"
            request = {**slow, "id": 100 + run, "reply_to": REPLY}
            watcher.publish("edge/n1/call/feeder/feed-slowly", request)
            watcher.wait_for(lambda r: r.topic == "edge/n1/event/fed" and b'"slow"' in r.payload)
    lines = book.read_text().splitlines()
    assert sorted(lines) == sorted([*(f"{run}" for run in range(5)), *["slow"] * 5])


def test_a_set_that_was_answered_is_not_done_again(broker: Mosquitto, tmp_path: Path) -> None:
    """A set of before the kill that comes again has its answer, and does not switch back what was
    switched since."""
    with agent(broker, tmp_path) as watcher:
        assert ask(watcher, "set/lamp/power", 1, value="on")["ok"] is True
    with agent(broker, tmp_path) as watcher:
        assert ask(watcher, "set/lamp/power", 1, value="on")["ok"] is True
        assert ask(watcher, "set/lamp/power", 2, value="on")["ok"] is True
        watcher.wait_for(lambda r: _is_new_lamp(r) and r.document["power"]["value"])
        states = [r.document for r in watcher.received if _is_new_lamp(r)]
        assert [each["power"]["value"] for each in states].count(True) == 1


def test_what_came_while_it_stood_still_is_not_done(broker: Mosquitto, tmp_path: Path) -> None:
    """A process that is stopped until the broker has told that it is gone: it takes nothing that
    was sent to it meanwhile, comes back, and does what it is asked then."""
    with running(broker, tmp_path, keepalive_s=2) as (watcher, process):
        assert ask(watcher, "call/feeder/feed", 1, args={"what": "before"})["ok"] is True
        process.send_signal(signal.SIGSTOP)
        late = {"args": {"what": "late"}, "id": 2, "reply_to": REPLY}
        watcher.publish("edge/n1/call/feeder/feed", late)
        watcher.wait_for(lambda r: _is_new_status(r, b"connection lost"))
        watcher.forget()
        process.send_signal(signal.SIGCONT)
        watcher.wait_for(lambda r: _is_new_status(r, b'"reconnected"'))
        assert ask(watcher, "call/feeder/feed", 3, args={"what": "after"})["ok"] is True
        told = watcher.on("edge/n1/event/mqtt-disconnected").document["fields"]["reason"]
        assert told.startswith("this node stood still")
        watcher.forget()
    assert (tmp_path / "book").read_text().split() == ["before", "after"]

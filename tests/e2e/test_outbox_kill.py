"""The outbox of a real agent that is killed with SIGKILL, its broker away, again and again."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import LIMIT_S, Mosquitto, watching

KILLS = 6

NODE = """
[node]
name = "n1"
board = "sim"
app = "counting"
data = "kept"

[mqtt]
host = "127.0.0.1"
port = {port}

[mqtt.outbox]
commit_every = "20ms"
"""

APP = """
from edgekernel import Message, Service


class Counted(Message):
    number: int
    session: int


class Other(Message):
    number: int
    session: int


class Counting(Service):
    name = "counting"
    interval = 0.002
    number = 0

    def tick(self, ctx):
        kind = Counted if self.number % 3 else Other
        ctx.emit(kind(self.number, SESSION))
        self.number += 1
        if self.number % 10 == 0:
            outbox = RUNTIME.interfaces["mqtt"].status()["outbox"]
            print(f"COMMITTED {outbox['committed']}\\n", end="", flush=True)  # in one piece


def setup(runtime):
    global RUNTIME
    RUNTIME = runtime
    if SESSION >= 0:
        runtime.register(Counting())
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a real mosquitto, not started."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


class Agent:
    """`edgekernel run` as a process of its own; session -1 counts nothing."""

    def __init__(self, folder: Path, session: int) -> None:
        (folder / "counting.py").write_text(f"SESSION = {session}\n{APP}")
        run = [sys.executable, "-B", "-c", "from edgekernel.cli import main; main()", "run"]
        self.process = subprocess.Popen(
            [*run, str(folder / "node.toml")], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.communicate(timeout=LIMIT_S)

    def killed_after(self, lines: int) -> int:
        """Kill it after so many commits have been told; return what was committed by then."""
        committed = [0]
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("COMMITTED"):
                committed.append(int(line.split()[1]))
            if len(committed) > lines:
                break
        self.process.kill()
        rest = self.process.stdout.read().splitlines()
        committed += [int(each.split()[1]) for each in rest if each.startswith("COMMITTED ")][:-1]
        return committed[-1]


def place(id: str) -> tuple[str, int]:
    """Return the boot of a message and its number in it."""
    boot, _, number = id.rpartition("-")
    return boot, int(number)


def test_killed_with_the_broker_away(broker: Mosquitto, tmp_path: Path) -> None:
    """An agent that is killed six times while the broker is away, and once while it sends: what it
    had committed comes in the end, in the order of its topic, and twice only with the same id."""
    (tmp_path / "node.toml").write_text(NODE.format(port=broker.port))
    chance = random.Random(1)
    committed = []
    for session in range(KILLS):
        with Agent(tmp_path, session) as agent:
            committed.append(agent.killed_after(chance.randrange(5, 40)))
    assert all(committed)

    broker.start()
    with watching(broker.port, "edge/n1/event/#") as watcher, ExitStack() as stack:
        with Agent(tmp_path, -1):  # and once in the middle of the sending
            watcher.wait_for(lambda each: b'"number":50,' in each.payload)
        stack.enter_context(Agent(tmp_path, -1))
        watcher.wait_for(lambda each: b'"session":5' in each.payload)
        wanted = [
            lambda each, boot=boot, count=count: each.document["id"] == f"{boot}-{count}"
            for boot, count in zip(boots_of(watcher.received), committed, strict=True)
        ]
        for each in wanted:
            watcher.wait_for(each, "the last that was committed")
        came = [(each.topic, each.document) for each in list(watcher.received)]
    check(came, committed)


def boots_of(received: list[Any]) -> list[str]:
    """Return the boots of the agents that have counted, in the order in which they come."""
    counted = [each.document for each in list(received) if b'"session":' in each.payload]
    return list(dict.fromkeys(each["boot"] for each in counted))


def check(came: list[tuple[str, Any]], committed: list[int]) -> None:
    """Check what has come against how many were committed of each session."""
    documents = [document for _, document in came]
    ids = {each["id"] for each in documents}
    boots = [each["boot"] for each in documents if "session" in each["fields"]]
    for boot, count in zip(dict.fromkeys(boots), committed, strict=True):
        assert {f"{boot}-{number}" for number in range(1, count + 1)} <= ids
    by_id = {each["id"]: {**each, "time": None} for each in documents}
    assert all({**each, "time": None} == by_id[each["id"]] for each in documents)
    for topic in {topic for topic, _ in came}:
        first = list(dict.fromkeys(document["id"] for on, document in came if on == topic))
        in_boot = [place(id) for id in first]
        assert all(one[0] != two[0] or one[1] < two[1] for one, two in pairwise(in_boot)), topic
        changes = sum(one[0] != two[0] for one, two in pairwise(in_boot))
        assert changes == len({boot for boot, _ in in_boot}) - 1, topic
    print(  # noqa: T201 (the counts are part of the result)
        f"{KILLS + 1} kills: {sum(committed)} committed, all delivered; {len(ids)} delivered, "
        f"{len(documents) - len(ids)} duplicates by id"
    )

"""What is known of requests after a restart, a crash at any byte, or a power cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Message, Process, Runtime, command, message
from edgekernel.backends.sim import SimDisk
from edgekernel.mqtt.payloads import ReplyAddress
from edgekernel.mqtt.repeated import MAX_KEPT, Repeated
from edgekernel.mqtt.request_log import MAX_FILE_BYTES, Entry, RequestLog, _decode, _encode
from edgekernel.mqtt.simulated import connect_simulated
from edgekernel.node import make_plan
from edgekernel.node.simulated_node import SimulatedNode
from edgekernel.sim import SimClock
from edgekernel.sim.broker import Publication, SimBroker

FOLDER = Path("/var/lib/edgekernel")
FILE = FOLDER / "requests.log"


class Shelf:
    """A simulated disk, and the logs that are made on it."""

    def __init__(self, clock: SimClock) -> None:
        self.clock, self.disk = clock, SimDisk(clock)
        self.told: list[Message] = []

    def log(self) -> RequestLog:
        """Make a log, as a start of the agent does."""
        return RequestLog(FOLDER, self.disk, self.clock, self.told.append)

    def repeated(self) -> Repeated:
        """Make the memory of an agent that starts."""
        return Repeated(self.clock, self.log())

    @property
    def file(self) -> Path:
        """Where the file is on this machine."""
        return self.disk.place(FILE)


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """Give a disk, closed at the end."""
    with SimClock() as clock:
        shelf = Shelf(clock)
        yield shelf
        shelf.disk.close()


def key(id: str | int) -> tuple[str, str | int]:
    """Return the key of a call."""
    return "edge/n1/call/a/b", id


def call(repeated: Repeated, id: str | int, answer: bytes | None) -> None:
    """Begin a call, and end it if there is an answer."""
    came, kept = repeated.came(key(id), b"x")
    assert came == "new"
    repeated.begin(kept)
    if answer is not None:
        repeated.answered(kept, answer)


def came(repeated: Repeated, id: str | int, payload: bytes = b"x") -> str:
    """Let a call come; return what it is."""
    return repeated.came(key(id), payload)[0]


def answer_of(repeated: Repeated, id: str | int) -> bytes | None:
    """Let a call come; return what it was answered."""
    return repeated.came(key(id), b"x")[1].answer


@given(
    st.text(),
    st.text() | st.integers(),
    st.binary(max_size=16),
    st.none() | st.binary(),
    st.booleans(),
    st.none() | st.text(),
)
def test_an_entry_comes_back(
    topic: str,
    id: str | int,
    digest: bytes,
    answer: bytes | None,
    forgotten: bool,
    client: str | None,
) -> None:
    """Whatever a client has written, an entry is one line, and comes back as it was."""
    entry = Entry((topic, id), digest, answer, forgotten, client)
    line = _encode(entry)
    assert line.count(b"\n") == 1
    assert _decode(line) == entry


@given(st.binary())
def test_no_line_crashes_the_reader(line: bytes) -> None:
    """What is none of ours is no entry."""
    assert _decode(line) is None


def test_after_a_restart(shelf: Shelf) -> None:
    """An answered request has its first answer, a call that was begun has none and is not new,
    one of which nothing was done is new; a set counts from its answer on."""
    first = shelf.repeated()
    call(first, 1, b'{"ok":true}')
    call(first, "two", None)
    refused = first.came(key(3), b"x")[1]
    first.begin(refused)
    first.forget(refused)
    assert first.came(("edge/n1/set/a/b", 4), b"on")[0] == "new"
    first.answered(first.came(("edge/n1/set/a/b", 5), b"on")[1], b"done")
    first.close()
    again = shelf.repeated()
    assert came(again, 1) == "answered"
    assert answer_of(again, 1) == b'{"ok":true}'
    assert came(again, "two") == "interrupted"
    assert answer_of(again, "two") is None
    assert came(again, 3) == "new"
    assert again.came(("edge/n1/set/a/b", 4), b"on")[0] == "new"
    assert again.came(("edge/n1/set/a/b", 5), b"on")[1].answer == b"done"
    assert came(again, 1, b"other") == "new"
    assert shelf.told == []


def test_the_latest_are_the_latest_after_a_restart(shelf: Shelf) -> None:
    """A client counts from 1 again, as the id of an old call is forgotten: after a restart the new
    call is one of the latest, not of the oldest."""
    first = shelf.repeated()
    for number in range(MAX_KEPT):
        call(first, number, b"done")
    call(first, "more", b"done")
    call(first, 0, b"again")
    call(first, "and more", b"done")
    first.close()
    again = shelf.repeated()
    assert answer_of(again, 0) == b"again"


def test_clients_count_alike(shelf: Shelf) -> None:
    """Who has asked what under the same id is known after a restart too; and that an id was used
    again by the same client, with other content."""
    one, two = ReplyAddress("r/one", 1), ReplyAddress("r/two", 1)
    first = shelf.repeated()
    for payload, reply in ((b"a", one), (b"b", two), (b"c", None), (b"d", None)):
        first.answered(first.came(key(1), payload, reply)[1], payload)
    first.close()
    again = shelf.repeated()
    assert again.came(key(1), b"a", one)[0] == "answered"
    assert again.came(key(1), b"b", two)[0] == "answered"
    assert again.came(key(1), b"d")[0] == "answered"
    assert again.came(key(1), b"c")[0] == "new"


def test_an_answer_to_what_was_replaced(shelf: Shelf) -> None:
    """The late answer to a call whose id was used again since is not taken, after a restart, for
    that of the other: nobody knows of the other whether it was carried out."""
    repeated = shelf.repeated()
    first, second = (repeated.came(key(1), each)[1] for each in (b"5 ml", b"50 ml"))
    repeated.begin(first)
    repeated.begin(second)
    repeated.answered(first, b"first")
    repeated.close()
    assert came(shelf.repeated(), 1, b"50 ml") == "interrupted"


def test_a_restart_of_a_restart(shelf: Shelf) -> None:
    """What was known is still known when the file was written anew twice."""
    for number in range(3):
        repeated = shelf.repeated()
        call(repeated, number, None if number == 1 else b"done")
        repeated.close()
    last = shelf.repeated()
    assert [came(last, number) for number in range(3)] == ["answered", "interrupted", "answered"]
    assert answer_of(last, 0) == b"done"


def test_a_crash_at_every_byte(shelf: Shelf) -> None:
    """Whatever of the file was written, what it holds in whole lines is known and nothing else,
    and what is written after that is known as well."""
    repeated = shelf.repeated()
    for number in range(5):
        call(repeated, number, b"done")
    repeated.close()
    whole = shelf.file.read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
    for size in range(len(whole) + 1):
        shelf.file.write_bytes(whole[:size])
        count = sum(end <= size for end in ends)
        again = shelf.repeated()
        new = [came(again, number) == "new" for number in range(5)]
        assert new == [2 * number >= count for number in range(5)]
        call(again, "more", b"more")
        again.close()
        assert answer_of(shelf.repeated(), "more") == b"more"
    assert shelf.told == []


def test_a_power_cut_takes_no_call_that_was_begun(shelf: Shelf) -> None:
    """Whatever the disk had not written yet: a call that was carried out is not new."""
    for seed in range(50):
        repeated = shelf.repeated()
        call(repeated, seed, b"done")
        shelf.disk.power_lost(Random(seed))
        again = shelf.repeated()
        answer = answer_of(again, seed)
        assert answer in (b"done", None)
        assert came(again, seed) == ("interrupted" if answer is None else "answered")


def test_damage_is_told(shelf: Shelf) -> None:
    """A line that has changed does not count, and is told; the others do."""
    repeated = shelf.repeated()
    for number in range(3):
        call(repeated, number, b"done")
    repeated.close()
    lines = shelf.file.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"done", b"dome")
    shelf.file.write_bytes(b"".join(lines))
    again = shelf.repeated()
    assert [answer_of(again, number) for number in range(3)] == [b"done", None, b"done"]
    expected = f"{FILE}: 1 lines are damaged; the others are used"
    assert shelf.told == [message.MemoryFailed(expected)]


def test_a_full_disk_stops_nothing(shelf: Shelf) -> None:
    """What cannot be written is told once, and written again when there is room."""
    repeated = shelf.repeated()
    call(repeated, 1, b"done")
    shelf.disk.full = True
    for number in range(2, 6):
        call(repeated, number, b"done")
        assert answer_of(repeated, number) == b"done"
    assert [each.name for each in shelf.told] == ["memory.failed"]
    shelf.disk.full = False
    call(repeated, 6, b"done")
    assert [each.name for each in shelf.told] == ["memory.failed", "memory.recovered"]
    again = shelf.repeated()
    assert [answer_of(again, number) for number in range(1, 7)] == [b"done"] * 6


def test_the_file_is_bounded(shelf: Shelf) -> None:
    """However many requests there were, the file has what still counts, and little more."""
    repeated = shelf.repeated()
    answer = b"." * 900
    for number in range(2 * MAX_FILE_BYTES // 900):
        call(repeated, number, answer)
    assert shelf.file.stat().st_size < MAX_FILE_BYTES + 10_000
    repeated.close()
    again = shelf.repeated()
    last = 2 * MAX_FILE_BYTES // 900 - 1
    assert came(again, last) != "new"
    assert came(again, last - MAX_KEPT + 10) != "new"


NODE = """
[node]
name = "bench"
board = "sim"
data = "data"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[mqtt]
host = "broker.example"
"""


class Feeder(Process):
    """Feeds, and may die of it."""

    name = "feeder"

    def __init__(self, fed: list[str]) -> None:
        self._fed = fed

    @command
    def feed(self, what: str) -> str:
        """Feed, and answer."""
        self._fed.append(what)
        return what

    @command
    async def feed_slowly(self, what: str) -> None:
        """Feed, and never get to the answer."""
        self._fed.append(what)
        await asyncio.sleep(1e6)


def test_a_simulated_node_that_is_killed(tmp_path: Path, shelf: Shelf) -> None:
    """In simulated time too: a node with a folder for its data does nothing twice after a kill or
    a power cut; the same calls after it get the first answer, or that nobody knows."""
    (tmp_path / "node.toml").write_text(NODE, encoding="utf-8")
    plan = make_plan(tmp_path / "node.toml")
    clock, fed, replies = shelf.clock, list[str](), list[dict[str, Any]]()

    def prepare(runtime: Runtime) -> None:
        runtime.register(Feeder(fed))
        connect_simulated(plan, runtime, broker, 0)

    def ask(id: int, name: str, **more: int) -> None:
        document = {**more, "id": id, "args": {"what": name}, "reply_to": "edge/bench/reply/me"}
        payload = json.dumps(document).encode()
        broker.publish(Publication(f"edge/bench/call/feeder/{name}", payload, qos=1))
        clock.advance(1)

    def reply(publication: Publication) -> None:
        if publication.topic == "edge/bench/reply/me":
            replies.append(json.loads(publication.payload))

    with SimBroker(clock) as broker:
        broker.watch(reply)
        node = SimulatedNode(plan, clock, Runtime, broker=broker, prepare=prepare)
        node.start()
        clock.advance(5)
        ask(3, "feed", unknown=1)
        assert not shelf.file.exists()  # no malformed or forged call costs the disk anything
        for end in (node.kill, lambda: node.cut_power(Random(1))):
            clock.advance(5)
            ask(1, "feed")
            ask(2, "feed-slowly")
            end()
            clock.advance(60)
            node.start_again()
        clock.advance(5)
        ask(1, "feed")
        ask(2, "feed-slowly")
        node.stop("done")
    assert fed == ["feed", "feed-slowly"]
    codes = [each.get("error", {}).get("code", "ok") for each in replies]
    assert codes == ["invalid", "ok", "ok", "unknown_outcome", "ok", "unknown_outcome"]

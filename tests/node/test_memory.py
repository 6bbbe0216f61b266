"""The memory of a node: what was put is there after a crash at any moment, or what was before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Message, Runtime, message
from edgekernel.core.memory import Plain
from edgekernel.node.memory import FileMemory, decode, encode
from edgekernel.sim import SimClock


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock, closed at the end."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def memory(tmp_path: Path, clock: SimClock) -> FileMemory:
    """A memory in an empty folder, which is made by the first write."""
    return FileMemory(tmp_path / "data", clock)


def keep(folder: Path, clock: SimClock, **values: Plain) -> None:
    """Put values and write them down."""
    memory = FileMemory(folder, clock)
    for key, value in values.items():
        memory.put(key, value)
    memory.close()


def known(folder: Path, clock: SimClock, key: str = "a") -> tuple[Plain | None, list[Message]]:
    """What a new memory knows, and what it tells of that."""
    memory, told = FileMemory(folder, clock), list[Message]()
    memory.tell = told.append
    return memory.get(key), told


def test_what_was_put_is_there_after_a_restart(memory: FileMemory, clock: SimClock) -> None:
    """Each value comes back with its type; what was never put is None."""
    values: dict[str, Plain] = {"a": True, "b": 1, "c": 1.0, "d": "on"}
    for key, value in values.items():
        memory.put(key, value)
    memory.close()
    again = FileMemory(memory.folder, clock)
    assert {key: again.get(key) for key in values} == values
    assert [type(again.get(key)) for key in values] == [bool, int, float, str]
    assert again.get("e") is None


def test_writes_are_few(memory: FileMemory, clock: SimClock, tmp_path: Path) -> None:
    """The first change is written at once, those that follow together after 30 s; what does not
    change is not written."""
    file = tmp_path / "data" / "memory.json"
    memory.put("a", 1)
    clock.advance(0.1)
    first = file.read_bytes()
    for n in range(100):
        memory.put("a", n)
        clock.advance(0.1)
    assert file.read_bytes() == first
    clock.advance(21)
    assert decode(file.read_bytes()) == {"a": 99}
    written = file.stat().st_mtime_ns, file.stat().st_ino
    clock.advance(100)
    memory.put("a", 99)
    clock.advance(100)
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == written


def test_several_at_once(memory: FileMemory, clock: SimClock) -> None:
    """Several values as one change are on the disk at once, with all that was put before them;
    what is put afterwards waits as ever."""
    memory.put("a", 1)
    clock.advance(0.1)
    memory.put("b", 1)
    clock.advance(0.1)
    memory.put_all({"b": 1, "c": 1})
    clock.advance(0.1)
    file = memory.folder / "memory.json"
    assert decode(file.read_bytes()) == {"a": 1, "b": 1, "c": 1}
    memory.put("a", 2)
    clock.advance(29)
    assert decode(file.read_bytes())["a"] == 1
    clock.advance(2)
    assert decode(file.read_bytes())["a"] == 2


def test_what_waits_is_written_with_what_does_not(memory: FileMemory, clock: SimClock) -> None:
    """A value that was put already, and waits, is written at once as part of such a change."""
    memory.put("a", 1)
    clock.advance(0.1)
    memory.put("a", 2)
    memory.put_all({"a": 2})
    clock.advance(0.1)
    assert decode((memory.folder / "memory.json").read_bytes()) == {"a": 2}


def test_a_day_of_changes_at_once(memory: FileMemory, clock: SimClock) -> None:
    """However many there are, a day has the stated number of writes at most; then such a change
    waits with the rest, and is still one."""
    written: list[dict[str, Plain]] = []
    memory._write = lambda data: written.append(decode(data))  # type: ignore[method-assign]
    for n in range(24 * 3600 // 5):
        memory.put_all({"a": n, "b": n})
        clock.advance(2.5)
        memory.put("c", n)
        clock.advance(2.5)
    assert 2900 < len(written) <= 3000
    assert all(each["a"] == each["b"] for each in written)


def test_an_hour_of_changes(memory: FileMemory, clock: SimClock) -> None:
    """An output that changes every second makes the stated number of writes, each of one block."""
    written: list[int] = []
    write = memory._write

    def count(data: bytes) -> None:
        written.append(len(data))
        write(data)

    memory._write = count  # type: ignore[method-assign]  # to count, on its way to the disk
    for output in range(60):
        memory.put(f"output/device-{output}.power", True)
    for n in range(3600):
        memory.put("output/device-1.power", n % 2 == 0)
        clock.advance(1)
    memory.close()
    assert len(written) <= 3600 / 30 + 1
    assert max(written) <= 4096


def renamed(memory: FileMemory, *names: str) -> None:
    """Run with outputs of these names, each of which is driven."""
    memory.keep_owned("output/", names)
    for name in names:
        memory.put(f"output/{name}", name)


def test_what_nothing_owns_is_forgotten(memory: FileMemory, clock: SimClock) -> None:
    """A value is kept for four changes after its owner has gone, and then forgotten; other values
    stay. The same names again are no change, nor is a restart."""
    memory.put("agent/boot", "x")
    renamed(memory, "a")
    for n in range(4):
        renamed(memory, f"b{n}")
        renamed(memory, f"b{n}")
        memory.close()
        memory = FileMemory(memory.folder, clock)
        assert memory.get("output/a") == "a"
    renamed(memory, "b4")
    memory.close()
    assert known(memory.folder, clock, "output/a") == (None, [])
    assert known(memory.folder, clock, "output/b0")[0] == "b0"
    assert known(memory.folder, clock, "agent/boot")[0] == "x"


def test_what_is_owned_again_is_kept(memory: FileMemory) -> None:
    """Who goes back to former names finds their values, and from then on they count as new."""
    renamed(memory, "a")
    for n in range(3):
        renamed(memory, f"b{n}")
    memory.keep_owned("output/", ["a"])
    for n in range(4):
        renamed(memory, f"c{n}")
        assert memory.get("output/a") == "a"
    renamed(memory, "c4")
    assert memory.get("output/a") is None


def test_renamed_for_ever(memory: FileMemory) -> None:
    """However often outputs get other names, the file stays small."""
    for n in range(1000):
        renamed(memory, *(f"device-{n}-{output}.power" for output in range(10)))
    memory.close()
    values = decode((memory.folder / "memory.json").read_bytes())
    assert len([key for key in values if key.startswith("output/")]) == 5 * 10
    assert len(values) == 5 * 10 + 4 * 10 + 1


def test_a_node_without_outputs_keeps_nothing_of_them(memory: FileMemory) -> None:
    """Where there is no value there is nothing to be counted, and nothing is written."""
    memory.keep_owned("output/", ["a"])
    memory.close()
    assert not memory.folder.exists()


def test_nothing_is_touched_before_it_is_used(memory: FileMemory, tmp_path: Path) -> None:
    """Making one and closing it touches no disk and starts no thread."""
    memory.close()
    assert list(tmp_path.iterdir()) == []


DYING = """
import os, sys
from collections.abc import Mapping
from edgekernel.sim import SimClock
from edgekernel.node.memory import FileMemory
from pathlib import Path

class Slow(Mapping):  # between two of its values time passes, as when another thread runs
    def __len__(self):
        return 2

    def __iter__(self):
        for key in "ac":
            yield key
            clock.advance(40)

    def __getitem__(self, key):
        return "new"

def dying(operation):
    def call(*arguments, **options):
        global counted
        counted += 1
        if counted > left:
            os._exit(9)  # as a power cut: nothing is cleaned up
        return operation(*arguments, **options)
    return call

for folder in sorted(Path(sys.argv[1]).iterdir()):
    child = os.fork()
    if child:
        print(folder.name, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        continue
    left, counted, clock = int(folder.name), 0, SimClock()
    memory = FileMemory(folder, clock)
    memory.get("a")
    for each in ("open", "write", "fdatasync", "fsync", "close", "replace"):
        setattr(os, each, dying(getattr(os, each)))
    memory.put("a", "new") if sys.argv[2] == "put" else memory.put_all(Slow())
    clock.advance(1)
    os._exit(0)
"""


@pytest.mark.parametrize("way", ["put", "put_all"])
def test_a_crash_between_any_two_operations(tmp_path: Path, clock: SimClock, way: str) -> None:
    """Wherever a write is cut off, the state before it or the new one is known, of several values
    that are one change for all of them, and the next write works."""
    folders = [tmp_path / f"{after:02}" for after in range(15)]
    for folder in folders:
        keep(folder, clock, a="oldest", c="oldest")
        keep(folder, clock, a="old", c="old")
    command = [sys.executable, "-c", DYING, str(tmp_path), way]
    done = subprocess.run(command, timeout=60, check=True, capture_output=True, text=True)
    died = [line.endswith(" 9") for line in done.stdout.splitlines()]
    assert died == [True] * 9 + [False] * 6  # one write has nine operations on files
    seen = []
    for folder in folders:
        value, told = known(folder, clock)
        seen.append(value)
        assert told == []
        if way == "put_all":
            assert known(folder, clock, "c")[0] == value
        keep(folder, clock, b="later")
        assert known(folder, clock)[0] == value
        assert known(folder, clock, "b")[0] == "later"
    assert seen == ["old"] * 6 + ["new"] * 9


def test_a_file_that_is_cut_off_anywhere(tmp_path: Path, clock: SimClock) -> None:
    """A newest file that lost its end is told, the one before it is used and not overwritten."""
    folder = tmp_path / "data"
    keep(folder, clock, a="old")
    keep(folder, clock, a="new")
    whole = (folder / "memory.json").read_bytes()
    for length in range(len(whole) - 1):  # the last byte is the end of the line
        (folder / "memory.json").write_bytes(whole[:length])
        value, told = known(folder, clock)
        assert value == "old"
        assert [type(each) for each in told] == [message.MemoryFailed]
    keep(folder, clock, b="later")
    assert decode((folder / "memory.old.json").read_bytes()) == {"a": "old"}
    assert known(folder, clock) == ("old", [])


PLAIN = st.one_of(
    st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, allow_infinity=False)
)


@given(values=st.dictionaries(st.text(), PLAIN), at=st.integers(0), flip=st.integers(1, 255))
def test_a_flipped_byte_is_found(values: dict[str, Plain], at: int, flip: int) -> None:
    """What is read is what was written, or the file counts as damaged."""
    data = bytearray(encode(values))
    assert decode(bytes(data)) == values
    data[at % len(data)] ^= flip
    with suppress(ValueError):
        assert decode(bytes(data)) == values


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_any_content(tmp_path: Path, clock: SimClock, content: bytes) -> None:
    """Whatever is in both files, the memory begins empty and says so."""
    for name in ("memory.json", "memory.old.json"):
        (tmp_path / name).write_bytes(content)
    value, told = known(tmp_path, clock)
    assert value is None
    assert "nothing is restored" in str(told[0])


def test_a_failing_disk_is_told_once(
    tmp_path: Path, clock: SimClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full is told once, tried again after each interval, and told when it works;
    what was put meanwhile is there."""
    memory, told = FileMemory(tmp_path, clock), list[Message]()
    memory.tell = told.append
    full = True
    write = os.write

    def limited(file: int, data: bytes) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(os, "write", limited)
    memory.put("a", 1)
    clock.advance(100)
    memory.put("a", 2)
    assert memory.get("a") == 2
    clock.advance(100)
    assert [type(each) for each in told] == [message.MemoryFailed]
    assert f"{tmp_path}: not written: [Errno 28] No space left on device" in str(told[0])
    full = False
    clock.advance(31)
    assert [type(each) for each in told] == [message.MemoryFailed, message.MemoryRecovered]
    assert known(tmp_path, clock)[0] == 2


def test_a_folder_that_cannot_be_made(tmp_path: Path, clock: SimClock) -> None:
    """A folder in whose place there is a file is told; the node goes on."""
    (tmp_path / "file").write_text("")
    memory, told = FileMemory(tmp_path / "file" / "data", clock), list[Message]()
    memory.tell = told.append
    memory.put("a", 1)
    memory.close()
    assert memory.get("a") == 1
    assert "not written" in str(told[-1])


def test_the_end_of_the_runtime_writes(tmp_path: Path, clock: SimClock) -> None:
    """A shutdown within the interval loses nothing."""
    memory = FileMemory(tmp_path, clock)
    with Runtime(clock=clock, memory=memory):
        memory.put("a", 1)
        clock.advance(1)
        memory.put("a", 2)
    assert known(tmp_path, clock)[0] == 2


def test_what_is_put_while_the_last_write_goes_on(
    tmp_path: Path, clock: SimClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow card does not make the end forget what came while it wrote."""
    memory = FileMemory(tmp_path, clock)
    monkeypatch.setattr(os, "fdatasync", lambda file: clock.sleep(0.4))
    memory.put("a", True)
    clock.advance(0.1)
    memory.put_all({"a": False, "end": "clean"})
    memory.close()
    assert known(tmp_path, clock)[0] is False
    assert known(tmp_path, clock, "end")[0] == "clean"


def test_a_thread_that_cannot_be_started(
    memory: FileMemory, clock: SimClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system has no thread left it is told, and the next change is written."""
    told: list[Message] = []
    memory.tell = told.append

    def refuse(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(type(clock.Thread(lambda: None, "x")), "start", refuse)
        memory.put("a", 1)
    assert "can't start new thread" in str(told)
    memory.put("b", 2)
    memory.close()
    assert known(memory.folder, clock)[0] == 1


def test_a_disk_that_hangs_does_not_keep_the_shutdown(
    tmp_path: Path, clock: SimClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P6: closing waits one second for the disk, not for ever."""
    memory = FileMemory(tmp_path, clock)
    monkeypatch.setattr(os, "fsync", lambda file: clock.sleep(1000))
    memory.put("a", 1)
    clock.advance(1)
    memory.close()
    assert clock.monotonic() == 2.0

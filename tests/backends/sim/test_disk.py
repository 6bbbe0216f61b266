"""The simulated disk: it can be full and slow, and keeps through a power cut what was synced."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from edgekernel.backends.sim import SimDisk
from edgekernel.core.errors import BusyError
from edgekernel.hal.disk import Disk
from edgekernel.sim import SimClock

FOLDER = Path("/var/lib/edgekernel")
FILE = FOLDER / "state"


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as made:
        yield made


@pytest.fixture
def disk(clock: SimClock) -> Iterator[SimDisk]:
    """A disk with one empty folder, whose name is safe."""
    made = SimDisk(clock)
    made.make_folder(FOLDER)
    yield made
    made.close()


def put(disk: Disk, data: bytes, path: Path = FILE, *, sync: bool = True) -> None:
    """Write a file anew."""
    file = disk.create(path, anew=True)
    file.write(data)
    if sync:
        file.sync()
    file.close()


def content(disk: SimDisk, path: Path = FILE) -> bytes | None:
    """Return what a file holds; None if there is none."""
    place = disk.place(path)
    return place.read_bytes() if place.exists() else None


def test_nothing_of_the_machine_is_touched(disk: SimDisk, tmp_path: Path) -> None:
    """Paths of the node are elsewhere on this machine, and gone at the end, but for what is
    mounted."""
    disk.mount(tmp_path)
    put(disk, b"kept", tmp_path / "file")
    put(disk, b"lost")
    place = disk.place(FILE)
    assert place.read_bytes() == b"lost"
    assert not FOLDER.exists()
    disk.close()
    assert not place.exists()
    assert (tmp_path / "file").read_bytes() == b"kept"


def test_full(disk: SimDisk) -> None:
    """While it is full writes are refused with ENOSPC and the path of the node; what is there can
    be read and synced."""
    file = disk.create(FILE)
    file.write(b"one")
    disk.full = True
    with pytest.raises(OSError, match="No space left on device: '/var/lib/edgekernel/state'") as it:
        file.write(b"two")
    assert it.value.errno == errno.ENOSPC
    file.sync()
    disk.full = False
    file.write(b"three")
    assert content(disk) == b"onethree"


def test_slow(disk: SimDisk, clock: SimClock) -> None:
    """A sync takes as long as it is told, a write takes no time."""
    disk.slow_s = 2.5
    file = disk.create(FILE)
    file.write(b"x")
    assert clock.monotonic() == 0
    file.sync()
    disk.sync_folder(FOLDER)
    assert clock.monotonic() == 5


def test_power_cut_loses_the_end(disk: SimDisk) -> None:
    """What was synced is there after a power cut, and of the rest what chance leaves."""
    seen = set()
    for seed in range(30):
        path = FOLDER / str(seed)
        file = disk.create(path)
        disk.sync_folder(FOLDER)
        file.write(b"safe")
        file.sync()
        file.write(b"unsafe")
        disk.power_lost(Random(seed))
        left = content(disk, path) or b""
        assert b"safeunsafe".startswith(left)
        assert len(left) >= 4
        seen.add(len(left))
    assert min(seen) == 4
    assert len(seen) > 3


def test_power_cut_loses_names(disk: SimDisk) -> None:
    """A file whose folder was not synced is not there after a power cut; a second cut changes
    nothing."""
    put(disk, b"first", FOLDER / "first")
    disk.sync_folder(FOLDER)
    put(disk, b"second", FOLDER / "second")
    for _ in range(2):
        disk.power_lost(Random(0))
        assert content(disk, FOLDER / "first") == b"first"
        assert content(disk, FOLDER / "second") is None


def test_power_cut_undoes_a_replacement(disk: SimDisk) -> None:
    """Until the folder is synced a file that was replaced is the old one after a power cut; from
    then on it is the new one."""
    new = FOLDER / "new"
    put(disk, b"old")
    disk.sync_folder(FOLDER)
    put(disk, b"new", new)
    disk.replace(new, FILE)
    assert content(disk) == b"new"
    disk.power_lost(Random(0))
    assert content(disk) == b"old"
    assert content(disk, new) is None
    put(disk, b"new", new)
    disk.replace(new, FILE)
    disk.sync_folder(FOLDER)
    disk.power_lost(Random(0))
    assert content(disk) == b"new"


def test_replacement_that_was_not_synced(disk: SimDisk) -> None:
    """A name that survives does not make its content survive: the file is then cut off."""
    put(disk, b"old")
    disk.sync_folder(FOLDER)
    put(disk, b"newest", FOLDER / "new", sync=False)
    disk.replace(FOLDER / "new", FILE)
    disk.sync_folder(FOLDER)
    disk.power_lost(Random(1))
    assert content(disk) in {b"newest"[:n] for n in range(6)}


def test_end_of_the_agent(disk: SimDisk) -> None:
    """When the agent ends what it had is closed and free for the next one, and nothing is lost."""
    disk.take_folder(FOLDER)
    with pytest.raises(BusyError, match="another agent writes there"):
        disk.take_folder(FOLDER)
    file = disk.create(FILE)
    file.write(b"written")
    disk.agent_ended()
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.write(b"more")
    assert content(disk) == b"written"
    disk.take_folder(FOLDER).close()


def test_cut_off_and_removed(disk: SimDisk) -> None:
    """A file that is cut off keeps what is before that, and one that is removed stays removed."""
    disk.sync_folder(FOLDER)
    file = disk.create(FILE)
    disk.sync_folder(FOLDER)
    file.write(b"abcdef")
    file.sync()
    file.truncate(3)
    disk.power_lost(Random(0))
    assert content(disk) == b"abc"
    disk.remove(FILE)
    disk.remove(FILE)
    disk.power_lost(Random(0))
    assert content(disk) is None

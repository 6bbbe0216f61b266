"""The data partition takes the rest of the card, whenever the power goes; nothing else moves."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.platform.data_partition import (
    SECTOR,
    TableError,
    grow_partition,
    grown_table,
    place_of,
)

MIB = 2**20 // SECTOR
# genimage.cfg: type, begin and size in sectors.
IMAGE = [(0x0C, 4, 128), (0x83, 132, 768), (0x83, 900, 768), (0x83, 1668, 256)]
END = 1924 * MIB


def table(*entries: tuple[int, int, int], code: bytes = b"\xfa" * 440) -> bytes:
    """Return a partition table with entries in MiB."""
    made = code + struct.pack("<IH", 0xEDCE2026, 0)
    for kind, begin, size in entries:
        made += struct.pack("<B3sB3sII", 0, b"\1\2\3", kind, b"\4\5\6", begin * MIB, size * MIB)
    return made + bytes(SECTOR - 2 - len(made)) + b"\x55\xaa"


@given(st.integers(END + 4 * MIB, 2**34))
def test_only_its_size_changes(sectors: int) -> None:
    """On any card that is larger the partition begins where it did and ends within 4 MiB of the
    card's end, or where the table can say no more; the rest of the table is as it was."""
    before = table(*IMAGE)
    after = grown_table(before, 4, sectors)
    assert after is not None
    changed = {at for at in range(SECTOR) if before[at] != after[at]}
    entry = 446 + 3 * 16
    assert changed <= {*range(entry + 5, entry + 8), *range(entry + 12, entry + 16)}
    begin, size = struct.unpack("<II", after[entry + 8 : entry + 16])
    end = min(sectors, 2**32 - 1)
    assert end - 4 * MIB < begin + size <= end
    assert grown_table(after, 4, sectors) is None


@given(st.integers(0, END + 4 * MIB - 1))
def test_nothing_to_gain(sectors: int) -> None:
    """On a card that is no larger, or has been grown on, nothing is done; nor is one shrunk."""
    assert grown_table(table(*IMAGE), 4, sectors) is None


@pytest.mark.parametrize(
    ("before", "number", "told"),
    [
        (bytes(SECTOR), 4, "no partition table"),
        (table(*IMAGE)[:-2], 4, "no partition table"),
        (table((0xEE, 0, 4000)), 1, "it is a GPT|is a GPT"),
        (table(*IMAGE), 3, "partition 3 is not the last one"),
        (table(*IMAGE[:3]), 4, "there is no partition 4"),
    ],
)
def test_refused(before: bytes, number: int, told: str) -> None:
    """A table that is none, or another kind, or has something behind the partition, is left."""
    with pytest.raises(TableError, match=told):
        grown_table(before, number, 100_000 * MIB)


def card(folder: Path) -> Path:
    """Return a card of 32 GB with the image on it: the slots have content."""
    made = folder / "card"
    made.write_bytes(table(*IMAGE) + b"\xaa" * 8192)
    os.truncate(made, 32 * 10**9)
    return made


def test_once(tmp_path: Path) -> None:
    """A card is grown once, and what is behind its first sector is not written."""
    made = card(tmp_path)
    assert (grow_partition(made, 4), grow_partition(made, 4)) == (True, False)
    with made.open("rb") as file:
        assert file.read(SECTOR) == grown_table(table(*IMAGE), 4, 32 * 10**9 // SECTOR)
        assert file.read(8192) == b"\xaa" * 8192


@pytest.mark.parametrize("name", ["pwrite", "fsync"])
def test_power_cut(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power may go before and after the one write: the table is the old or the new one, and
    the next start grows it."""
    made = card(tmp_path)

    class PowerCut(BaseException):
        pass

    def cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(os, name, cut)
        with pytest.raises(PowerCut):
            grow_partition(made, 4)
    old = table(*IMAGE)
    new = grown_table(old, 4, 32 * 10**9 // SECTOR)
    with made.open("rb") as file:
        assert file.read(SECTOR) == (old if name == "pwrite" else new)
    grow_partition(made, 4)
    with made.open("rb") as file:
        assert file.read(SECTOR) == new


def test_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is one write of one sector: there is no state between the old and the new one."""
    writes: list[tuple[int, int]] = []
    write = os.pwrite

    def counted(descriptor: int, data: bytes, offset: int) -> int:
        writes.append((len(data), offset))
        return write(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", counted)
    grow_partition(card(tmp_path), 4)
    assert writes == [(SECTOR, 0)]


@pytest.mark.parametrize(("disk", "part"), [("mmcblk0", "mmcblk0p4"), ("sda", "sda4")])
def test_place(tmp_path: Path, disk: str, part: str) -> None:
    """A partition's disk and number are found as the kernel shows them, by any name of it."""
    (tmp_path / "dev").mkdir()
    node = tmp_path / "dev" / part
    node.touch()
    (tmp_path / "by-partuuid").symlink_to(node)
    folder = tmp_path / "devices" / disk / part
    folder.mkdir(parents=True)
    (folder / "partition").write_text("4\n")
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / part).symlink_to(folder)
    found = place_of(tmp_path / "by-partuuid", tmp_path / "class")
    assert found == (tmp_path / "dev" / disk, 4)

"""1-Wire of Linux, on a folder tree like that of sysfs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import BrokenError, ClosedError, InvalidValueError, NackError
from edgekernel.hal import OneWireBus
from edgekernel.hal.address import OneWireAddress

ROM = "28-0316a2795bff"
GOOD = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The devices of a bus with one chip on it."""
    (tmp_path / "w1_bus_master1").mkdir()
    chip = tmp_path / ROM
    chip.mkdir()
    (chip / "w1_slave").write_text(GOOD)
    return tmp_path


@pytest.fixture
def backend() -> Iterator[LinuxBackend]:
    """A LinuxBackend."""
    made = LinuxBackend(SystemClock())
    yield made
    made.close()


@pytest.fixture
def bus(backend: LinuxBackend, folder: Path) -> OneWireBus:
    """That bus, open."""
    made = backend.onewire_bus(OneWireAddress("w1", str(folder)))
    made.open()
    return made


def test_measure(bus: OneWireBus) -> None:
    """The nine bytes of the scratchpad are those of the first line."""
    assert bus.measure(ROM) == bytes.fromhex("72014b467fff0e1057")


def test_wrong_crc_is_handed_on(bus: OneWireBus, folder: Path) -> None:
    """Whether the kernel finds the CRC right makes no difference: it shows what it has read."""
    text = GOOD.replace("72 01", "ff 01", 1).replace("crc=57 YES", "crc=11 NO")
    (folder / ROM / "w1_slave").write_text(text)
    assert bus.measure(ROM) == bytes.fromhex("ff014b467fff0e1057")


def test_search(bus: OneWireBus, folder: Path) -> None:
    """Chips are found by their ROM codes, sorted; masters and phantoms are none."""
    for name in ("w1_bus_master2", "00-400000000000", "3b-0000001921e8", "28-00000521f8aa"):
        (folder / name).mkdir()
    assert bus.search() == ("28-00000521f8aa", ROM, "3b-0000001921e8")


def test_no_answer(bus: OneWireBus, folder: Path) -> None:
    """A chip that has gone, or whose file is empty, does not answer; the others are named."""
    with pytest.raises(NackError, match=rf"w1 \(.*\), 28-00000521f8aa: .*found on the bus: {ROM}"):
        bus.measure("28-00000521f8aa")
    (folder / ROM / "w1_slave").write_text("")
    with pytest.raises(NackError, match=f"{ROM}: the chip does not answer"):
        bus.measure(ROM)


@pytest.mark.parametrize("text", ["72 01 4b\n", "no such thing\n", "72014b467fff0e1057\n"])
def test_unreadable(bus: OneWireBus, folder: Path, text: str) -> None:
    """A file without nine bytes is broken, and shown."""
    (folder / ROM / "w1_slave").write_text(text)
    with pytest.raises(BrokenError, match=f"{ROM}: w1_slave begins with no nine bytes"):
        bus.measure(ROM)


def test_no_driver(bus: OneWireBus, folder: Path) -> None:
    """A chip without the kernel's driver for it names the module that is missing."""
    (folder / ROM / "w1_slave").unlink()
    with pytest.raises(BrokenError, match="w1-therm"):
        bus.measure(ROM)


def test_not_enabled(backend: LinuxBackend, tmp_path: Path) -> None:
    """Without a bus master the error says how to enable one, also where there is no folder."""
    for folder in (tmp_path, tmp_path / "none"):
        bus = backend.onewire_bus(OneWireAddress(folder.name, str(folder)))
        with pytest.raises(BrokenError, match=r"dtoverlay=w1-gpio"):
            bus.open()


@pytest.mark.parametrize("rom", ["", "28", "../../etc/passwd", "28-0316A2795BFF", ROM + "\n"])
def test_no_rom(bus: OneWireBus, rom: str) -> None:
    """What is no ROM code is refused before a file is touched."""
    with pytest.raises(InvalidValueError, match="no ROM code"):
        bus.measure(rom)


def test_shared(backend: LinuxBackend, bus: OneWireBus, folder: Path) -> None:
    """Every device has the same bus; it is closed by its last user, or for all."""
    again = backend.onewire_bus(OneWireAddress("w1", str(folder)))
    assert again is bus
    again.open()
    bus.close()
    bus.measure(ROM)
    backend.close()
    for attempt in (lambda: bus.measure(ROM), bus.search):
        with pytest.raises(ClosedError, match="w1: not open"):
            attempt()
    bus.close()

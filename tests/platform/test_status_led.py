"""The status LED says how it went, on a class folder that behaves as the kernel's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekernel.platform.status_led import show_led

WRITE = Path.write_text


class FakeLed:
    """An LED of /sys/class/leds (the kernel's drivers/leds/led-triggers.c): it takes the triggers
    that are loaded, tells the one that is set in brackets, and `timer` brings files with it."""

    def __init__(self, folder: Path, *loaded: str) -> None:
        self.folder = folder
        self.loaded = ("none", *loaded)
        folder.mkdir(parents=True)
        self.set("none")

    def set(self, name: str) -> None:
        """Set a trigger."""
        WRITE(self.folder / "trigger", self.shown(name))
        for each in ("delay_on", "delay_off"):
            (self.folder / each).unlink(missing_ok=True)
            if name == "timer":
                WRITE(self.folder / each, "500\n")

    def shown(self, name: str) -> str:
        """Return what the file says of it."""
        return " ".join(f"[{each}]" if each == name else each for each in self.loaded) + "\n"

    def write(self, path: Path, text: str) -> int:
        """Write to one of its files."""
        if path.name != "trigger":
            if not path.exists():
                raise PermissionError(13, "Permission denied")
            return WRITE(path, f"{int(text)}\n")
        if text not in self.loaded:
            raise OSError(22, "Invalid argument")
        self.set(text)
        return len(text)

    def read(self, name: str) -> str:
        """Return what one of its files says."""
        return (self.folder / name).read_text()


Make = Callable[..., FakeLed]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Give what makes an LED of the class folder: its name, and the triggers that are loaded."""
    found: dict[Path, FakeLed] = {}

    def made(name: str, *loaded: str) -> FakeLed:
        return found.setdefault(tmp_path / name, FakeLed(tmp_path / name, *loaded))

    monkeypatch.setattr(Path, "write_text", lambda path, text: found[path.parent].write(path, text))
    return made


def test_it_beats(tmp_path: Path, make: Make) -> None:
    """All is well: a heartbeat, on the green LED and no other one."""
    green, red = make("ACT", "heartbeat", "timer"), make("PWR", "heartbeat")
    assert show_led(good=True, leds=tmp_path) == ""
    assert green.read("trigger") == green.shown("heartbeat")
    assert red.read("trigger") == red.shown("none")


def test_it_blinks_fast(tmp_path: Path, make: Make) -> None:
    """Something is wrong: five times a second, which nobody takes for a heartbeat; and back."""
    green = make("ACT", "heartbeat", "timer")
    assert show_led(good=False, leds=tmp_path) == ""
    assert green.read("trigger") == green.shown("timer")
    assert [green.read(name) for name in ("delay_on", "delay_off")] == ["100\n", "100\n"]
    assert show_led(good=True, leds=tmp_path) == ""
    assert green.read("trigger") == green.shown("heartbeat")


def test_the_only_one(tmp_path: Path, make: Make) -> None:
    """A Pi 400 has no green one: what it has is taken."""
    only = make("PWR", "heartbeat")
    make("mmc0::", "heartbeat")
    assert show_led(good=True, leds=tmp_path) == ""
    assert only.read("trigger") == only.shown("heartbeat")


def test_a_trigger_that_is_not_loaded(tmp_path: Path, make: Make) -> None:
    """Without the module of a trigger it is told which one, and of which LED."""
    make("ACT", "heartbeat")
    assert show_led(good=False, leds=tmp_path).startswith(
        "the LED ACT does not show it: timer: [Errno 22]"
    )


def test_a_trigger_that_was_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the LED says itself counts, not that writing it did no harm."""
    FakeLed(tmp_path / "ACT", "heartbeat")
    monkeypatch.setattr(Path, "write_text", lambda path, text: len(text))
    assert show_led(good=True, leds=tmp_path) == (
        "the LED ACT does not show it: heartbeat was not taken"
    )


def test_no_led(tmp_path: Path) -> None:
    """A board without one is fine."""
    assert show_led(good=False, leds=tmp_path / "none") == ""


def test_the_image_loads_what_it_needs() -> None:
    """The trigger and the driver of the LED are modules in Debian's kernel, and nothing else loads
    the trigger."""
    images = Path(__file__).parents[2] / "images"
    loaded = (images / "rootfs/etc/modules-load.d/edgekernel.conf").read_text().split()
    assert {"leds-gpio", "ledtrig-timer"} <= set(loaded)

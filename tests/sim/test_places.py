"""Places: what worlds see of outputs, and how they set what chips measure."""

from __future__ import annotations

from typing import Any

import pytest

from edgekernel.core.errors import InvalidValueError, UnknownTargetError
from edgekernel.sim.places import Actuator, Sensor, check_text, reader, writer


class Chip:
    """A chip with quantities of every type."""

    def __init__(self) -> None:
        self.volts = 1.5
        self.count = 3
        self.fix = True
        self.line = ""
        self.table: dict[int, int] = {}
        self._hidden = 1.0

    def share(self, channel: int) -> float:
        """Return the share of a channel."""
        return channel / 10


@pytest.fixture
def chip() -> Chip:
    """A chip."""
    return Chip()


@pytest.mark.parametrize(
    ("path", "value"), [("volts", 1.5), ("count", 3), ("fix", 1), ("table.7", 0), ("share.4", 0.4)]
)
def test_reader(chip: Chip, path: str, value: float) -> None:
    """Numbers, entries of tables and channels are read as numbers; what was never set is 0."""
    assert reader("chip", chip, path)() == value


@pytest.mark.parametrize("path", ["volt", "_hidden", "line", "table", "share", "volts.1", "read.x"])
def test_no_quantity(chip: Chip, path: str) -> None:
    """What is no number is refused, with what there is."""
    with pytest.raises(UnknownTargetError, match=f"chip has no quantity '{path}'"):
        reader("chip", chip, path)


@pytest.mark.parametrize(
    ("path", "text", "shown"),
    [
        ("volts", "{}", 4.25), ("count", "{}", 4), ("fix", "{}", True), ("table.2", "{}", 4),
        ("line", "T={:.1f}", "T=4.2"),
    ],
)  # fmt: skip
def test_sensor(chip: Chip, path: str, text: str, shown: object) -> None:
    """A value is shown with gain and offset, in the type that the chip has."""
    put, kind = writer("chip", chip, path)
    Sensor(path, put, kind, 2.0, 0.25, text).show(2.0)
    name, _, index = path.partition(".")
    found: Any = getattr(chip, name)
    found = found[int(index)] if index else found
    assert (found, type(found)) == (shown, type(shown))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_cannot_be(chip: Chip, value: float) -> None:
    """What is no number is refused by name where the world shows it, not by the chip later on."""
    with pytest.raises(InvalidValueError, match=r"room\.volts: (nan|inf) is nothing that can be"):
        Sensor("room.volts", *writer("chip", chip, "volts")).show(value)
    assert chip.volts == 1.5


def test_quantity_is_to_be_named(chip: Chip) -> None:
    """A chip alone is no place: the text says what quantities it has."""
    with pytest.raises(UnknownTargetError, match=r"chip: name a quantity of it; there are: count"):
        writer("chip", chip, "")


def test_actuator() -> None:
    """A share stays between -1 and 1, and where it is stuck."""
    actuator = Actuator("drive", lambda: 700.0, 0.001, -0.2)
    assert actuator.share == pytest.approx(0.5)
    assert actuator.on
    assert Actuator("drive", lambda: -3.0).share == -1
    actuator.stuck = 0.0
    assert (actuator.share, actuator.on) == (0, False)


@pytest.mark.parametrize("text", ["{", "{:q}", "{name}", "{0.real.nothing}"])
def test_text(text: str) -> None:
    """A text in which no number can be written is refused."""
    with pytest.raises(InvalidValueError, match="no number can be written so"):
        check_text(text)

"""The picture of a run: everything in its place in time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Message, Runtime, Severity
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from edgekernel.sim.faults import Fault, Nack, StuckLine
from edgekernel.sim.record import Recorder, draw
from edgekernel.sim.record import recorder as recorder_module
from tests.sim.faults.conftest import NODE

LEFT, PLOT, SPAN_S = 190, 900, 300.0
"""Where time begins and how wide it is, in pixels."""


@pytest.fixture
def picture(tmp_path: Path) -> Iterator[ET.Element]:
    """The picture of five minutes with two faults."""
    path = tmp_path / "node.toml"
    path.write_text(NODE)
    faults = [
        Fault(Nack(), device="room", at_s=60, for_s=120),
        Fault(StuckLine("low"), device="door", at_s=100, every_s=60, for_s=20, times=3),
    ]
    with SimClock() as clock:
        runtime, _ = assemble_simulated(make_plan(path), clock, Runtime, faults=faults)
        recorder = Recorder(runtime, SPAN_S)
        runtime.register(recorder)
        with runtime:
            clock.advance(30)
            heater: Any = runtime.devices["heater"]
            heater.power.set(True)
            clock.advance(SPAN_S - 30)
        yield ET.fromstring(draw(recorder, "<bench> & more", "5 min"))


def rects(picture: ET.Element, title: str) -> list[tuple[float, float]]:
    """Return begin and end, in seconds, of the rectangles whose title begins with words."""
    found = []
    for rect in picture.iter("{http://www.w3.org/2000/svg}rect"):
        words = rect.findtext("{http://www.w3.org/2000/svg}title") or ""
        if words.startswith(title):
            x, width = float(rect.attrib["x"]), float(rect.attrib["width"])
            found.append(tuple(round((at - LEFT) / PLOT * SPAN_S, 1) for at in (x, x + width)))
    return found  # type: ignore[return-value]


def test_faults(picture: ET.Element) -> None:
    """Each fault stands where it began, as long as it lasted, one row for each of the plan."""
    assert rects(picture, "nack device room") == [(60, 180)]
    assert rects(picture, "stuck device door") == [(100, 120), (160, 180), (220, 240)]


def test_quality(picture: ET.Element) -> None:
    """A reading is marked while it was BAD: from the first failed poll to the next good one."""
    (_, (begun_s, ended_s)) = rects(picture, "room.temperature bad")
    assert 60 <= begun_s < 61.1
    assert 180 <= ended_s < 250


def test_words(picture: ET.Element) -> None:
    """Title, signals, faults, times and warnings are written, as they are called."""
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "<bench> & more"
    expected = {
        "heater.power", "room.temperature", "door.pressed", "nack room", "stuck door",
        "00:01:00", "device.offline",
    }  # fmt: skip
    assert expected <= set(texts)


class Measured(Message):
    """A value that is worth a warning."""

    severity = Severity.WARNING
    said: str


def test_alike_events_are_one_line() -> None:
    """Events that differ in numbers only stand in one line, with the first and how many they are;
    others in their own."""
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        recorder = Recorder(runtime, 60)
        runtime.register(recorder)
        with runtime:
            for index in range(20):
                runtime.emit(Measured(f"{index}.5 °C at 00:{index:02}"))
            runtime.emit(Measured("no °C"))
        drawn = ET.fromstring(draw(recorder, "bench"))
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "said=0.5 °C at 00:00  (20 times)" in texts
    assert "said=no °C" in texts
    assert texts.count("measured") == 2


def test_what_is_not_drawn_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many notable events the first are drawn, and how many there were is said."""
    monkeypatch.setattr(recorder_module, "_MOST_EVENTS", 3)
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        recorder = Recorder(runtime, 60)
        runtime.register(recorder)
        with runtime:
            for index in range(5):
                runtime.emit(Measured(str(index)))
    assert "first 3 of 5 events" in draw(recorder, "bench")


def test_fits(picture: ET.Element) -> None:
    """Nothing stands outside of the picture."""
    width, height = float(picture.attrib["width"]), float(picture.attrib["height"])
    for each in picture:
        if "x" in each.attrib and "y" in each.attrib:
            assert 0 <= float(each.attrib["x"]) <= width
            assert 0 <= float(each.attrib["y"]) <= height

"""Replay: the same application does the same, another one differs where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel import Runtime
from edgekernel.core.clock import Clock
from edgekernel.journal import Limits, SegmentSource
from edgekernel.journal.folder import segment_files
from edgekernel.journal.records import CommandRecord
from edgekernel.journal.replay import Difference, Wanted
from edgekernel.sim import Bench, SimClock
from edgekernel.sim.faults import Fault, Nack, Stuck, Unplug
from tests.journal.replay.recorded import APP, NODE, played, record, recorded, write_shed

ROOT = Path(__file__).parents[3]
GREENHOUSE = ROOT / "examples/greenhouse/node.toml"


def said(differences: list[Difference]) -> list[tuple[float, str, str, str]]:
    """Return differences, their times in seconds since the boot of a simulation."""
    return [(d.monotonic_ns // 10**6 / 1000, d.stream, d.then, d.now) for d in differences]


def test_same_application(shed: Path, journal: Path) -> None:
    """The application that was recorded does what it did: nothing differs, its bug included."""
    result = played(journal, shed)
    assert said(result.differences) == []
    assert result.notes == []
    assert result.agree > 40
    assert [e.payload["error"] for e in result.events() if e.name == "process.error"] == [
        "ZeroDivisionError: division by zero"
    ]


@pytest.mark.parametrize("seed", [None, 5])
def test_greenhouse(folder: Path, seed: int | None) -> None:
    """Three hours of the greenhouse, with a hand and requests, are the same when replayed."""

    def day(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        for target in (20, 24, 19):
            clock.sleep(3600)
            bench.press("airing")
            runtime.invoke("climate.set_target", {"celsius": target}, "tester")

    record(GREENHOUSE, folder, day, seed=seed)
    result = played(folder, GREENHOUSE)
    assert said(result.differences) == []
    assert result.agree > 1500
    asked = [each for each in result.records if isinstance(each, CommandRecord)]
    assert [each.args for each in asked] == [{"celsius": 20}, {"celsius": 24}, {"celsius": 19}]


def test_faults(folder: Path) -> None:
    """What a bus or port failed with it fails with again, and comes back when it came back."""
    plan = (
        Fault(Nack(), device="room", at_s=600, for_s=300),
        Fault(Stuck(), bus="i2c1", at_s=1200, for_s=300),
        Fault(Unplug(), device="position", at_s=1800, for_s=300),
    )
    record(GREENHOUSE, folder, lambda runtime, bench, clock: clock.sleep(2400), faults=plan)
    result = played(folder, GREENHOUSE)
    assert said(result.differences) == []
    offline = [e.source for e in result.events() if e.name == "device.offline"]
    assert {"room", "i2c1", "position"} <= set(offline)


def test_other_threshold(shed: Path, journal: Path) -> None:
    """Another threshold differs in when the fan is switched, and in nothing else."""
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 28"))
    result = played(journal, shed)
    assert said(result.differences) == [
        (1.522, "fan (GPIO17)", "line high", ""),
        (1.522, "fan.power", "set to on", ""),
        (2.522, "fan (GPIO17)", "", "line high"),
        (2.522, "fan.power", "", "set to on"),
    ]


def test_mended_application(shed: Path, journal: Path) -> None:
    """Without the bug there is the message that should have come, instead of the error."""
    write_shed(shed.parent, APP.replace("(1 - self.presses)", "(1 + self.presses)"))
    found = [d[1:] for d in said(played(journal, shed).differences)]
    assert found[0] == ("message of airing", "", "aired share=0.5")
    assert found[1][1].startswith("process.error process=airing")
    assert found[1][2] == ""
    assert len(found) == 2


def test_more_often(shed: Path, journal: Path) -> None:
    """Who polls more often than then is given the latest answers once more, not unknown ones."""
    write_shed(shed.parent, node=NODE.replace('"500ms"', '"100ms"'))
    result = played(journal, shed, Wanted(tolerance_s=0.05))
    assert result.repeated > 10
    assert not [d for d in result.differences if "never recorded" in d.now]
    switched = [d for d in said(result.differences) if d[1] == "fan.power"]
    assert switched == []


def test_never_asked(shed: Path, journal: Path) -> None:
    """What nobody asked then is a difference that names device, bus and bytes, once."""
    address = NODE.replace('bus = "i2c1"\n', 'bus = "i2c1"\naddress = 0x77\n')
    write_shed(shed.parent, node=address)
    result = played(journal, shed)
    told = "never recorded, so there is no answer"
    unknown = [d for d in result.differences if d.stream != "boot" and d.now.endswith(told)]
    assert (unknown[0].stream, unknown[0].now) == (
        "room (i2c1 0x77)",
        "write_read(119, [d0], 1): never recorded, so there is no answer",
    )
    assert len({d.now for d in unknown}) == len(unknown)


def test_requests(shed: Path, folder: Path) -> None:
    """Requests from outside are made again with their principal; those of parts and those that
    were refused are not; one with a secret cannot be, which is told."""

    def ask(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(1)
        runtime.invoke("airing.air", {"share": 0.25}, "mqtt:anonymous")
        runtime.invoke("airing.sign_in", {"password": "open sesame"}, "mqtt:anonymous")
        with pytest.raises(ValueError, match="share"):
            runtime.invoke("airing.air", {"share": "much"}, "mqtt:anonymous")
        clock.sleep(1)

    record(shed, folder, ask)
    result = played(folder, shed)
    again = [each for each in result.records if isinstance(each, CommandRecord)]
    assert [(a.command, a.principal) for a in again] == [("airing.air", "mqtt:anonymous")]
    (note,) = result.notes
    assert note == (
        "the request #2 airing.sign_in of mqtt:anonymous was not given again: arguments that the "
        "journal hides or has no form for"
    )
    assert [d[1:] for d in said(result.differences) if d[1] == "message of airing"] == [
        ("message of airing", "aired share=0.5", "")
    ]


def test_a_command_that_fails(shed: Path, folder: Path) -> None:
    """A command that has failed fails again, in the same way."""
    write_shed(shed.parent, APP.replace("return share", "return 1 / 0"))

    def ask(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(1)
        with pytest.raises(ZeroDivisionError):
            runtime.invoke("airing.air", {"share": 0.25}, "tester")
        clock.sleep(1)

    record(shed, folder, ask)
    result = played(folder, shed)
    assert said(result.differences) == []
    (done,) = [e for e in result.events() if e.name == "command.done"]
    assert (done.payload["ok"], done.payload["principal"]) == (False, "tester")


def test_wall_time(shed: Path, folder: Path) -> None:
    """Steps of the wall time come again, and both times are those of the record."""

    def step(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        assert isinstance(clock, SimClock)
        clock.sleep(1)
        clock.step_wall(3600)
        clock.sleep(3)

    record(shed, folder, step)
    result = played(folder, shed)
    assert said(result.differences) == []
    then = [(e.name, e.monotonic_ns, e.time_ns) for e in recorded(folder).events()]
    now = {(e.name, e.monotonic_ns, e.time_ns) for e in result.events()}
    assert {each for each in then if each[0] == "alive"} <= now


def test_uptime(shed: Path, folder: Path) -> None:
    """A run that has begun within simulated time, as after a power cut, has its uptime again."""
    record(shed, folder, uptime_s=3600)
    assert said(played(folder, shed).differences) == []
    (first, *_) = [e for e in recorded(folder).events() if e.name == "alive"]
    assert first.payload["uptime_s"] >= 3600


def test_span(shed: Path, journal: Path) -> None:
    """Only what is between two times is compared, of a run that is played from its beginning."""
    write_shed(shed.parent, APP.replace("celsius > 24", "celsius > 28"))
    begin = recorded(journal).boot.monotonic_ns
    late = played(journal, shed, Wanted(from_ns=begin + 2 * 10**9))
    assert [d[0] for d in said(late.differences)] == [2.522, 2.522]
    early = played(journal, shed, Wanted(to_ns=begin + 1 * 10**9))
    assert said(early.differences) == []
    assert max(each.monotonic_ns for each in early.records) < begin + 2 * 10**9


def test_damage(folder: Path) -> None:
    """A damaged block costs its records: the rest is replayed, the hole is told, and what is done
    within it is no difference, but for what follows from it right after it."""
    record(GREENHOUSE, folder, lambda runtime, bench, clock: clock.sleep(3600))
    (path,) = segment_files(folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    result = played(folder, GREENHOUSE)
    (lost,) = result.recording.holes
    for difference in result.differences:
        assert lost.end_ns <= difference.monotonic_ns < lost.end_ns + 300 * 10**9
    assert result.agree > 500
    hole, opaque = result.notes
    assert hole.endswith("damaged or removed")
    assert opaque == "1 entries cannot be understood and are passed over"


def test_lost_beginning(folder: Path) -> None:
    """A journal whose oldest segments have gone is replayed from the oldest record, with what the
    chips answered at the boot, and says so."""
    limits = Limits(max_bytes=1_000_000, max_segments=4)
    record(GREENHOUSE, folder, lambda r, b, clock: clock.sleep(36_000), limits=limits)
    assert segment_files(folder)[0].name != "00000001.ekj"
    result = played(folder, GREENHOUSE)
    assert result.notes[0].startswith("the beginning of this run has gone")
    assert not [d for d in result.differences if "never recorded" in d.now]
    # What the application knew from before is lost: it may take some switching to agree again.
    late = [
        d for d in result.differences if d.monotonic_ns > result.recording.end_ns - 3600 * 10**9
    ]
    assert late == []
    assert result.agree > 500
    assert len(list(SegmentSource(folder))) > 1000


def test_killed(shed: Path, folder: Path) -> None:
    """A journal that ends without a shutdown is replayed to its end, and no further."""

    def cut_off(runtime: Runtime, bench: Bench, clock: Clock) -> None:
        clock.sleep(3)
        part = runtime.interfaces["journal"]
        part.close()  # type: ignore[attr-defined]  # nothing is recorded after this

    record(shed, folder, cut_off)
    assert recorded(folder).event("runtime.shutdown") is None
    assert said(played(folder, shed).differences) == []


def test_does_not_boot(shed: Path, journal: Path) -> None:
    """An application that does not boot any more is a difference that says why."""
    write_shed(
        shed.parent,
        APP.replace(
            "    def __init__", "    def start(self, ctx):\n        1 / 0\n\n    def __init__"
        ),
    )
    result = played(journal, shed)
    boot = next(d for d in result.differences if d.stream == "boot")
    assert boot.then == "booted"
    assert "division by zero" in boot.now
    assert len(result.differences) < 20  # what came after the boot is not compared

"""Journal: a runtime with everything that it does, recorded; and it does not notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from edgekernel_devices.button import Button
from edgekernel_devices.relay import Relay

from edgekernel import Event, Message, Process, Runtime, Service, Severity, command, on
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import ConfigError, RefusedError
from edgekernel.core.masking import SECRET
from edgekernel.core.messages import find
from edgekernel.core.output import Output
from edgekernel.hal.address import LineAddress
from edgekernel.journal import (
    DatabaseSink,
    DatabaseSource,
    Journal,
    JournalSink,
    JournalSource,
    LinesSink,
    LinesSource,
    SegmentSink,
    SegmentSource,
)
from edgekernel.journal.part import EVERYTHING
from edgekernel.journal.records import (
    BootRecord,
    BusRecord,
    CommandRecord,
    EdgeRecord,
    EventRecord,
    OpaqueRecord,
    OutcomeRecord,
    OutputRecord,
    Record,
)
from edgekernel.node.journal_table import Recorded
from edgekernel.sim import SimClock
from tests.journal.test_recorder import MemorySink


class Asked(Message):
    """Somebody has asked."""

    text: str


class Answered(Message):
    """It was answered."""

    password: str
    text: str


class Control(Process):
    """Answers, and has commands of every outcome."""

    name = "control"

    @on(Asked)
    def answer(self, event: Event) -> None:
        """Answer what was asked."""
        assert isinstance(event.payload, Asked)
        if event.payload.text == "fail":
            raise ValueError("nobody knows")
        self.ctx.emit(Answered("hush", event.payload.text))

    @command
    def double(self, number: int, code: Annotated[str, SECRET] = "") -> int:
        """Return twice a number."""
        return 2 * number

    @command
    def fail(self, password: str) -> None:
        """Fail, with the secret in the error."""
        raise KeyError(password)

    @command
    def outer(self) -> int:
        """Ask for another command."""
        return int(self.ctx.invoke("control.double", {"number": 1}))

    @command
    def around(self) -> int:
        """Ask for another command, past its own context."""
        return int(self.ctx.runtime.invoke("control.double", {"number": 1}))


def power_of(runtime: Runtime, device: str) -> Output[bool]:
    """Return the output of a relay."""
    relay = runtime.devices[device]
    assert isinstance(relay, Relay)
    return relay.power


class House:
    """A runtime with a relay and a button, and its journal in memory."""

    def __init__(
        self,
        clock: SimClock,
        what: tuple[Recorded, ...] = EVERYTHING,
        sink: JournalSink | None = None,
    ) -> None:
        self.clock = clock
        self.sink = MemorySink()
        self.journal = Journal(sink or self.sink, clock, what=what)
        self.board = SimBackend(clock)
        self.runtime = Runtime(name="house", clock=clock)
        backend = self.journal.around(self.board)
        relay = backend.digital_output(LineAddress("GPIO17", "", 17))
        button = backend.digital_input(LineAddress("GPIO27", "", 27))
        self.runtime.attach_device(Relay("fan", pin=relay))
        self.runtime.attach_device(Button("door", pin=button))
        self.runtime.register(Control())
        self.journal.record(self.runtime)

    def of(self, kind: type[Record]) -> list[Any]:
        """Return the records of a type, after the end."""
        self.journal.close()
        return [record for record in self.sink.safe if isinstance(record, kind)]


@pytest.fixture
def clock() -> Iterator[SimClock]:
    """A simulated clock."""
    with SimClock() as clock:
        yield clock


@pytest.fixture
def house(clock: SimClock) -> Iterator[House]:
    """A house with its journal."""
    made = House(clock)
    yield made
    made.journal.close()
    made.board.close()


def test_every_event(house: House) -> None:
    """From the boot to the shutdown every event is recorded, with everything it had."""
    seen: list[Event] = []
    house.runtime.subscribe(Message, seen.append)
    with house.runtime as runtime:
        runtime.emit(Asked("why"), "me", correlation="c-1")
        house.clock.advance(60)
    recorded = house.of(EventRecord)
    keys = [(e.seq, e.monotonic_ns, e.time_ns, e.source, e.cause, e.correlation) for e in recorded]
    assert keys == [
        (e.seq, e.monotonic_ns, e.time_ns, e.source, e.cause, e.correlation) for e in seen
    ]
    assert [e.name for e in recorded] == [e.payload.name for e in seen]
    assert (recorded[0].name, recorded[-1].name) == ("runtime.booting", "runtime.shutdown")
    answered = next(e for e in recorded if e.name == "answered")
    assert answered.payload == {"password": "***", "text": "why"}
    assert (answered.correlation, answered.source) == ("c-1", "control")
    assert recorded[answered.cause - 1].name == "asked"


def test_recorded_before_it_is_handled(house: House) -> None:
    """An event is recorded before its first handler runs: what ends the process is in it."""
    recorded: list[int] = []

    def count() -> int:
        counters = house.journal.counters()
        return counters["waiting"] + counters["written"]

    class First(Process):
        """A part whose handlers come before those of all others."""

        name = "first"

        @on(Asked)
        def look(self, event: Event) -> None:
            """Look how much is recorded."""
            recorded.append(count())

    house.runtime.register(First())
    with house.runtime as runtime:
        before = count()
        runtime.emit(Asked("x"))
    assert recorded == [before + 1]


def test_error_can_be_made_again(house: House) -> None:
    """The messages of failures can be made again from their records (defect F3), and tell of no
    folder."""
    with house.runtime as runtime:
        runtime.emit(Asked("fail"))
    failed = next(e for e in house.of(EventRecord) if e.name == "process.error")
    assert failed.severity == Severity.ERROR
    assert str(Path(__file__).parent) not in failed.payload["traceback"]
    message = find(failed.name).from_dict(failed.payload)
    assert message.to_dict() == failed.payload


def test_bus_and_edges(house: House) -> None:
    """What drivers ask of the board, and the edges that they are told of, are recorded."""
    with house.runtime as runtime:
        power_of(runtime, "fan").set(True)
        house.clock.advance(1)
        house.board.line("GPIO27").drive(False)
        house.clock.advance(1)
    assert [(r.op, r.args) for r in house.of(BusRecord) if r.name == "GPIO17" and r.args] == [
        ("open", [False]), ("write", [False]), ("write", [True]), ("write", [False]),
    ]  # fmt: skip
    (edge,) = house.of(EdgeRecord)
    assert (edge.line, edge.level) == ("GPIO27", False)
    assert edge.monotonic_ns - edge.late_ns == 1_000_000_000


def test_outputs(house: House) -> None:
    """Every change of an output is recorded, also of a device that comes later."""
    with house.runtime as runtime:
        power_of(runtime, "fan").set(True)
        lamp = house.board.digital_output(LineAddress("GPIO5", "", 5))
        runtime.attach_device(Relay("lamp", pin=lamp))
        power_of(runtime, "lamp").set(True)
        runtime.hot_remove("lamp")
        house.clock.advance(1)
    outputs = [(r.output, r.setpoint, r.readback) for r in house.of(OutputRecord)]
    fan = [each[1:] for each in outputs if each[0] == "fan.power"]
    lamp_states = [each[1:] for each in outputs if each[0] == "lamp.power"]
    assert fan == [(False, False), (True, True), (False, False)]
    assert lamp_states[:2] == [(False, False), (True, True)]


def test_commands(house: House) -> None:
    """Requests are recorded with principal and arguments, without secrets, and with their ends."""
    with house.runtime as runtime:
        runtime.invoke("control.double", {"number": 2, "code": "hush"}, "ann", key="k-1")
        runtime.invoke("control.outer", principal="bob")
        with pytest.raises(KeyError):
            runtime.invoke("control.fail", {"password": "hush"})
        with pytest.raises(RefusedError):
            runtime.invoke("control.no", {"token": "hush"})
        with pytest.raises(RefusedError):
            runtime.invoke("control.double", {"number": 1, "what": 2})
    asked = {record.id: record for record in house.of(CommandRecord)}
    ends = {record.id: record for record in house.of(OutcomeRecord)}
    assert list(asked) == [1, 2, 3, 4, 5, 6]
    assert set(ends) == set(asked)
    first = asked[1]
    assert (first.command, first.principal, first.key) == ("control.double", "ann", "k-1")
    assert (first.args, first.whole) == ({"number": 2, "code": "***"}, False)
    assert (asked[3].cause, asked[3].principal, asked[3].whole) == (2, "component:control", True)
    assert [ends[id].code for id in asked] == ["ok", "ok", "ok", "failed", "unknown", "invalid"]
    assert "hush" not in str(house.sink.safe)


def test_output_that_is_set_from_outside(house: House) -> None:
    """An output that is set from outside is recorded as a request without an outcome."""
    with house.runtime as runtime:
        assert runtime.commands.witness is house.journal
        house.journal.output_set("fan.power", True, "mqtt")
    (asked,) = house.of(CommandRecord)
    assert (asked.id, asked.principal, asked.command) == (0, "mqtt", "set")
    assert (asked.target, asked.args, asked.whole) == ("fan.power", {"value": True}, True)
    assert house.of(OutcomeRecord) == []


def test_who_asks_from_within(house: House) -> None:
    """A part that asks the runtime without saying for whom is recorded as that part."""
    with house.runtime as runtime:
        runtime.invoke("control.around")
    requests = {record.command: record.principal for record in house.of(CommandRecord)}
    assert requests == {"control.around": "", "control.double": "component:control"}


def test_command_stands_before_its_effect(house: House) -> None:
    """A request is recorded before anything that it does, its outcome after it."""
    with house.runtime as runtime:
        runtime.invoke("journal.counters")
        runtime.invoke("control.outer")
    kinds = [
        (r.type, r.id) for r in house.of(Record) if isinstance(r, CommandRecord | OutcomeRecord)
    ]
    assert kinds == [
        ("command", 1), ("outcome", 1),
        ("command", 2), ("command", 3), ("outcome", 3), ("outcome", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "types"),
    [
        (("events",), {"boot", "clock", "event"}),
        (("bus",), {"boot", "clock", "bus"}),
        (("commands",), {"boot", "clock", "command", "outcome"}),
        (("outputs",), {"boot", "clock", "output"}),
    ],
)
def test_what(clock: SimClock, what: tuple[Recorded, ...], types: set[str]) -> None:
    """Only what is asked for is recorded, beside where it comes from."""
    house = House(clock, what)
    with house.runtime as runtime:
        runtime.invoke("control.double", {"number": 2})
        clock.advance(30)
    house.journal.close()
    house.board.close()
    assert {record.type for record in house.sink.safe} == types


def test_failing_disk_is_told(house: House) -> None:
    """A journal that cannot be written is a message and bad health; the node goes on, and both
    are healed when it can be written again."""
    told: list[str] = []
    house.runtime.subscribe(Message, lambda event: told.append(event.payload.name))
    with house.runtime as runtime:
        house.clock.advance(20)
        assert runtime.health()["healthy"]
        house.sink.fails = "No space left on device"
        house.clock.advance(20)
        assert told.count("journal.failed") == 1
        part = runtime.health()["parts"]["journal"]
        assert part == {
            "healthy": False,
            "reason": "the journal cannot be written: No space left on device",
        }
        house.sink.fails = ""
        house.clock.advance(20)
        assert told.count("journal.recovered") == 1
        assert runtime.health()["healthy"]
        assert runtime.phase.booted


def test_hot_removal_ends_it(house: House) -> None:
    """Taken out of a runtime that goes on, the journal is complete and records nothing more."""
    with house.runtime as runtime:
        runtime.hot_remove("journal")
        assert house.sink.closed
        count = len(house.sink.safe)
        runtime.emit(Asked("x"))
        runtime.invoke("control.double", {"number": 1})
        power_of(runtime, "fan").set(True)
        house.clock.advance(60)
    assert len(house.sink.safe) == count
    assert runtime.commands.witness is None


def test_name_that_is_taken(clock: SimClock) -> None:
    """A runtime that has a part `journal` is refused, and nothing is recorded of it."""

    class Other(Service):
        """A part of that name."""

        name = "journal"

    runtime = Runtime(clock=clock)
    runtime.register(Other())
    journal = Journal(MemorySink(), clock)
    with pytest.raises(ConfigError, match="journal"):
        journal.record(runtime)
    assert runtime.commands.witness is None
    journal.close()


def test_boot_that_fails(clock: SimClock, folder: Path) -> None:
    """Of a boot that fails everything is there after the close."""

    class Broken(Process):
        """A part that does not start."""

        name = "broken"

        def start(self, ctx: Any) -> None:
            raise OSError("no such thing")

    runtime = Runtime(name="bench", clock=clock)
    runtime.register(Broken())
    with Journal(SegmentSink(folder, durable=False), clock) as journal:
        journal.record(runtime)
        with pytest.raises(ExceptionGroup):
            runtime.boot()
    records = list(SegmentSource(folder))
    assert isinstance(records[0], BootRecord)
    names = [record.name for record in records if isinstance(record, EventRecord)]
    assert names[0] == "runtime.booting"
    assert names[-1] == "runtime.shutdown"
    assert not any(isinstance(record, OpaqueRecord) for record in records)


@pytest.mark.parametrize(
    ("sink", "source"),
    [(SegmentSink, SegmentSource), (LinesSink, LinesSource), (DatabaseSink, DatabaseSource)],
)
def test_any_sink(
    tmp_path: Path,
    sink: Callable[[Path], JournalSink],
    source: Callable[[Path], JournalSource],
) -> None:
    """A runtime can be recorded to any sink, and what its source gives is the same."""
    memory = MemorySink()
    for each in (memory, sink(tmp_path / "journal")):
        with SimClock() as clock:
            house = House(clock, sink=each)
            with house.runtime as runtime:
                runtime.invoke("control.double", {"number": 2})
                runtime.emit(Asked("x"))
                clock.advance(30)
            house.journal.close()
            house.board.close()
    found = source(tmp_path / "journal")
    assert [entry.record for entry in found.entries()] == memory.safe
    assert found.unreadable.records == 0

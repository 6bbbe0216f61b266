"""What the lines of every I/O expander promise, on each of the two chips."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from edgekernel_devices._chip_lines import ChipLine
from edgekernel_devices.mcp23017 import MCP23017, MCP23017Chip
from edgekernel_devices.pcf8574 import PCF8574, PCF8574Chip
from edgekernel_devices.relay import Relay
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import Device, Event, InvalidValueError, Runtime, UnavailableError, message
from edgekernel.backends.sim import SimBackend
from edgekernel.core.errors import BootError
from edgekernel.hal import (
    BusyError,
    ClosedError,
    DigitalInput,
    DigitalOutput,
    Edge,
    LineProvider,
    NackError,
    Pull,
)
from edgekernel.hal.address import BusAddress, LineAddress
from edgekernel.sim import SimClock

BUS = BusAddress("i2c1", "/dev/i2c-1")
INT = LineAddress("GPIO4", "sim", 4)

Boot = Callable[..., Runtime]
Chip = MCP23017Chip | PCF8574Chip
Expander = MCP23017 | PCF8574
Kind = type[MCP23017] | type[PCF8574]


@pytest.fixture(params=(MCP23017, PCF8574), ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each of the drivers."""
    found: Kind = request.param
    return found


@pytest.fixture
def chip(backend: SimBackend, kind: Kind) -> Chip:
    """A chip on the bus, at 0x20."""
    chip = kind.simulated()
    backend.i2c_bus(BUS).plug(0x20, chip)
    return chip


@pytest.fixture
def io(backend: SimBackend, chip: Chip, kind: Kind) -> Expander:
    """The driver of that chip, without an interrupt line."""
    return kind("io", bus=backend.i2c_bus(BUS))


@pytest.fixture
def quick(backend: SimBackend, chip: Chip, kind: Kind, clock: SimClock) -> Expander:
    """The driver of that chip, with its interrupt wired to GPIO4."""
    chip.wire({"interrupt": backend.line("GPIO4")}, clock)
    return kind("io", bus=backend.i2c_bus(BUS), interrupt=backend.digital_input(INT))


def output(io: Expander, number: int) -> DigitalOutput:
    """An output by the number of its line."""
    return io.digital_output(io.line_names[number])


def input(io: Expander, number: int) -> DigitalInput:
    """An input by the number of its line."""
    return io.digital_input(io.line_names[number])


def line(chip: Chip, number: int) -> ChipLine:
    """A line from outside, by its number."""
    names = MCP23017.line_names if isinstance(chip, MCP23017Chip) else PCF8574.line_names
    return chip.line(names[number])


def test_is_a_line_provider(io: Expander) -> None:
    """It is what a node file needs for "io:<line>", and its lines say where they are."""
    assert isinstance(io, LineProvider)
    no_input = io.output_only if isinstance(io, MCP23017) else {}
    for name in io.line_names:
        assert io.digital_output(name).name == f"io:{name}"
        assert name in no_input or io.digital_input(name).name == f"io:{name}"


def test_outputs_do_not_touch_each_other(boot: Boot, io: Expander, chip: Chip) -> None:
    """Whatever is written to some lines, each has the last level written to it."""
    boot(io)
    pins = [io.digital_output(name) for name in io.line_names]
    for pin in pins:
        pin.open(False)
    levels = [False] * len(pins)

    @given(st.lists(st.tuples(st.integers(0, len(pins) - 1), st.booleans()), max_size=20))
    def check(writes: list[tuple[int, bool]]) -> None:
        for number, level in writes:
            pins[number].write(level)
            levels[number] = level
            assert [chip.line(name).level for name in io.line_names] == levels
        assert [pin.read() for pin in pins] == levels

    check()


def test_closed_output_keeps_its_level(
    clock: SimClock, boot: Boot, io: Expander, chip: Chip
) -> None:
    """A closed output goes on driving, and can be had by somebody else."""
    boot(io)
    pin = output(io, 3)
    pin.open(True)
    pin.close()
    pin.close()
    clock.advance(1)
    assert line(chip, 3).level is True
    output(io, 3).open(False)


def test_second_user_is_refused(boot: Boot, io: Expander) -> None:
    """One line has one user, whichever direction; the refusal names the line."""
    boot(io)
    pin = output(io, 3)
    pin.open(False)
    with pytest.raises(BusyError, match="io:"):
        output(io, 3).open(False)
    with pytest.raises(BusyError, match="io:"):
        input(io, 3).open(Pull.UP)
    pin.close()
    input(io, 3).open(Pull.UP)


def test_closed_lines(boot: Boot, io: Expander) -> None:
    """A line cannot be opened before the expander is attached, nor used before it is open."""
    pin, other = output(io, 3), input(io, 4)
    with pytest.raises(ClosedError, match="io is not attached"):
        pin.open(False)
    boot(io)
    for call in (lambda: pin.write(True), pin.read, other.read):
        with pytest.raises(ClosedError, match="io:"):
            call()


def test_detached_and_attached_again(io: Expander, chip: Chip, clock: SimClock) -> None:
    """With its expander a line is closed: it cannot be used afterwards, and closing it then takes
    it from nobody who has it by now."""
    runtime = Runtime(clock=clock)
    with runtime:
        runtime.hot_add(io)
        old = output(io, 3)
        old.open(True)
        runtime.hot_remove("io")
        for call in (lambda: old.write(False), old.read):
            with pytest.raises(ClosedError, match="io:"):
                call()
        runtime.hot_add(io)
        new = output(io, 3)
        new.open(False)
        old.close()
        new.write(True)
        assert line(chip, 3).level is True


@pytest.mark.parametrize("settle_s", [-0.1, 10.5, float("nan")])
def test_refused_settings(boot: Boot, io: Expander, settle_s: float) -> None:
    """What the chip cannot do is refused by name: pull-downs, other lines, odd settle times."""
    boot(io)
    with pytest.raises(InvalidValueError, match=r"io:.*no pull-down"):
        input(io, 3).open(Pull.DOWN)
    with pytest.raises(InvalidValueError, match=r"no line .GPC0.: the .* has .*[07]"):
        io.digital_output("GPC0")
    with pytest.raises(InvalidValueError, match="settle time"):
        input(io, 3).open(Pull.UP, settle_s=settle_s)
    input(io, 3).open(Pull.NONE)


@pytest.mark.parametrize("wired", [False, True])
def test_edges(
    clock: SimClock, boot: Boot, request: pytest.FixtureRequest, chip: Chip, wired: bool
) -> None:
    """Each change is told once with its level and time: within 50 ms by polls, at once by the
    interrupt."""
    io: Expander = request.getfixturevalue("quick" if wired else "io")
    boot(io)
    edges: list[Edge] = []
    pin = input(io, 5)
    pin.open(Pull.UP, edges.append)
    changes = []
    for level in (False, True, False):
        clock.advance(0.333)
        line(chip, 5).drive(level)
        changes.append((level, clock.monotonic_ns()))
    clock.advance(0.333)
    assert [edge.level for edge in edges] == [level for level, _ in changes]
    late = [edge.monotonic_ns - at for edge, (_, at) in zip(edges, changes, strict=True)]
    assert all(0 <= ns <= (0 if wired else 50_000_000) for ns in late)
    assert pin.read() is False
    pin.close()
    line(chip, 5).drive(True)
    clock.advance(2)
    assert len(edges) == 3


def test_lost_interrupt_is_found(clock: SimClock, boot: Boot, quick: Expander, chip: Chip) -> None:
    """A change whose interrupt never reached the board is told within a second, and reading an
    input tells it at once."""
    boot(quick)
    chip.wire({}, clock)
    edges: list[Edge] = []
    pin = input(quick, 0)
    pin.open(Pull.UP, edges.append)
    line(chip, 0).drive(False)
    clock.advance(1.1)
    assert [edge.level for edge in edges] == [False]
    line(chip, 0).drive(True)
    assert pin.read() is True
    clock.advance(0.001)
    assert [edge.level for edge in edges] == [False, True]


class Slow(Device):
    """Another device on the bus, whose every poll takes its time."""

    def poll(self) -> None:
        self.clock.sleep(0.3)


def test_edge_has_the_time_of_its_interrupt(
    clock: SimClock, boot: Boot, quick: Expander, chip: Chip
) -> None:
    """While another device keeps the bus busy an edge is told late, but with the time at which
    the interrupt came."""
    slow = Slow("slow")
    slow.poll_group = quick.poll_group
    boot(quick, slow)
    clock.advance(1.1)
    edges: list[Edge] = []
    input(quick, 0).open(Pull.UP, edges.append)
    line(chip, 0).drive(False)
    now_ns = clock.monotonic_ns()
    clock.advance(0.1)
    assert edges == []
    clock.advance(0.2)
    assert edges == [Edge(False, now_ns)]


def test_interrupt_during_a_poll(clock: SimClock, boot: Boot, quick: Expander, chip: Chip) -> None:
    """An interrupt that comes while edges are told is not put off for another input that is
    still to settle."""
    boot(quick)
    edges: list[Edge] = []
    input(quick, 6).open(Pull.UP, edges.append, settle_s=0.9)
    input(quick, 5).open(Pull.UP, edges.append)
    input(quick, 0).open(Pull.UP, lambda edge: line(chip, 5).drive(edge.level))
    clock.advance(0.05)
    line(chip, 6).drive(False)
    clock.advance(0.05)
    line(chip, 0).drive(False)
    now_ns = clock.monotonic_ns()
    clock.advance(0.01)
    assert edges == [Edge(False, now_ns)]


def test_closed_while_edges_are_told(clock: SimClock, boot: Boot, io: Expander, chip: Chip) -> None:
    """A line that the one before has closed is told nothing any more."""
    boot(io)
    edges: list[Edge] = []
    first, second = input(io, 0), input(io, 1)
    first.open(Pull.UP, lambda edge: second.close())
    second.open(Pull.UP, edges.append)
    for number in (0, 1):
        line(chip, number).drive(False)
    clock.advance(0.1)
    assert edges == []


@pytest.mark.parametrize("wired", [False, True])
def test_settle_time(
    clock: SimClock, boot: Boot, request: pytest.FixtureRequest, chip: Chip, wired: bool
) -> None:
    """With a settle time a level is told once it has been seen that long; bounces are not told,
    and what is told last is the true level."""
    io: Expander = request.getfixturevalue("quick" if wired else "io")
    boot(io)
    edges: list[Edge] = []
    pin = input(io, 0)
    pin.open(Pull.UP, edges.append, settle_s=0.12)
    for level in (False, True, False, True, False):
        line(chip, 0).drive(level)
        clock.advance(0.055)
    assert edges == []
    assert pin.read() is True
    clock.advance(0.2)
    assert [edge.level for edge in edges] == [False]
    assert pin.read() is False
    line(chip, 0).drive(True)
    clock.advance(0.06)
    line(chip, 0).drive(False)
    clock.advance(0.5)
    assert [edge.level for edge in edges] == [False]


@pytest.mark.parametrize("wired", [False, True])
def test_settled_trains_end_in_the_true_level(kind: Kind, wired: bool) -> None:
    """For every train of edges: what is told alternates, lasts, and ends at the true level."""
    with SimClock() as clock:

        @given(st.lists(st.integers(1, 200), max_size=15))
        def check(gaps_ms: list[int]) -> None:
            backend, runtime, chip = SimBackend(clock), Runtime(clock=clock), kind.simulated()
            backend.i2c_bus(BUS).plug(0x20, chip)
            interrupt = backend.digital_input(INT) if wired else None
            if wired:
                chip.wire({"interrupt": backend.line("GPIO4")}, clock)
            io = kind("io", bus=backend.i2c_bus(BUS), interrupt=interrupt)
            runtime.attach_device(io)
            edges: list[Edge] = []
            level = True
            with runtime:
                input(io, 0).open(Pull.UP, edges.append, settle_s=0.05)
                for gap in gaps_ms:
                    clock.advance(gap / 1000)
                    level = not level
                    line(chip, 0).drive(level)
                clock.advance(1.2)
                told = [True, *(edge.level for edge in edges)]
                assert told == [True, False] * (len(told) // 2) + [True] * (len(told) % 2)
                assert told[-1] is level
            backend.close()

        check()


def test_readback_is_the_real_level(boot: Boot, io: Expander, chip: Chip) -> None:
    """An output that something stronger holds reads as the level that the line has."""
    lamp = Relay("lamp", pin=output(io, 3))
    lamp.depends = ("io",)
    boot(io, lamp)
    line(chip, 3).drive(False)
    lamp.power.set(True)
    assert lamp.power.value is False


def test_unplugged_and_replugged(
    clock: SimClock,
    boot: Boot,
    io: Expander,
    kind: Kind,
    backend: SimBackend,
    events: list[Event],
) -> None:
    """While the chip is away its lines raise; another one is set up as the last one was, and
    what changed meanwhile is told."""
    boot(io)
    pin, door, edges = output(io, 3), input(io, 0), list[Edge]()
    pin.open(False)
    door.open(Pull.UP, edges.append)
    pin.write(True)
    backend.i2c_bus(BUS).unplug(0x20)
    clock.advance(0.2)
    assert not io.online
    with pytest.raises(NackError, match="0x20"):
        pin.read()
    other = kind.simulated()
    line(other, 0).drive(False)
    backend.i2c_bus(BUS).plug(0x20, other)
    clock.advance(2)
    assert io.online
    assert line(other, 3).level is True
    assert pin.read() is True
    assert [edge.level for edge in edges] == [False]
    told = [type(e.payload) for e in events if "device" in e.payload.to_dict()]
    assert told[-3:] == [message.DeviceOnline, message.DeviceOffline, message.DeviceOnline]


@pytest.mark.parametrize("safe", [False, True])
def test_failed_write_comes_back_safe(
    clock: SimClock, boot: Boot, io: Expander, kind: Kind, backend: SimBackend, safe: bool
) -> None:
    """After a write that failed nobody knows what the output should be: with the chip it comes
    back at the level it was opened with, and the next write counts again."""
    lamp = Relay("lamp", pin=output(io, 3), safe="on" if safe else "off")
    lamp.depends = ("io",)
    boot(io, lamp)
    lamp.power.set(not safe)
    backend.i2c_bus(BUS).unplug(0x20)
    with pytest.raises(UnavailableError):
        lamp.power.set(not safe)
    chip = kind.simulated()
    backend.i2c_bus(BUS).plug(0x20, chip)
    clock.advance(1)
    assert line(chip, 3).level is safe
    lamp.power.set(not safe)
    assert line(chip, 3).level is not safe


def test_no_chip(boot: Boot, quick: Expander, backend: SimBackend) -> None:
    """With no chip the runtime does not boot; bus and interrupt line are given back."""
    backend.i2c_bus(BUS).unplug(0x20)
    with pytest.raises(BootError):
        boot(quick)
    with pytest.raises(ClosedError):
        backend.i2c_bus(BUS).read(0x20, 1)
    backend.digital_input(INT).open(Pull.UP)


def test_edge_handler_that_fails(
    clock: SimClock,
    boot: Boot,
    io: Expander,
    chip: Chip,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is called for an edge and raises is logged; other lines and the device go on."""
    boot(io)

    def fail(edge: Edge) -> None:
        raise ZeroDivisionError

    edges: list[Edge] = []
    input(io, 0).open(Pull.UP, fail)
    input(io, 1).open(Pull.UP, edges.append)
    line(chip, 0).drive(False)
    line(chip, 1).drive(False)
    clock.advance(0.1)
    assert [edge.level for edge in edges] == [False]
    assert io.online
    assert "what was called for an edge raised" in caplog.text


class Locked:
    """A chip that does one thing at a time, as a real one does."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self.lock = Lock()

    def write(self, data: bytes) -> None:
        with self.lock:
            self.chip.write(data)

    def read(self, length: int) -> bytes:
        with self.lock:
            return self.chip.read(length)

    def drive(self, number: int, level: bool) -> None:
        with self.lock:
            line(self.chip, number).drive(level)


def test_threads(kind: Kind) -> None:
    """With writers, edges and polls in threads of their own, every line has its last level, and
    the edges of an input alternate and end at the true level."""
    runtime, chip = Runtime(), Locked(kind.simulated())
    backend = SimBackend(runtime.clock)
    backend.i2c_bus(BUS).plug(0x20, chip)
    chip.chip.wire({"interrupt": backend.line("GPIO4")}, runtime.clock)
    io = kind("io", bus=backend.i2c_bus(BUS), interrupt=backend.digital_input(INT))
    io.every = 0.002
    runtime.attach_device(io)
    edges = list[Edge]()

    def write(pin: DigitalOutput, last: bool) -> None:
        for number in range(200):
            pin.write(number % 2 == 0)
            assert pin.read() is (number % 2 == 0)
        pin.write(last)

    with runtime:
        pins = [output(io, number) for number in range(4)]
        for pin in pins:
            pin.open(False)
        input(io, 6).open(Pull.UP, edges.append)
        with ThreadPoolExecutor() as pool:
            done = [pool.submit(write, pin, number % 2 == 1) for number, pin in enumerate(pins)]
            for number in range(201):
                chip.drive(6, number % 2 == 1)
        for each in done:
            each.result()
        assert [line(chip.chip, number).level for number in range(4)] == [False, True] * 2
        for _ in range(1000):
            if edges and edges[-1].level is False:
                break
            runtime.clock.sleep(0.01)
        assert io.online
    assert [edge.level for edge in edges] == [number % 2 == 1 for number in range(len(edges))]
    assert edges[-1].level is False
    assert [edge.monotonic_ns for edge in edges] == sorted(edge.monotonic_ns for edge in edges)
    backend.close()

"""The agent is killed, or all power goes: the world goes on, and the node comes back in it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edgekernel import Event, Message, Runtime
from edgekernel.backends.sim import SimDisk
from edgekernel.core.clock import Clock
from edgekernel.core.sample import Quality
from edgekernel.hal.disk import Disk
from edgekernel.journal import BootRecord, EventRecord, Journal, SegmentSource, open_journal
from edgekernel.node import make_plan
from edgekernel.node.simulated_node import SimulatedNode
from edgekernel.sim import SimClock
from edgekernel.sim.faults import AgentKilled, DiskSlow, Fault, Nack, PowerCut, Slow, StuckLine
from tests.sim.faults.conftest import Play

NODE = """
[node]
name = "shed"
board = "sim"
data = "/var/lib/edgekernel"

[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
initial = "restore"

[devices.io]
driver = "mcp23017"
bus = "i2c1"

[devices.valve]
driver = "relay"
pin = "io:GPA0"

[devices.door]
driver = "button"
pin = "GPIO27"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "1s"

[devices.air]
driver = "sht4x"
bus = "i2c1"
every = "1s"
optional = true

[devices.position]
driver = "gps"
port = "uart0"
every = "1s"

[sim.worlds.house]
kind = "thermal_room"
heater = "heater"
sensor = "room.temperature_c"
start_c = 20
outside_c = 0

[journal]
folder = "unused"
commit = "10s"
"""


class Mortal:
    """A node whose agent can die, with a journal, and all events of all its runs."""

    def __init__(self, stack: ExitStack, tmp_path: Path, *faults: Fault, text: str = NODE) -> None:
        path, self.folder = tmp_path / "node.toml", tmp_path / "journal"
        path.write_text(text)
        plan, self.clock = make_plan(path), stack.enter_context(SimClock())
        disk = SimDisk(self.clock)
        disk.mount(self.folder)
        self.events: list[Event] = []
        self.heard: list[tuple[float, Message]] = []

        def record(clock: Clock, disk: Disk) -> Journal:
            journal = open_journal(plan, clock, self.folder, disk)
            assert journal is not None
            return journal

        self.node = SimulatedNode(
            plan, self.clock, Runtime, faults=faults, disk=disk, record=record,
            prepare=lambda runtime: runtime.subscribe(Message, self.events.append),
        )  # fmt: skip
        if self.node.player is not None:
            self.node.player.told.append(
                lambda told: self.heard.append((round(self.clock.monotonic(), 3), told))
            )
        self.node.start()
        stack.callback(self.node.stop, "the test has ended")
        self.bench = self.node.bench

    def device(self, id: str) -> Any:
        """Return a device of the agent that runs."""
        return self.node.runtime.devices[id]

    def names(self) -> list[str]:
        """Return the names of all events, those of one run after those of the other."""
        return [event.payload.name for event in self.events]

    def recorded(self) -> list[EventRecord]:
        """Return the events that the journal has."""
        return [each for each in SegmentSource(self.folder) if isinstance(each, EventRecord)]


Live = Callable[..., Mortal]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Give a function that starts the node with a plan."""
    with ExitStack() as stack:
        yield lambda *faults, **options: Mortal(stack, tmp_path, *faults, **options)


def kill(at_s: float = 60.0, for_s: float | None = 600.0) -> Fault:
    """The agent is killed after a minute, for ten."""
    return Fault(AgentKilled(), at_s=at_s, for_s=for_s)


def cut(at_s: float = 60.0, for_s: float | None = 600.0, **options: Any) -> Fault:
    """The power goes after a minute, for ten."""
    return Fault(PowerCut(**options), at_s=at_s, for_s=for_s)


def test_kill(live: Live) -> None:
    """Nothing of the agent runs after a kill and none of its clean-up; the line keeps its level,
    and a new agent comes when the fault ends."""
    node = live(kill())
    node.device("heater").power.set(True)
    node.clock.advance(100)
    first = node.node.runtime
    assert not node.node.alive
    assert not {"runtime.shutting_down", "runtime.shutdown", "device.detached"} & set(node.names())
    assert node.bench.is_on("heater")
    known = len(node.events)
    node.clock.advance(500)
    assert len(node.events) == known
    assert not [each for each in node.clock.waiting() if "poll" in each or "edgekernel:" in each]
    node.clock.advance(70)
    assert node.node.alive
    assert node.node.starts == 2
    assert node.node.runtime is not first
    assert node.names().count("runtime.booted") == 2
    kinds = [(at_s, type(told).__name__) for at_s, told in node.heard]
    assert [name for _, name in kinds] == ["FaultBegan", "FaultEnded"]
    assert kinds[1][0] - kinds[0][0] == 600


def test_world_goes_on(live: Live) -> None:
    """While nobody is there the room goes on with the heater as it was left; without power it
    cools. The new agent reads what has become of it."""
    warm = live(kill())
    warm.device("heater").power.set(True)
    warm.clock.advance(59)
    before_c = warm.device("room").temperature.value
    warm.clock.advance(602)
    assert warm.device("room").temperature.value > before_c + 3
    assert warm.device("room").temperature.quality is Quality.GOOD


def test_world_cools_without_power(live: Live) -> None:
    """A heater whose line was high heats nothing while the power is away."""
    cold = live(cut())
    cold.device("heater").power.set(True)
    cold.clock.advance(59)
    before_c = cold.device("room").temperature.value
    cold.clock.advance(2)
    assert not cold.bench.line("GPIO17").level
    cold.clock.advance(597)
    assert cold.bench.chip("room").temperature_c < before_c - 1
    cold.clock.advance(5)
    assert cold.device("room").temperature.value < before_c - 1


@pytest.mark.parametrize("fault", [kill(), cut()])
def test_outputs_are_restored(live: Live, fault: Fault) -> None:
    """An output that is to be restored has after the restart what it had; one that is not has its
    safe value. The memory was written more than 30 s before."""
    node = live(fault)
    node.device("heater").power.set(True)
    node.device("valve").power.set(True)
    node.clock.advance(670)
    assert node.node.starts == 2
    assert node.device("heater").power.setpoint is True
    assert node.bench.is_on("heater")
    assert node.device("valve").power.setpoint is False
    assert not node.bench.is_on("valve")


def test_memory_of_the_last_seconds(live: Live) -> None:
    """What was changed less than 30 s before the kill may be what it was before: the memory says
    so, and promises no more."""
    node = live(kill(at_s=45))
    node.clock.advance(1)
    node.device("heater").power.set(True)
    node.clock.advance(39)
    node.device("heater").power.set(False)
    node.clock.advance(1000)
    assert node.device("heater").power.setpoint in (True, False)
    assert node.node.starts == 2


def test_chips_at_a_kill(live: Live) -> None:
    """A chip keeps its registers when only the agent dies, and forgets them without power."""
    for fault, directions in ((kill(for_s=None), 0xFE), (cut(for_s=None), 0xFF)):
        node = live(fault)
        chip = node.bench.chip("io")
        node.device("valve").power.set(True)
        node.clock.advance(100)
        assert node.bench.is_on("valve") is True
        node.node.kill()  # the power is back, but no agent
        chip.write(b"\x00")  # IODIR of port A
        assert chip.read(1)[0] == directions
        node.node.stop("next")


@pytest.mark.parametrize("fault", [kill(at_s=65.5), cut(at_s=65.5)])
def test_journal(live: Live, fault: Fault) -> None:
    """The journal goes on in the new run: what was committed before is all there, numbered without
    a gap but for the lost end, and nothing in it is damaged beyond that."""
    node = live(fault)
    node.clock.advance(64)
    committed = [each.number for each in SegmentSource(node.folder).entries()]
    assert len(committed) > 50
    node.clock.advance(700)
    node.node.stop("done")
    source = SegmentSource(node.folder)
    entries = list(source.entries())
    assert [each.number for each in entries[: len(committed)]] == committed
    boots = [each.record for each in entries if isinstance(each.record, BootRecord)]
    assert len({boot.boot_id for boot in boots}) == 2
    assert source.unreadable.records == 0
    ends = [each for each in node.recorded() if each.name == "runtime.shutdown"]
    assert len(ends) == 1


def test_kill_of_the_disk_s_user(live: Live) -> None:
    """A commit that is under way when the agent is killed harms nothing: the next agent has the
    folder, and all that was committed before."""
    node = live(Fault(DiskSlow(takes=30), at_s=40, for_s=200), kill(at_s=65, for_s=60))
    node.clock.advance(300)
    assert node.node.alive
    assert "journal.failed" not in node.names()
    assert SegmentSource(node.folder).unreadable.records == 0


def test_kill_within_a_transaction(live: Live) -> None:
    """Killed while a chip holds the bus up, the agent leaves the bus, its lines and its port free
    for the next one."""
    slow = Fault(Slow(takes=0.9), bus="i2c1", at_s=10, for_s=100)
    node = live(slow, kill(at_s=60.3, for_s=10))
    node.clock.advance(200)
    assert node.node.starts == 2
    for id in ("room", "io", "position"):
        assert node.device(id).online, id
    node.bench.press("door")
    node.clock.advance(0.1)
    assert node.device("door").pressed.value is True


def test_other_faults_go_on(live: Live) -> None:
    """The times of a plan count on while the agent is dead: what began before it and what begins
    meanwhile is there for the new one, and ends in time."""
    node = live(
        kill(),
        Fault(Nack(), device="air", at_s=50, for_s=650),
        Fault(StuckLine("high"), device="door", at_s=300, for_s=30),
    )
    node.clock.advance(680)
    assert node.node.starts == 2
    assert not node.device("air").online
    node.clock.advance(60)
    assert node.device("air").online
    said = [(round(at_s - node.heard[0][0]), type(told).__name__) for at_s, told in node.heard]
    assert said == [
        (0, "FaultBegan"), (10, "FaultBegan"), (250, "FaultBegan"), (280, "FaultEnded"),
        (610, "FaultEnded"), (650, "FaultEnded"),
    ]  # fmt: skip
    assert node.names().count("fault.began") == 2  # of those that an agent has seen


def test_restart_that_fails(live: Live) -> None:
    """An agent that does not boot is tried again, as a service manager does, until it does."""
    node = live(kill(for_s=10), Fault(Nack(), device="room", at_s=60, for_s=37))
    node.clock.advance(120)
    assert node.node.alive
    assert node.device("room").online
    assert len(node.node.failures) == 6  # at 70 s, and after a second or so for the tries of each
    assert "i2c1" in str(node.node.failures[0].exceptions[0])
    assert node.names().count("runtime.booted") == 2


def test_power_cut_between_two_tries(live: Live) -> None:
    """A service manager has no power either: nothing starts before the cut has ended."""
    node = live(
        kill(for_s=10),
        Fault(Nack(), device="room", at_s=60, for_s=37),
        cut(at_s=75, for_s=100),
    )
    node.clock.advance(174)
    tries = node.node.starts
    assert not node.node.alive
    assert not node.bench.is_on("heater")
    node.clock.advance(10)
    assert node.node.alive
    assert node.node.starts == tries + 1


def test_again_and_again(live: Live) -> None:
    """An agent that is killed every minute comes back each time, and leaves no fiber and no runtime
    behind."""
    text = NODE.replace('"shed"', '"mortal"')
    node = live(Fault(AgentKilled(), at_s=60, every_s=60, for_s=5), text=text)
    node.clock.advance(50)
    fibers = len(node.clock.waiting())
    node.clock.advance(20 * 60)
    node.events.clear()
    assert node.node.starts == 21
    gc.collect()
    runtimes = [each for each in gc.get_objects() if isinstance(each, Runtime)]
    assert [each for each in runtimes if each.name == "mortal"] == [node.node.runtime]
    assert len(node.clock.waiting()) == fibers
    assert node.device("room").online


def test_clock_without_a_battery(live: Live) -> None:
    """A board without a clock of its own comes back with the time of the cut, and has the right one
    when it is set; the journal says when that was."""
    node = live(cut(clock_set_after=30))
    begun = node.clock.now_utc()
    node.clock.advance(665)
    behind = node.clock.now_utc() - begun
    assert behind == timedelta(seconds=65)
    node.clock.advance(60)
    assert node.clock.now_utc() - begun == timedelta(seconds=725)
    node.node.stop("done")
    steps = [each for each in SegmentSource(node.folder) if each.type == "clock"]
    assert any(getattr(each, "step_ns", 0) == 600_000_000_000 for each in steps)


def test_cut_of_a_dead_agent(live: Live) -> None:
    """Of a kill and a power cut that overlap the last one counts, and the agent is back when both
    have ended."""
    node = live(kill(at_s=10, for_s=100), cut(at_s=50, for_s=20))
    node.device("heater").power.set(True)
    node.clock.advance(30)
    assert node.bench.is_on("heater")
    node.clock.advance(30)
    assert not node.bench.is_on("heater")
    node.clock.advance(30)
    assert not node.node.alive
    node.clock.advance(30)
    assert node.node.alive
    assert node.node.starts == 2


def test_dead_until_the_end(live: Live) -> None:
    """Without an end the agent stays dead, and the run ends in good order."""
    node = live(kill(for_s=None))
    node.clock.advance(10_000)
    assert not node.node.alive
    node.node.stop("done")
    node.node.stop("twice")
    node.clock.advance(10)
    assert node.clock.waiting() == []


def test_killed_during_the_boot(live: Live) -> None:
    """An agent that is killed before it has booted is booted when the fault ends."""
    slow = Fault(Slow(takes=0.5), bus="i2c1", at_s=0, for_s=20)
    node = live(slow, kill(at_s=0.0, for_s=30))
    node.clock.advance(60)
    assert node.node.starts == 2
    assert node.device("room").online


def test_what_cannot_end_itself(live: Live) -> None:
    """A part of the agent that tries to kill it is told that this comes from outside."""
    node = live()
    failures: list[BaseException] = []

    def suicide() -> None:
        try:
            node.node.kill()
        except RuntimeError as error:
            failures.append(error)

    node.node.runtime.clock.Thread(suicide, "suicide").start()
    node.clock.advance(1)
    assert "suicide: a thread cannot end itself and its like" in str(failures[0])
    assert node.node.alive
    assert node.device("room").online


def test_without_an_agent_that_comes_back(play: Play) -> None:
    """A runtime that was assembled alone cannot be started again: the fault is refused."""
    with pytest.raises(ValueError, match="agent_killed: not possible in this run: it needs an ag"):
        play(kill())

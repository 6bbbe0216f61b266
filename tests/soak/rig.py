"""A whole node in simulated time, whose every day is as bad as the others: what a soak measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekernel_devices.button import Button

from edgekernel import Clock, EdgekernelError, Message, Runtime, Severity
from edgekernel.backends.sim import SimDisk
from edgekernel.core.messages import Event
from edgekernel.hal.disk import Disk
from edgekernel.journal import Journal, open_journal
from edgekernel.mqtt import About, Fleet, MqttInterface, Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import Medium
from edgekernel.node import make_plan
from edgekernel.node.fault_plan import parse_faults
from edgekernel.node.simulated_node import SimulatedNode
from edgekernel.sim import SimClock
from edgekernel.sim.broker import SimBroker
from edgekernel.sim.faults import Fault
from tests.greenhouse import GREENHOUSE

DAY_S = 86400.0
HOUR = 1 / 24
MINUTE = 1 / 1440
NODE = "greenhouse-1"
REQUESTS = 1440
"""In a day: so many that what the node remembers of the latest 1,000 is full after the first."""
JOURNAL_MB = 2
OUTBOX_MB = 1
_REMOVED, _BACK = "airing", 16 * HOUR
_TAKEN_OUT = 15 * HOUR

_EVERY_DAY: tuple[tuple[float, float, dict[str, Any]], ...] = (
    (2 * HOUR, HOUR, {"kind": "broker_away"}),
    (5 * HOUR, 10 * MINUTE, {"kind": "broker_half_open"}),
    (6 * HOUR, 10 * MINUTE, {"kind": "broker_refuses"}),
    (7 * HOUR, 30 * MINUTE, {"kind": "hang", "device": "room"}),
    (9 * HOUR, 20 * MINUTE, {"kind": "stuck", "bus": "i2c1"}),
    (10 * HOUR, 30 * MINUTE, {"kind": "unplug", "device": "room"}),
    (11 * HOUR, HOUR, {"kind": "lost_bytes", "device": "position"}),
    (13 * HOUR, 10 * MINUTE, {"kind": "disk_full"}),
    (14 * HOUR, 10 * MINUTE, {"kind": "bounce", "line": "GPIO23"}),
)
"""When in the day each fault begins and how long it lasts, in days."""

_TABLES = f"""
[mqtt.outbox]
max_size = "{OUTBOX_MB}MB"

[journal]
folder = "journal"
max_mb = {JOURNAL_MB}
"""


def faults(day_s: float) -> tuple[Fault, ...]:
    """Return the faults of every day, and the kill of every week, for days of that length."""
    tables: list[dict[str, Any]] = [
        {**what, "at": at * day_s, "for": lasts * day_s, "every": day_s}
        for at, lasts, what in _EVERY_DAY
    ]
    week = {"at": (6 + 18 * HOUR) * day_s, "for": 30.0, "every": 7 * day_s}
    return parse_faults({"fault": [*tables, {"kind": "agent_killed", **week}]}, "soak")


def write_node(folder: Path) -> Path:
    """Write the greenhouse's node file with data, an outbox and a journal, all in one folder."""
    text = (GREENHOUSE / "node.toml").read_text(encoding="utf-8")
    node = folder / "node.toml"
    node.write_text(text.replace("[node]", '[node]\ndata = "data"') + _TABLES, encoding="utf-8")
    (folder / "greenhouse").symlink_to(GREENHOUSE / "greenhouse")
    return node


class Rig:
    """The node, its broker and who speaks with it. A context manager."""

    def __init__(self, folder: Path, day_s: float = DAY_S, requests: int = REQUESTS) -> None:
        """Prepare; `day_s` is the length of a day, through which the faults and so many requests
        are spread."""
        self.folder = folder
        self.day_s = day_s
        self._requests = requests
        self.told: Counter[tuple[str, Severity]] = Counter()
        """The messages of the node, by name and severity, since somebody has cleared it."""
        self.asked: Counter[str] = Counter()
        """What has come of the requests: "ok", or the name of the error."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def pass_day(self, show: Callable[[float], object] = lambda share: None) -> None:
        """Let a day pass; `show` is told how much of it has."""
        done = 0.0
        for at, action in (
            (_TAKEN_OUT, self._take_out),
            (_BACK, self._put_back),
            (20 * HOUR, partial(self.node.bench.press, "airing", 0.2)),
            (21 * HOUR, partial(self.node.bench.press, "airing", 0.2)),
            (1.0, lambda: None),
        ):
            while done < at:
                step = min(HOUR, at - done)
                self.clock.advance(step * self.day_s)
                done += step
                show(done)
            action()

    def waiting(self) -> list[str]:
        """Return the names of the fibers: the threads of the node, and of what is around it."""
        return [each.partition(": ")[0] for each in self.clock.waiting()]

    def _start(self, stack: ExitStack) -> None:
        plan = self._plan = make_plan(write_node(self.folder))
        self.clock = stack.enter_context(SimClock())
        self.broker = stack.enter_context(SimBroker(self.clock))
        disk = SimDisk(self.clock)
        stack.callback(disk.close)
        disk.mount(self.folder)
        self.node = SimulatedNode(
            plan, self.clock, Runtime, faults=faults(self.day_s), disk=disk, broker=self.broker,
            record=self._record, prepare=self._prepare,
        )  # fmt: skip
        stack.callback(self.node.stop, "the soak is over")
        self.node.start()
        self._over = self.clock.Event()
        controller = self.clock.Thread(self._control, "controller")
        controller.start()
        stack.callback(controller.join)
        stack.callback(self._over.set)

    def _record(self, clock: Clock, disk: Disk) -> Journal:
        journal = open_journal(self._plan, clock, None, disk)
        assert journal is not None, "the node file has one"
        return journal

    def _prepare(self, runtime: Runtime) -> None:
        plan = self._plan
        settings = Settings.of(plan, with_secrets=False)
        medium = Medium(SimTransport.to(self.broker, runtime.clock), f"soak:{self.node_starts}")
        about = About.of(plan)
        link = MqttInterface(settings, medium=medium, about=about, outbox=plan.outbox)
        runtime.register(link)
        runtime.subscribe(Message, self._note)

    @property
    def node_starts(self) -> int:
        """How often the agent was started."""
        node: SimulatedNode[Runtime] | None = getattr(self, "node", None)
        return 0 if node is None else node.starts

    def _note(self, event: Event) -> None:
        self.told[event.payload.name, event.payload.severity] += 1

    # Hot changes

    def _take_out(self) -> None:
        self.node.runtime.hot_remove(_REMOVED)

    def _put_back(self) -> None:
        planned = next(each for each in self._plan.devices if each.id == _REMOVED)
        line: Any = planned.addresses["pin"]
        button = Button(_REMOVED, pin=self.node.board.digital_input(line), **planned.settings)
        self.node.runtime.hot_add(button)

    # Traffic

    def _control(self) -> None:
        """Ask the node for something again and again, as a controller with a link does."""
        medium = Medium(SimTransport.to(self.broker, self.clock), "controller")
        fleet = Fleet(Settings("127.0.0.1"), clock=self.clock, medium=medium)
        with fleet:
            number = 0
            while not self._over.wait(self.day_s / self._requests):
                number += 1
                self._ask(fleet, number)

    def _ask(self, fleet: Fleet, number: int) -> None:
        try:
            match number % 10:
                case 0:
                    fleet.set(NODE, "vent/power", number % 20 == 0)
                case 5:
                    fleet.get(NODE)
                case _:
                    fleet.call(NODE, "climate.set_target", {"celsius": 20.0 + number % 4})
        except EdgekernelError as error:
            self.asked[type(error).__name__] += 1
        else:
            self.asked["ok"] += 1

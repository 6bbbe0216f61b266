"""Recorded runs: a shed with a bug in its application, on simulated or on real time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekernel import Runtime
from edgekernel.core.clock import Clock
from edgekernel.journal import Journal, Limits, SegmentSink
from edgekernel.journal.replay import (
    Recording,
    Replayed,
    Wanted,
    choose,
    plan_recorded,
    read_journal,
    replay,
)
from edgekernel.node import make_plan
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import Bench, SimClock
from edgekernel.sim.faults import Fault

NODE = """
[node]
name = "shed-1"
board = "raspberrypi/4b"
app = "shed_app"

[devices.fan]
driver = "relay"
pin = "GPIO17"
safe = "off"

[devices.knob]
driver = "button"
pin = "GPIO23"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "500ms"

[devices.position]
driver = "gps"
port = "uart0"
every = "1s"

[sim]
world = "shed_world:Shed"
"""

MQTT = """
[mqtt]
host = "broker.local"
username = "ann"
password = "hush-hush"
"""

WORLD = '''
class Shed:
    """Gets 4 °C warmer each second; somebody presses the knob after 1.5 s."""

    step_s = 0.1

    def __init__(self, bench):
        self._bench, self._at = bench, 0.0
        self._chip = bench.chip("room")
        self._chip.temperature_c = 20.0

    def step(self, seconds):
        before, self._at = self._at, self._at + seconds
        self._chip.temperature_c = 20 + 4 * self._at
        if before < 1.5 <= self._at:
            self._bench.press("knob", 0.3)
'''

APP = """
from typing import Annotated

from edgekernel import Message, Process, Service, command, effect, on, requires
from edgekernel.core.masking import Secret
from edgekernel_devices.bme280 import BME280
from edgekernel_devices.button import ButtonPressed
from edgekernel_devices.relay import Relay


class Aired(Message):
    share: float


class Alive(Message):
    uptime_s: float


class Airing(Process):
    name = "airing"
    room = requires(BME280, id="room")
    fan = requires(Relay, id="fan")

    def __init__(self):
        self.presses = 0

    @effect
    def cool(self):
        celsius = self.room.temperature.sample.value
        if celsius is not None:
            self.fan.power.set(celsius > 24)

    @on(ButtonPressed)
    def pressed(self, event):
        self.presses += 1
        self.ctx.emit(Aired(1 / (1 - self.presses)))

    @command
    def air(self, share: float) -> float:
        self.ctx.emit(Aired(share))
        return share

    @command
    def sign_in(self, password: Secret) -> None:
        self.ctx.emit(Aired(0.5))


class Pulse(Service):
    name = "pulse"
    interval = 0.5

    def tick(self, ctx):
        ctx.emit(Alive(ctx.clock.uptime()))


def setup(runtime):
    runtime.register(Airing())
    runtime.register(Pulse())
"""

BUG, FIX = "1 / (1 - self.presses)", "1 / (1 + self.presses)"

Meanwhile = Callable[[Runtime, Bench, Clock], object]


def write_shed(folder: Path, app: str = APP, node: str = NODE) -> Path:
    """Write the shed's files; return its node file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shed_app.py").write_text(app, encoding="utf-8")
    (folder / "shed_world.py").write_text(WORLD, encoding="utf-8")
    (folder / "node.toml").write_text(node, encoding="utf-8")
    return folder / "node.toml"


def four_seconds(runtime: Runtime, bench: Bench, clock: Clock) -> None:
    """Let four seconds pass."""
    clock.sleep(4.0)


def record(
    node: Path,
    journal: Path,
    meanwhile: Meanwhile = four_seconds,
    *,
    seed: int | None = None,
    uptime_s: float = 0.0,
    faults: tuple[Fault, ...] = (),
    **options: Any,
) -> None:
    """Record a run of a node on simulated time, which has passed for `uptime_s` before."""
    with SimClock(seed=seed, uptime_s=uptime_s) as clock:
        plan = make_plan(node)
        limits = options.pop("limits", Limits())
        sink = SegmentSink(journal, limits, durable=False, compress=False, now_ns=clock.time_ns)
        with Journal(sink, clock, **options) as recording:
            around = recording.around
            runtime, bench = assemble_simulated(plan, clock, Runtime, around=around, faults=faults)
            recording.record(runtime, plan)
            with runtime:
                meanwhile(runtime, bench, clock)


def recorded(journal: Path) -> Recording:
    """Return the latest run of a journal."""
    return choose(read_journal(journal))


def played(journal: Path, node: Path, wanted: Wanted | None = None) -> Replayed:
    """Replay the latest run of a journal, the application loaded anew."""
    forget_shed()
    run = recorded(journal)
    return replay(run, plan_recorded(run, node), wanted)


def forget_shed() -> None:
    """Let the application be loaded anew, from wherever the next node file is."""
    for name in ("shed_app", "shed_world"):
        sys.modules.pop(name, None)
    sys.path[:] = [folder for folder in sys.path if not (Path(folder) / "shed_app.py").is_file()]


SECOND = 10**9
WALL_NS = 1_767_225_600 * SECOND


def at(seconds: float) -> tuple[int, int]:
    """Return both times of a record so many seconds after 2026 began."""
    now = round(seconds * SECOND)
    return now, WALL_NS + now

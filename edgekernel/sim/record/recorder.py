"""The recorder: follows the signals, faults and events of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.output import Output
from edgekernel.core.ownership import bereave
from edgekernel.core.process import Process
from edgekernel.core.reading import Reading
from edgekernel.core.runtime import Runtime
from edgekernel.core.tracebacks import place
from edgekernel.sim.faults.fault import Fault
from edgekernel.sim.faults.messages import FaultBegan, FaultEnded
from edgekernel.sim.faults.player import FaultPlayer
from edgekernel.sim.record.track import Track

_MOST_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class NotableEvent:
    """An event of severity WARNING or above."""

    at_s: float
    name: str
    severity: Severity
    text: str
    place: str = ""
    """Where in the application it went wrong: "app.py, line 8, in control"."""


@dataclass(slots=True)
class PlayedFault:
    """A fault that was there; one that is over at once, that ends by itself at a time that nobody
    tells, or that has no end yet, has none."""

    fault: str
    kind: str
    target: str
    settings: str
    began_s: float
    ended_s: float | None = None


class Recorder(Process):
    """Records a run that takes `span_s`: the component `recorder` of a simulated node.

    Its times count from the moment it starts, after the devices; events before that are at 0.
    """

    name = "recorder"

    def __init__(self, runtime: Runtime, span_s: float) -> None:
        """Begin to listen; what devices there are it sees when it starts."""
        self.span_s = span_s
        self.tracks: dict[str, Track] = {}
        """By label: "room.temperature"."""
        self.events: Counter[tuple[str, Severity]] = Counter()
        """How many there were of each message, by name and severity."""
        self.notable: list[NotableEvent] = []
        self.first: dict[tuple[str, Severity, str], NotableEvent] = {}
        """The first of each name, severity and place, whatever has become of `notable`."""
        self.faults: list[PlayedFault] = []
        self.restarts: Counter[str] = Counter()
        """How often each part was started again."""
        self._attempts: dict[str, int] = {}  # as told last: not each one is told
        self.all_safe_s = 0.0
        """How long every output that has a safe value was at it."""
        self._player: FaultPlayer | None = None
        self._begun_s: float | None = None
        self._ended_s: float | None = None
        self._effects: list[Effect] = []
        self._safe_since_s: float | None = None
        self.follow(runtime)

    def follow(self, runtime: Runtime) -> None:
        """Listen to a runtime from its first event on: that of an agent that is started again."""
        self._runtime = runtime
        runtime.subscribe(Message, self._note)

    def hear(self, player: FaultPlayer) -> None:
        """Hear of faults from who plays them, and not by way of an agent that may be dead."""
        self._player = player
        player.told.append(self._take)

    @property
    def unplayed(self) -> list[tuple[int, Fault]]:
        """The faults of the plan that have not begun, with their places in it, from 1 on."""
        begun = {int(each.fault) for each in self.faults}
        planned = () if self._player is None else self._player.faults
        return [(place, each) for place, each in enumerate(planned, 1) if place not in begun]

    def lose(self) -> None:
        """Take note that the agent has died: its signals say nothing any more."""
        bereave(self)
        for effect in self._effects:
            effect.dispose()
        self._effects.clear()
        for track in self.tracks.values():
            track.lose(self.now_s)
        self._look_whether_safe(False)

    @property
    def now_s(self) -> float:
        """The time now; after it has stopped, when it did."""
        if self._ended_s is not None or self._begun_s is None:
            return self._ended_s or 0.0
        return self._runtime.clock.monotonic() - self._begun_s

    def start(self, ctx: Context) -> None:
        """Follow every reading and output of the devices."""
        if self._begun_s is None or self._ended_s is not None:
            self._begun_s, self._ended_s = ctx.clock.monotonic(), None
        for device in ctx.devices.values():
            if device.kind != "bus":
                self._follow(device)

    def stop(self, ctx: Context) -> None:
        """Count what there was until now; what comes is the shutdown."""
        self.end()

    def end(self) -> None:
        """Count what there was until now; also where no agent is left to stop it."""
        if self._ended_s is not None:
            return
        for effect in self._effects:
            effect.dispose()
        self._effects.clear()
        for track in self.tracks.values():
            track.close(self.now_s)
        self._look_whether_safe(False)
        self._ended_s = self.now_s

    def _follow(self, device: Device) -> None:
        for name, reading in device.readings.items():
            self._add(f"{device.id}.{name}", reading, None)
        for name, output in device.outputs.items():
            self._add(f"{device.id}.{name}", output.readback, output)

    def _add(self, label: str, reading: Reading[Any], output: Output[Any] | None) -> None:
        values = reading.values
        safe = None if output is None else output.safe
        made = Track(label, values.unit, values.type, self.span_s, output is not None, safe)
        track = self.tracks.setdefault(label, made)
        self._effects.append(Effect(partial(self._sample, track, reading), name=f"record {label}"))

    def _sample(self, track: Track, reading: Reading[Any]) -> None:
        sample = reading.sample
        track.note(self.now_s, sample.value, sample.quality)
        if track.safe is not None:
            outputs = [each for each in self.tracks.values() if each.safe is not None]
            self._look_whether_safe(all(each.value == each.safe for each in outputs))

    def _look_whether_safe(self, safe: bool) -> None:
        since_s, now_s = self._safe_since_s, self.now_s
        if safe and since_s is None:
            self._safe_since_s = now_s
        elif not safe and since_s is not None:
            self.all_safe_s += now_s - since_s
            self._safe_since_s = None

    def _note(self, event: Event) -> None:
        told, severity = event.payload, event.payload.severity
        self.events[told.name, severity] += 1
        if severity >= Severity.WARNING:
            self._note_notable(told)
        if not (self._player and isinstance(told, FaultBegan | FaultEnded)):
            self._take(told)

    def _note_notable(self, told: Message) -> None:
        found = place(getattr(told, "traceback", ""))
        where = "" if found is None else str(found)
        noted = NotableEvent(self.now_s, told.name, told.severity, _words(told), where)
        self.first.setdefault((told.name, told.severity, where), noted)
        if len(self.notable) < _MOST_EVENTS:
            self.notable.append(noted)

    def _take(self, told: Message) -> None:
        take = _TAKERS.get(type(told))
        if take is not None:
            take(self, told)

    def _fault_began(self, told: FaultBegan) -> None:
        self.faults.append(
            PlayedFault(told.fault, told.kind, told.target, told.settings, self.now_s)
        )

    def _fault_ended(self, told: FaultEnded) -> None:
        if self._player is not None and self._player.faults[int(told.fault) - 1].ends_by_itself:
            return  # what ends here is the run
        for fault in self.faults:
            if fault.fault == told.fault and fault.ended_s is None:
                fault.ended_s = self.now_s
                return

    def _restarted(self, told: message.ServiceRestart) -> None:
        self.restarts[told.service] += 1

    def _retried(self, told: message.PartRetry) -> None:
        before, self._attempts[told.part] = self._attempts.get(told.part, 0), told.attempt
        self.restarts[told.part] += told.attempt - (before if told.attempt > before else 0)


_TAKERS: dict[type[Message], Callable[[Recorder, Any], None]] = {
    FaultBegan: Recorder._fault_began,
    FaultEnded: Recorder._fault_ended,
    message.ServiceRestart: Recorder._restarted,
    message.PartRetry: Recorder._retried,
}


def _words(told: Message) -> str:
    fields = told.to_dict()
    fields.pop("traceback", None)
    said = {n: f"{v:.6g}" if isinstance(v, float) else v for n, v in fields.items()}
    return "  ".join(f"{name}={value}" for name, value in said.items())

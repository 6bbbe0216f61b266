"""What a simulated run was like, in words: for people as tables, for machines as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from edgekernel.cli.console import out, show, table
from edgekernel.cli.simulated_run import SimulatedRun
from edgekernel.core.messages import Severity
from edgekernel.core.sample import Quality
from edgekernel.core.tracebacks import one_line
from edgekernel.node.plan import Plan
from edgekernel.sim.broker import Counts
from edgekernel.sim.faults import Fault
from edgekernel.sim.record import Recorder, Track

_WIDE, _SHORT = 120, 20
"""Columns of a terminal that has room for any name, and letters of a name that fits in any."""
_UNITS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0))


@dataclass(frozen=True)
class Run:
    """A simulated run that has ended."""

    plan: Plan
    recorder: Recorder
    stopped: str
    """Why it ended before its time; empty if it did not."""
    starts: int
    """How often the agent was started."""
    alive: bool
    """Whether an agent has run to the end."""
    seed: int | None
    wall_s: float
    critical: tuple[str, ...]
    """What was critical, in sentences."""
    lateness: tuple[str, float]
    """The service whose tick was latest, and by how many seconds."""
    broker: Counts | None
    """What the MQTT broker has seen; None if there was none."""

    @classmethod
    def of(
        cls,
        plan: Plan,
        simulated: SimulatedRun,
        stopped: str,
        seed: int | None,
        wall_s: float,
    ) -> Run:
        """Sum a run up."""
        recorder, services = simulated.recorder, simulated.services
        critical = [
            f"{count} {name}" for (name, severity), count in recorder.events.items()
            if severity >= Severity.CRITICAL
        ]  # fmt: skip
        critical += [stopped] if stopped.startswith("stopped") else []
        critical += simulated.problems()
        late = {name: float(each.get("lateness_max_s", 0.0)) for name, each in services.items()}
        latest = max(late.items(), key=lambda pair: pair[1], default=("", 0.0))
        starts, alive = simulated.node.starts, simulated.lived_on
        counts = None if simulated.broker is None else simulated.broker.counts
        return cls(
            plan, recorder, stopped, starts, alive, seed, wall_s, tuple(critical), latest, counts
        )

    @property
    def span_s(self) -> float:
        """How much simulated time has passed."""
        return min(self.recorder.now_s, self.recorder.span_s)

    def headline(self) -> tuple[str, str]:
        """Return a title and what stands below it; the same in each run of the same."""
        seed = "" if self.seed is None else f" · seed {self.seed}"
        events = sum(self.recorder.events.values())
        count, missed = len(self.recorder.faults), len(self.recorder.unplayed)
        faults = f" · {count} fault{'' if count == 1 else 's'}" if count or missed else ""
        faults += f", {missed} did not begin" if missed else ""
        return (
            f"{self.plan.name} · {duration(self.span_s)} simulated",
            f"{self.plan.path.name} on {self.plan.board.name}{seed} · {events} events{faults}"
            + (f" · {self.stopped}" if self.stopped else ""),
        )

    def page(self) -> Iterator[str | Text | Table]:
        """Return the summary in parts."""
        speed = self.span_s / self.wall_s if self.wall_s else 0.0
        title, below = self.headline()
        yield f"{title} in {self.wall_s:.1f} s: {speed:,.0f} times as fast as real time"
        yield below
        yield from self._readings()
        yield from self._outputs()
        yield from self._faults()
        yield from self._events()
        name, seconds = self.lateness
        yield ""
        yield f"worst lateness   {seconds * 1000:.3g} ms{f' ({name})' if name else ''}"
        yield f"time all safe    {duration(self.recorder.all_safe_s)}"
        yield f"restarts         {sum(self.recorder.restarts.values())}"
        for part, count in self.recorder.restarts.items():
            yield f"                 {part} {count}"
        if self.broker is not None:
            yield f"mqtt             {_link(self.broker)}"
        if self.starts > 1 or not self.alive:
            end = "" if self.alive else ", and no agent runs at the end"
            yield f"starts           {self.starts}{end}"

    def _readings(self) -> Iterator[str | Table]:
        tracks = [each for each in self.recorder.tracks.values() if not each.is_output]
        if not tracks:
            return
        made = table("", "reading", "min", "mean", "max", "", "good", "uncertain", "bad")
        for each in tracks:
            shares = [duration(each.quality_s[quality]) for quality in Quality]
            made.add_row(_name(each.label), *_numbers(each), each.unit, *shares)
        yield made

    def _outputs(self) -> Iterator[str | Table]:
        tracks = [each for each in self.recorder.tracks.values() if each.is_output]
        if not tracks:
            return
        made = table("", "output", "changes", "on", "at its safe value", "at the end")
        for each in tracks:
            safe = "-" if each.safe is None else duration(each.safe_s)
            row = (str(each.changes), duration(each.on_s), safe, show(each.value))
            made.add_row(_name(each.label), *row)
        yield made

    def _faults(self) -> Iterator[str | Table]:
        if self.recorder.faults:
            made = table("", "fault", "with", "settings", "at", "for")
            for each in self.recorder.faults:
                lasted = "-" if each.ended_s is None else duration(each.ended_s - each.began_s)
                made.add_row(each.kind, each.target, each.settings, duration(each.began_s), lasted)
            yield made
        for place, fault in self.recorder.unplayed:
            yield f"fault.{place} did not begin: {self._why_unplayed(fault)}"

    def _why_unplayed(self, fault: Fault) -> str:
        name = f"{fault.what.word} {fault.target}".strip()
        if fault.at_s >= self.span_s:
            return f"{name} is planned for {duration(fault.at_s)} after the start"
        return f"{name} has a probability of {fault.probability:g}"

    def _events(self) -> Iterator[str | Text | Table]:
        made = table("", "event", "severity", "times")
        counted = sorted(self.recorder.events.items(), key=lambda each: (-each[0][1], each[0][0]))
        for (name, severity), count in counted:
            style = "" if severity < Severity.WARNING else "yellow"
            made.add_row(name, severity.name.lower(), str(count), style=style)
        yield made
        yield from self._first()

    def _first(self) -> Iterator[str | Text]:
        """Say of each kind of event from WARNING up what its first one said, and where."""
        worst_first = sorted(self.recorder.first.values(), key=lambda each: -each.severity)
        if worst_first:
            yield "\nthe first of each:"
        for each in worst_first:
            place = f"  ({each.place})" if each.place else ""
            said = f"  at {duration(each.at_s)}  {each.name}  {each.text}{place}"
            yield Text(one_line(said), "red" if each.severity >= Severity.ERROR else "yellow")

    def to_dict(self) -> dict[str, Any]:
        """Return the summary, ready for JSON."""
        recorder = self.recorder
        return {
            "ok": not self.critical,
            "name": self.plan.name,
            "seed": self.seed,
            "span_s": self.span_s,
            "wall_s": self.wall_s,
            "speed": self.span_s / self.wall_s if self.wall_s else None,
            "stopped": self.stopped,
            "starts": self.starts,
            "alive": self.alive,
            "critical": list(self.critical),
            "events": [
                {"name": name, "severity": severity.name.lower(), "count": count}
                for (name, severity), count in sorted(recorder.events.items())
            ],
            "first": [
                {
                    "name": each.name,
                    "severity": each.severity.name.lower(),
                    "at_s": each.at_s,
                    "text": each.text,
                    "place": each.place,
                }
                for each in recorder.first.values()
            ],
            "readings": [_reading(t) for t in recorder.tracks.values() if not t.is_output],
            "outputs": [_output(t) for t in recorder.tracks.values() if t.is_output],
            "faults": [
                {
                    "fault": int(each.fault),
                    "kind": each.kind,
                    "target": each.target,
                    "settings": each.settings,
                    "began_s": each.began_s,
                    "ended_s": each.ended_s,
                }
                for each in recorder.faults
            ],
            "faults_unplayed": [
                {"fault": place, "kind": each.what.word, "target": each.target, "at_s": each.at_s}
                for place, each in recorder.unplayed
            ],
            "lateness_max_s": self.lateness[1],
            "lateness_max_of": self.lateness[0],
            "all_safe_s": recorder.all_safe_s,
            "restarts": dict(recorder.restarts),
            "mqtt": None if self.broker is None else asdict(self.broker),
        }


def _link(counts: Counts) -> str:
    told = {
        "connects": counts.connects,
        "messages from the node": counts.received,
        "to the node": counts.delivered,
        "last wills": counts.wills,
    }
    return ", ".join(f"{what} {count:,}" for what, count in told.items())


def duration(seconds: float) -> str:
    """Write a duration with two or three digits: "1.5 h", "90 s"."""
    for unit, length_s in _UNITS:
        if seconds >= 2 * length_s:
            return f"{seconds / length_s:.3g} {unit}"
    return f"{seconds:.3g} s"


def _name(label: str) -> str:
    """Write a signal's name; a long one has a line for each of its parts where there is little
    room, rather than an end anywhere in a word."""
    narrow = out.is_terminal and out.width < _WIDE and len(label) > _SHORT
    return label.replace(".", ".\n") if narrow else label


def _numbers(track: Track) -> tuple[str, str, str]:
    if track.mean is None:
        return ("-", "-", show(track.value) if track.kind is str else "-")
    return f"{track.low:.4g}", f"{track.mean:.4g}", f"{track.high:.4g}"


def _reading(track: Track) -> dict[str, Any]:
    known = track.mean is not None
    return {
        "reading": track.label,
        "unit": track.unit,
        "min": track.low if known else None,
        "mean": track.mean,
        "max": track.high if known else None,
        "changes": track.changes,
        **{f"{quality.value}_s": track.quality_s[quality] for quality in Quality},
    }


def _output(track: Track) -> dict[str, Any]:
    return {
        "output": track.label,
        "unit": track.unit,
        "changes": track.changes,
        "on_s": track.on_s,
        "safe_s": None if track.safe is None else track.safe_s,
        "value": track.value,
    }

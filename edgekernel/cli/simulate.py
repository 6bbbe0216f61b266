"""`edgekernel simulate`: a node through a simulated span of time, as fast as it can be computed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from edgekernel.cli.console import err, fail, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.cli.fault_plan_file import naming
from edgekernel.cli.run import tree
from edgekernel.cli.span import Span
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.node.plan import Plan, make_plan

if TYPE_CHECKING:
    from edgekernel.cli.simulate_view import Run
    from edgekernel.cli.simulated_run import SimulatedRun
    from edgekernel.sim.broker import SimBroker
    from edgekernel.sim.clock import SimClock

_PARTS = 400
"""After how many parts of the run the progress is shown anew, and its end is looked for."""


class _Picture(click.Path):
    """A file that a picture can be written to: better told now than after a long run."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Refuse a folder, a file in no folder, and a name that promises another format."""
        path = Path(str(super().convert(value, param, ctx)))
        if path.suffix not in ("", ".svg"):
            name = path.with_suffix(".svg").name
            self.fail(f"{path}: the picture is written as SVG: name it {name}", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{path}: there is no folder {path.parent}", param, ctx)
        return path


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--for", "span_s", type=Span(), default="24h", help="How long, such as 90s or 7d.")
@click.option("--seed", type=click.IntRange(min=0), help="The order of what is due at once.")
@click.option(
    "--faults", "plan_file", type=click.Path(readable=False, path_type=Path), help="A fault plan."
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Simulated seconds in a real one; without it as many as can be.",
)
@click.option(
    "--report",
    type=_Picture(dir_okay=False, path_type=Path),
    help="Draw a timeline into the file FILE, as SVG.",
    metavar="FILE",
)
@click.option(
    "--journal",
    type=click.Path(file_okay=False, path_type=Path),
    help="Record the run into the folder DIR.",
    metavar="DIR",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
def simulate(
    node: Path,
    span_s: float,
    seed: int | None,
    plan_file: Path | None,
    rate: float | None,
    report: Path | None,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Run the node described by the file NODE through a simulated span of time, and sum it up.

    It runs on the simulated board, in the worlds of its [sim] table, in simulated time: a day takes
    seconds, and each run with the same seed is the same, down to the bytes of its journal in a new
    folder. Only --journal records; a [journal] table says what and how much is kept.

    A node with an [mqtt] table is on an MQTT broker of the simulation. Exits with 1 if something
    critical happened: a critical service or a supervisor was given up, turns were dropped, or the
    node stopped before its time or without safe outputs.

    \b
      edgekernel simulate node.toml --for 7d
      edgekernel simulate node.toml --faults plan.toml --report day.svg
      edgekernel simulate node.toml --for 1h --seed 7 --journal run-7
    """
    try:
        plan = make_plan(node)
        run = _simulate(plan, span_s, seed, plan_file, rate, journal)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except BootError as error:
        fail(Exit.FAILED, tree(error))
    _tell(run, as_json)
    if report is not None:
        _write(report, run)
    if run.critical:
        fail(Exit.REFUSED, [f"{plan.name}: {problem}" for problem in run.critical])


def _simulate(
    plan: Plan,
    span_s: float,
    seed: int | None,
    plan_file: Path | None,
    rate: float | None,
    folder: Path | None,
) -> Run:
    from edgekernel.backends.sim import SimDisk
    from edgekernel.cli.simulate_view import Run
    from edgekernel.cli.simulated_run import SimulatedRun
    from edgekernel.node.fault_plan import load_faults
    from edgekernel.sim.clock import SimClock

    faults = () if plan_file is None else load_faults(plan_file)
    with (
        SimClock(seed=seed, rate=rate) as clock,
        closing(_CtrlC(clock)) as ctrl_c,
        closing(SimDisk(clock)) as disk,
        _broker(plan, clock) as broker,
    ):
        with naming(plan_file):
            simulated = SimulatedRun(plan, clock, faults, seed or 0, disk, folder, span_s, broker)
        begun_s = time.monotonic()
        with _progress(plan.name, span_s) as progress, simulated:
            stopped = _advance(clock, ctrl_c, simulated, progress)
        wall_s = time.monotonic() - begun_s
        return Run.of(plan, simulated, stopped, seed, wall_s)


@contextmanager
def _broker(plan: Plan, clock: SimClock) -> Iterator[SimBroker | None]:
    """Give a broker to a node that has an [mqtt] table."""
    if plan.document.mqtt is None:
        yield None
        return
    from edgekernel.sim.broker import SimBroker

    with SimBroker(clock) as broker:
        yield broker


def _advance(clock: SimClock, ctrl_c: _CtrlC, simulated: SimulatedRun, progress: Progress) -> str:
    """Let the span pass; return why it ended before, or nothing."""
    from edgekernel.cli.simulate_view import duration

    task, node, recorder = progress.task_ids[0], simulated.node, simulated.recorder
    part_s = simulated.span_s / _PARTS
    end_s = clock.monotonic() - recorder.now_s + simulated.span_s
    while not ctrl_c.seen and not node.ending and clock.monotonic() < end_s:
        with ctrl_c.ending_waits():
            clock.advance(min(part_s, end_s - clock.monotonic()))
        progress.update(task, completed=recorder.now_s)
    if ctrl_c.seen:
        return f"interrupted after {duration(recorder.now_s)}"
    return f"stopped by itself after {duration(recorder.now_s)}" if node.ending else ""


class _CtrlC:
    """Notes Ctrl-C, from its making on until its end, so that it ends the span and no part of the
    node. A second one is Python's own."""

    def __init__(self, clock: SimClock) -> None:
        self.seen = False
        self._clock = clock
        self._waits = False
        self._before = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._hear)

    @contextmanager
    def ending_waits(self) -> Iterator[None]:
        """Let it end what the main fiber waits for."""
        self._waits = not self.seen
        try:
            yield
        finally:
            self._waits = False

    def close(self) -> None:
        """Let others hear it."""
        signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: object) -> None:
        self.seen = True
        self.close()
        if self._waits:
            self._clock.interrupt()


@contextmanager
def _progress(name: str, span_s: float) -> Iterator[Progress]:
    from edgekernel.cli.simulate_view import duration

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[span]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        progress.add_task(name, total=span_s, span=f"of {duration(span_s)}")
        yield progress


def _write(report: Path, run: Run) -> None:
    from edgekernel.sim.record import draw

    picture = draw(run.recorder, *run.headline())
    try:
        report.write_text(picture, encoding="utf-8")
    except OSError as error:
        fail(Exit.REFUSED, [f"{report}: cannot be written: {error.strerror}"])


def _tell(run: Run, as_json: bool) -> None:
    if as_json:
        print_json(run.to_dict())
        return
    for part in run.page():
        out.print(part, soft_wrap=isinstance(part, str | Text))

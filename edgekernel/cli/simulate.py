"""`edgekernel simulate`: a node through a simulated span of time, as fast as it can be computed."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from edgekernel.cli.console import Exit, err, fail, out, print_json
from edgekernel.cli.ending import Ending
from edgekernel.cli.run import tree
from edgekernel.core.errors import BootError, ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.node.duration import LONGEST_S, parse_duration
from edgekernel.node.plan import Plan, make_plan

if TYPE_CHECKING:
    from edgekernel.cli.simulate_view import Run
    from edgekernel.sim.broker import SimBroker
    from edgekernel.sim.clock import SimClock
    from edgekernel.sim.faults import Fault
    from edgekernel.sim.record import Recorder

_PARTS = 400
"""After how many parts of the run the progress is shown anew, and its end is looked for."""


class _Span(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read "24h", "90s" or a number of seconds."""
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not 0 < seconds <= LONGEST_S:
            self.fail(f"{value!r} is not allowed; more than 0 is", param, ctx)
        return seconds


@click.command()
@click.argument("node", type=click.Path(path_type=Path))
@click.option("--for", "span_s", type=_Span(), default="24h", help="How long, such as 90s or 7d.")
@click.option("--seed", type=click.IntRange(min=0), help="The order of what is due at once.")
@click.option("--faults", "plan_file", type=click.Path(path_type=Path), help="A fault plan.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Simulated seconds in a real one; without it as many as can be.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Draw a timeline into an SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as a JSON object.")
def simulate(
    node: Path,
    span_s: float,
    seed: int | None,
    plan_file: Path | None,
    rate: float | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Run the node described by the file NODE through a simulated span of time, and sum it up.

    It runs on the simulated board, in the worlds of its [sim] table, in simulated time: a day takes
    seconds, and each run with the same seed is the same. A node with an [mqtt] table is on an MQTT
    broker of the simulation. Exits with 1 if something critical happened: a critical service or a
    supervisor was given up, turns were dropped, or the node stopped before its time or without safe
    outputs.

    \b
      edgekernel simulate node.toml --for 7d
      edgekernel simulate node.toml --faults plan.toml --report day.svg
    """
    try:
        plan = make_plan(node)
        run = _simulate(plan, span_s, seed, plan_file, rate)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    except BootError as error:
        fail(Exit.FAILED, tree(error))
    if report is not None:
        _write(report, run)
    _tell(run, as_json)
    if run.critical:
        fail(Exit.REFUSED, [f"{plan.name}: {problem}" for problem in run.critical])


def _simulate(
    plan: Plan, span_s: float, seed: int | None, plan_file: Path | None, rate: float | None
) -> Run:
    from edgekernel.cli.simulate_view import Run
    from edgekernel.node.fault_plan import load_faults
    from edgekernel.sim.clock import SimClock
    from edgekernel.sim.record import Recorder

    faults = () if plan_file is None else load_faults(plan_file)
    with (
        SimClock(seed=seed, rate=rate) as clock,
        closing(_CtrlC(clock)) as ctrl_c,
        _broker(plan, clock) as broker,
    ):
        runtime = _assemble(plan, clock, faults, plan_file, seed or 0, broker)
        if broker is not None:
            _connect(plan, runtime, broker, seed)
        recorder = Recorder(runtime, span_s)
        runtime.register(recorder)
        ending = Ending(runtime)
        begun_s = time.monotonic()
        with _progress(plan.name, span_s) as progress, runtime:
            stopped = _advance(clock, ctrl_c, runtime, recorder, progress)
            services = runtime.status()["services"]
        wall_s = time.monotonic() - begun_s
        counts = broker.counts if broker is not None else None
        return Run.of(plan, recorder, ending, services, stopped, seed, wall_s, counts)


def _assemble(
    plan: Plan,
    clock: SimClock,
    faults: Sequence[Fault],
    plan_file: Path | None,
    seed: int,
    broker: SimBroker | None,
) -> Runtime:
    from edgekernel.node.simulate import assemble_simulated

    try:
        made = assemble_simulated(plan, clock, Runtime, faults=faults, seed=seed, broker=broker)
        return made[0]
    except ConfigError as error:
        file = "" if plan_file is None else f"{plan_file.name}: "
        problems = (file + p if p.startswith("fault.") else p for p in error.problems)
        raise ConfigError(*problems) from error


@contextmanager
def _broker(plan: Plan, clock: SimClock) -> Iterator[SimBroker | None]:
    """Give a broker to a node that has an [mqtt] table."""
    if plan.document.mqtt is None:
        yield None
        return
    from edgekernel.sim.broker import SimBroker

    with SimBroker(clock) as broker:
        yield broker


def _connect(plan: Plan, runtime: Runtime, broker: SimBroker, seed: int | None) -> None:
    from edgekernel.mqtt.simulated import simulated_interface

    runtime.register(simulated_interface(plan, broker, seed))


def _advance(
    clock: SimClock, ctrl_c: _CtrlC, runtime: Runtime, recorder: Recorder, progress: Progress
) -> str:
    """Let the span pass; return why it ended before, or nothing."""
    task = progress.task_ids[0]
    part_s = recorder.span_s / _PARTS
    end_s = clock.monotonic() - recorder.now_s + recorder.span_s
    while not ctrl_c.seen and not runtime.phase.ending and clock.monotonic() < end_s:
        with ctrl_c.ending_waits():
            clock.advance(min(part_s, end_s - clock.monotonic()))
        progress.update(task, completed=recorder.now_s)
    if ctrl_c.seen:
        return f"interrupted after {recorder.now_s:g} s"
    return f"stopped by itself after {recorder.now_s:g} s" if runtime.phase.ending else ""


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
    with suppress(BrokenPipeError):  # such as of `head`
        for part in run.page():
            out.print(part, soft_wrap=isinstance(part, str))

"""`edgekernel replay`: a journal once more, through the same application or a changed one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from edgekernel.cli.console import err, fail_with, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.cli.moments import limits_ns, option_ns
from edgekernel.core.errors import ConfigError, EdgekernelError
from edgekernel.journal.text import iso

if TYPE_CHECKING:
    from edgekernel.journal.replay import Recording, Replayed, Wanted
    from edgekernel.node.plan import Plan
    from edgekernel.sim.clock import SimClock


@click.command()
@click.argument("folder", metavar="JOURNAL", type=click.Path(readable=False, path_type=Path))
@click.argument("node", required=False, type=click.Path(readable=False, path_type=Path))
@click.option("--from", "begin", metavar="TIME", help="Compare from this time on.")
@click.option("--to", "end", metavar="TIME", help="End at this time.")
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Recorded seconds in a real one; without it as many as can be.",
)
@click.option(
    "--tolerance",
    "tolerance_s",
    type=click.FloatRange(0, 60),
    default=0.5,
    show_default=True,
    help="By how many seconds something may come earlier or later and be the same.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as a JSON object.")
def replay(
    folder: Path,
    node: Path | None,
    begin: str | None,
    end: str | None,
    rate: float | None,
    tolerance_s: float,
    as_json: bool,
) -> None:
    """Run what the journal in the folder JOURNAL has recorded through the application again.

    What came to the node then comes again at its time, on a simulated clock: answers of buses and
    ports, edges, requests from outside, steps of the wall time. What the application does now is
    compared with what it did then, and nothing is switched: outputs, what is written to buses and
    ports, messages, results of requests. Without the file NODE it is the node that was recorded,
    with its application in the current folder.

    TIME is written as for `edgekernel journal show`. Of several runs in a journal the one is
    replayed that goes on at --from, else the latest, always from its beginning.

    \b
      edgekernel replay journal/                        is it as it was?
      edgekernel replay journal/ node.toml              and with this change?
      edgekernel replay journal/ --from 12:00 --rate 10

    A line with - is what was recorded, one with + what happens now. Exits with 0 if nothing
    differs, 1 if something does, 3 if the journal or the node file cannot be used, 4 if the
    replay has failed. How to make a test of it: edgekernel incident export --help.
    """
    try:
        run, plan = opened(folder, node, begin)
        wanted = _wanted(run, begin, end, rate, tolerance_s)
        result = _played(run, plan, wanted)
    except ConfigError as error:
        fail_with(Exit.NO_ANSWER, "refused", error.problems, as_json)
    except ImportError as error:  # an extra that is not installed says which
        fail_with(Exit.NO_ANSWER, "refused", [str(error)], as_json)
    except EdgekernelError as error:  # it does not come to an end
        fail_with(Exit.FAILED, "failed", [f"{folder}: the replay has failed: {error}"], as_json)
    if as_json:
        print_json(_data(result))
    else:
        _print(result, plan)
    raise click.exceptions.Exit(Exit.REFUSED if result.differences else Exit.DONE)


def opened(
    folder: Path,
    node: Path | None,
    begin: str | None,
    prefer: Callable[[Recording], bool] = lambda run: True,
) -> tuple[Recording, Plan]:
    """Return the run that is meant, and the plan of its node.

    Without a time that is the latest one that is preferred, else the latest. Raises ConfigError.
    """
    from edgekernel.journal.replay import RecordingError, choose, plan_recorded, read_journal

    try:
        runs = read_journal(folder)
        last_ns = runs[-1].last_wall_ns if runs else 0
        run = choose(runs, option_ns("--from", begin, last_ns))
        if begin is None:
            run = next((each for each in reversed(runs) if prefer(each)), run)
        plan = plan_recorded(run, node)
    except RecordingError as error:
        raise ConfigError(str(error)) from error
    if plan.devices and not run.has_bus:
        raise ConfigError(
            f"{folder}: this run has nothing of its buses and lines, so there is nothing to "
            'replay: let [journal] record "bus" (its key `what`)'
        )
    return run, plan


def _wanted(
    run: Recording, begin: str | None, end: str | None, rate: float | None, tolerance_s: float
) -> Wanted:
    from edgekernel.journal.replay import Wanted

    limits = [None if ns is None else run.monotonic_at(ns) for ns in limits_ns(run, begin, end)]
    return Wanted(rate, tolerance_s, *limits)


def _played(run: Recording, plan: Plan, wanted: Wanted) -> Replayed:
    from edgekernel.journal.replay import replay as play

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(plan.name, total=1.0)
        told = partial(progress.update, task)
        return play(run, plan, wanted, lambda share: told(completed=share), _advance)


def _advance(clock: SimClock, seconds: float) -> None:
    """Let time pass; Ctrl-C ends that, and is raised where nothing of the node runs."""
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        clock.interrupt()

    before = signal.signal(signal.SIGINT, hear)
    try:
        clock.advance(seconds)
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def _print(result: Replayed, plan: Plan) -> None:
    with suppress(BrokenPipeError):  # such as of `head`
        for line in page(result, plan):
            out.print(line, soft_wrap=True)


def page(result: Replayed, plan: Plan) -> Iterator[str | Text]:
    """Return the result as people read it, line by line."""
    from edgekernel.journal.replay.wording import lines

    run = result.recording
    begin, end = (iso(ns)[:19].replace("T", " ") for ns in (run.boot.time_ns, run.last_wall_ns))
    yield f"{plan.name}: replayed from {begin} to {end}{_app(result, plan)}"
    for note in result.notes:
        yield f"note: {note}"
    if result.repeated:
        yield f"note: {_count(result.repeated, 'time')} the latest answer was given once more"
    yield f"{_count(len(result.differences), 'difference')}, {result.agree} acts agree"
    for difference in result.differences:
        for line in lines(difference):
            yield Text(line, "green" if difference.now and line.endswith(difference.now) else "red")


def _app(result: Replayed, plan: Plan) -> str:
    from edgekernel.journal.origin import app_version

    then = result.recording.boot.versions.get("app")
    now = app_version(plan).get("app")
    if then is None or now is None:
        return ""
    return ", the application is as it was" if then == now else ", the application has changed"


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _data(result: Replayed) -> dict[str, Any]:
    run = result.recording
    return {
        "node": run.boot.node,
        "begin": iso(run.boot.time_ns),
        "end": iso(run.last_wall_ns),
        "whole": run.whole and not run.holes and not run.damaged,
        "agree": result.agree,
        "repeated_answers": result.repeated,
        "notes": result.notes,
        "differences": [
            {
                "time": iso(each.time_ns),
                "monotonic_ns": each.monotonic_ns,
                "where": each.stream,
                "recorded": each.then or None,
                "now": each.now or None,
            }
            for each in result.differences
        ],
    }

"""`edgekernel incident`: a failure in the field as a test that fails in the same way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekernel.cli.console import fail, out
from edgekernel.cli.exits import Exit
from edgekernel.cli.moments import check_time, limits_ns, wall_time_ns
from edgekernel.cli.replay import opened
from edgekernel.core.errors import ConfigError
from edgekernel.journal.describing import words_of
from edgekernel.journal.text import iso

if TYPE_CHECKING:
    from edgekernel.journal.records import EventRecord
    from edgekernel.journal.replay import Recording
    from edgekernel.journal.replay.expect import Expectation
    from edgekernel.journal.replay.incident import Incident
    from edgekernel.node.plan import Plan

_LISTED = 5


@click.group()
def incident() -> None:
    """Make a test of what went wrong in the field.

    \b
      edgekernel incident export journal/ -o test_incident.py
      pytest test_incident.py             it fails as the field did
                                          (now mend the application)
      pytest test_incident.py             and now it passes
    """


@incident.command(short_help="Write a test that fails as the field did.")
@click.argument("folder", metavar="JOURNAL", type=click.Path(readable=False, path_type=Path))
@click.argument("node", required=False, type=click.Path(readable=False, path_type=Path))
@click.option(
    "-o", "--output", "file", required=True, metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path), help="The test, such as test_incident.py.",
)  # fmt: skip
@click.option("--from", "begin", metavar="TIME", help="What went wrong came from this time on.")
@click.option("--to", "end", metavar="TIME", help="And before this time.")
@click.option("--cut", is_flag=True, help="Leave out what was between the boot and --from.")
@click.option(
    "--expect", "sentences", multiple=True, metavar="SENTENCE",
    help='What is to be instead: "fan.power is on within 30s after 12:04:10".',
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Let it fail on every difference to the record.")
@click.option("--no-check", is_flag=True, help="Do not try whether it fails.")
def export(
    folder: Path,
    node: Path | None,
    file: Path,
    begin: str | None,
    end: str | None,
    cut: bool,
    sentences: tuple[str, ...],
    strict: bool,
    no_check: bool,
) -> None:
    """Write a test that plays what the journal in the folder JOURNAL has recorded, and fails.

    By itself it asserts that no failure of code comes again that was recorded between --from and
    --to: exceptions in handlers, effects, services, commands and drivers. With --expect it asserts
    that, and may be given several times: an output "is" a value, a message comes, or "no" message
    comes, "within" a time "after" a time. What the application does otherwise than then is shown
    and is no failure, unless with --strict.

    The test has everything in it: the node file, what came to the node, the place of the
    application, which is looked for beside the file NODE, or in the current folder. It needs pytest
    and edgekernel. Secrets that the journal hides are hidden in it; what went over buses and serial
    lines is in it as it was.

    TIME is written as for `edgekernel journal show`. The test has the whole run up to the failure.
    If that is too much, --cut lets the node boot at --from: then it does not know what it had come
    to know until then, except what it was asked from outside.

    \b
      edgekernel incident export journal/ -o test_incident.py
      edgekernel incident export journal/ node.toml --from 12:00 -o test_fan.py \\
          --expect "fan.power is on within 30s after 12:04:10"

    Of several runs in a journal it is the one that goes on at --from, else the latest in which
    code has failed.

    Exits with 0 if the test is written and fails as it should, 1 if there is nothing to assert or
    the test does not fail here, 3 if the journal or the node file cannot be used.
    """
    asked = _Asked(begin, end, cut, sentences, strict)
    try:
        prefer = _anything if sentences or strict else _has_failures
        made = _incident(*opened(folder, node, begin, prefer), asked)
        text = _text(made, file)
    except ConfigError as error:
        fail(Exit.NO_ANSWER, error.problems)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.NO_ANSWER, [str(error)])
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(Exit.REFUSED, [f"{file}: cannot be written: {error.strerror}"])
    out.print(f"{file}: {made.title}", soft_wrap=True)
    if not no_check:
        _check(made, file)


@dataclass(frozen=True, slots=True)
class _Asked:
    begin: str | None
    end: str | None
    cut: bool
    sentences: tuple[str, ...]
    strict: bool


def _incident(run: Recording, plan: Plan, asked: _Asked) -> Incident:
    """Find out what the test is about. Ends with what is missing if that is nothing."""
    from edgekernel.journal.replay.incident import (
        Incident,
        decided_ns,
        errors,
        expect_none_of,
        is_of_code,
        title_of,
    )

    begin, end = (
        None if ns is None else run.monotonic_at(ns)
        for ns in limits_ns(run, asked.begin, asked.end)
    )
    from_ns = run.boot.monotonic_ns if begin is None else begin
    to_ns = run.end_ns if end is None else end
    found = errors(run, from_ns, to_ns)
    of_code = [each for each in found if is_of_code(each)]
    expected = _expected(asked.sentences, run, plan) or expect_none_of(of_code)
    if not expected and not asked.strict:
        fail(Exit.REFUSED, _nothing(run, found))
    ends_ns = [run.end_ns if each.end_ns is None else each.end_ns for each in expected]
    if asked.sentences or asked.strict:
        until_ns = to_ns if asked.strict else decided_ns(run, (), ends_ns)
    else:
        until_ns = decided_ns(run, of_code, ())
    title = title_of(run, of_code or found)
    return Incident(
        run, plan, expected, title, asked.strict, from_ns if asked.cut else None, until_ns
    )


def _anything(run: Recording) -> bool:
    return True


def _has_failures(run: Recording) -> bool:
    """Say whether code has failed in a run: one after it, of an agent that began anew, has not."""
    from edgekernel.journal.replay.incident import errors, is_of_code

    return any(map(is_of_code, errors(run, run.boot.monotonic_ns, run.end_ns)))


def _expected(sentences: tuple[str, ...], run: Recording, plan: Plan) -> list[Expectation]:
    """Read what is to be. Ends with what could not come true whatever the application does."""
    from edgekernel.journal.replay.expect import parse
    from edgekernel.node.problems import did_you_mean

    try:
        found = [parse(each, partial(wall_time_ns, last_ns=run.last_wall_ns)) for each in sentences]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expect") from None
    known = _outputs(run, plan)
    for each, sentence in zip(found, sentences, strict=True):
        if each.value is not None and each.name not in known:
            text = f"no output {each.name!r} in this node; {did_you_mean(each.name, known)}"
            raise click.BadParameter(text, param_hint="--expect")
        check_time(run, each.after_ns, each.end_ns, f"--expect {sentence!r}")
    return found


def _outputs(run: Recording, plan: Plan) -> list[str]:
    """Return the outputs of a node: those of its drivers, and what was set then."""
    from edgekernel.journal.records import OutputRecord
    from edgekernel.node.outputs import declared_outputs

    declared = {
        f"{device.id}.{name}" for device in plan.devices for name in declared_outputs(device.driver)
    }
    return sorted(declared | {r.output for r in run.records if isinstance(r, OutputRecord)})


def _nothing(run: Recording, found: list[EventRecord]) -> Iterator[str]:
    """Say that there is nothing to assert, and what there is instead."""
    yield (
        f"{run.boot.node}: no failure of code in this time: say with --expect what is to be, "
        "or choose another time with --from and --to"
    )
    for event in found[:_LISTED]:
        yield f"  {iso(event.time_ns)[:19]}  {event.source}: {words_of(event)}"
    if len(found) > _LISTED:
        yield f"  ... and {len(found) - _LISTED} errors more"


def _text(made: Incident, file: Path) -> str:
    from edgekernel.journal.replay.incident import LARGEST, as_test

    text = as_test(made, file)
    if len(text) > LARGEST:
        raise ConfigError(
            f"{file}: the test would have {len(text) / 1e6:.1f} million letters; let it begin "
            "later, with --from and --cut, or end earlier, with --to"
        )
    return text


def _check(made: Incident, file: Path) -> None:
    """Play what the test plays; say whether it fails, and end with 1 if it does not."""
    from edgekernel.journal.replay import choose, recordings, replay
    from edgekernel.journal.replay.cut import cut
    from edgekernel.journal.replay.expect import problems

    to_ns = made.recording.end_ns if made.to_ns is None else made.to_ns
    played = replay(choose(recordings(cut(made.recording, made.from_ns, to_ns))), made.plan)
    found = problems(made.expectations, played)
    if not found and not (made.strict and played.differences):
        text = "it passes here: this application does not do what was done in the field"
        fail(Exit.REFUSED, [f"{file}: {text}", *(f"note: {note}" for note in played.notes)])
    for each in found or [f"{len(played.differences)} differences"]:
        out.print(f"it fails: {each.splitlines()[0].rstrip(':')}", soft_wrap=True)

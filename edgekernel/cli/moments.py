"""Times of a journal as they are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from edgekernel.core.clock import NANOSECONDS
from edgekernel.journal.text import iso

if TYPE_CHECKING:
    from edgekernel.journal.replay import Recording

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h|d)", re.ASCII)
_UNITS_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_OF_DAY = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HINT = (
    "a time such as 2026-01-31T12:00:00, or 12:00 of the last day, or how long before the end, "
    "such as 10min"
)


def wall_time_ns(text: str, last_ns: int) -> int:
    """Return a time in nanoseconds since 1970; one that is meant from the end, from `last_ns`.

    A time of day is the latest one that is not after the end. Raises ValueError.
    """
    match = _DURATION.fullmatch(text)
    if match is not None:
        return last_ns - round(float(match[1]) * _UNITS_S[match[2]] * NANOSECONDS)
    of_day = _OF_DAY.fullmatch(text) is not None
    day = f"{datetime.fromtimestamp(last_ns // NANOSECONDS, UTC).date()}T" if of_day else ""
    try:
        found = _since_1970(datetime.fromisoformat(day + text))
    except ValueError:
        raise ValueError(f"{text!r} is not allowed; {_HINT}") from None
    return found - 86400 * NANOSECONDS if of_day and found > last_ns else found


def option_ns(option: str, text: str | None, last_ns: int) -> int | None:
    """Return the time of an option, None if it was not given. Raises click's BadParameter."""
    if text is None:
        return None
    try:
        return wall_time_ns(text, last_ns)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def limits_ns(run: Recording, begin: str | None, end: str | None) -> tuple[int | None, int | None]:
    """Return the wall times of --from and --to. Raises click's BadParameter, also if nothing of a
    run lies between them."""
    begin_ns = option_ns("--from", begin, run.last_wall_ns)
    end_ns = option_ns("--to", end, run.last_wall_ns)
    check_time(run, begin_ns, None, f"--from {begin}")
    check_time(run, None, end_ns, f"--to {end}")
    if begin_ns is not None and end_ns is not None and begin_ns >= end_ns:
        raise click.BadParameter(f"{end} is not after --from {begin}", param_hint="--to")
    return begin_ns, end_ns


def check_time(run: Recording, begin_ns: int | None, end_ns: int | None, hint: str) -> None:
    """Raise click's BadParameter if nothing of a run lies between two wall times."""
    if run.lies_in(begin_ns, end_ns):
        return
    first, last, *meant = (
        iso(each)[:19] for each in (run.boot.time_ns, run.last_wall_ns, begin_ns, end_ns) if each
    )
    text = f"nothing was recorded at {meant[0]}; this run is from {first} to {last}"
    raise click.BadParameter(text, param_hint=hint)


def _since_1970(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1000

"""How long something is to take, as it is written on the command line, for every command."""

from __future__ import annotations

from typing import Any

import click

from edgekernel.node.duration import LONGEST_S, parse_duration


class Span(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions only
    """Seconds, more than 0 or also 0, of "10", "10s", "500ms" or "24h"."""

    name = "duration"

    def __init__(self, *, or_none: bool = False) -> None:
        """Allow 0 if no time at all makes sense."""
        self._or_none = or_none

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; ends with the usage if they are none."""
        try:
            seconds = parse_duration(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not 0 <= seconds <= LONGEST_S or (seconds == 0 and not self._or_none):
            least = "0 or more" if self._or_none else "more than 0"
            self.fail(f"{value!r} is not allowed; {least} is, up to a hundred years", param, ctx)
        return seconds

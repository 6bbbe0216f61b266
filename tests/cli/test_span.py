"""How long something is to take: read alike by every command."""

from __future__ import annotations

import click
import pytest

from edgekernel.cli.span import Span
from edgekernel.node.duration import LONGEST_S


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("10s", 10), ("0.5", 0.5), ("500ms", 0.5), ("24h", 86400), ("36600d", LONGEST_S)],
)
def test_allowed(text: str, seconds: float) -> None:
    """A number of seconds, and a number with a unit, up to a hundred years."""
    assert Span().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "0s", "-5", "nan", "inf", "36601d"])
def test_refused(text: str) -> None:
    """What is no duration, no time at all, back in time, or beyond all bounds is refused."""
    with pytest.raises(click.UsageError):
        Span().convert(text, None, None)


def test_none_at_all() -> None:
    """0 is allowed where a command can do with it; back in time is nowhere."""
    assert Span(or_none=True).convert("0", None, None) == 0
    with pytest.raises(click.UsageError, match="0 or more is"):
        Span(or_none=True).convert("-1", None, None)

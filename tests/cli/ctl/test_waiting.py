"""What a person sees while nodes are waited for."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from edgekernel.cli import console as consoles
from edgekernel.cli.ctl import waiting as module
from edgekernel.cli.ctl.waiting import Waiting
from tests.cli.ctl.conftest import Ctl


def test_after_a_second() -> None:
    """What is over within a second shows nothing; then there is a line that tells how far it is,
    and it goes at the end."""
    now_s, file = 0.0, StringIO()
    console = Console(file=file, force_terminal=True, width=80)
    with Waiting("info", console, lambda: now_s) as waiting:
        waiting.refresh()
        now_s = 0.9
        waiting.begin(4)
        waiting.refresh()
        assert "info" not in file.getvalue()
        now_s = 1.0
        waiting.step()
        waiting.refresh()
        assert "info" in file.getvalue()
        assert "25%" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")  # the line is erased


def test_not_known_how_far() -> None:
    """As long as it is not known how much there is to do, there is no share of it."""
    now_s, file = 0.0, StringIO()
    with Waiting("nodes", Console(file=file, force_terminal=True), lambda: now_s) as waiting:
        now_s = 2.0
        waiting.refresh()
        assert "nodes" in file.getvalue()
        assert "%" not in file.getvalue()


def test_no_terminal() -> None:
    """What is no terminal is told nothing."""
    now_s, file = 0.0, StringIO()
    with Waiting("info", Console(file=file), lambda: now_s) as waiting:
        now_s = 2.0
        waiting.begin(1)
        waiting.step()
        waiting.refresh()
    assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("nodes",), "nodes"),
        (("info", "--all"), "info"),
        (("health", "--all"), "health"),
        (("schema", "--all"), "schema"),
        (("get", "--all"), "get"),
        (("busy", "--all"), "busy"),
        (("config", "show", "--all"), "config"),
        (("call", "--all", "control.both"), "call"),
        (("info", "bench-1"), "info"),
        (("get", "bench-1"), "get"),
        (("busy", "bench-1"), "busy"),
        (("config", "show", "bench-1"), "config"),
        (("call", "bench-1", "control.both"), "call"),
    ],
)
def test_who_waits_sees_it(
    ctl: Ctl, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], what: str
) -> None:
    """Every subcommand that waits for nodes, many or one, shows it on a terminal; what it prints on
    standard output is the same."""
    plain = ctl(*args, "--json")
    assert plain.stderr == ""
    monkeypatch.setattr(module, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(consoles.err, "_force_terminal", True)
    monkeypatch.setattr(consoles.err, "is_interactive", True)
    shown = ctl(*args, "--json")
    assert (shown.exit_code, what in shown.stderr) == (0, True)
    whole = [_steady(json.loads(each.stdout), what) for each in (shown, plain)]
    assert whole[0] == whole[1]


def _steady(document: Any, what: str) -> Any:
    """Return what was printed without what changes by itself: times, and the figures of a health,
    each of which is 0."""
    if isinstance(document, dict):
        return {key: _steady(each, what) for key, each in document.items() if key != "time"}
    if isinstance(document, list):
        return [_steady(each, what) for each in document]
    return 0 if what == "health" and isinstance(document, int | float) else document

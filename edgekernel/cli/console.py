"""What the subcommands share with the terminal: output and errors."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click
from rich.console import Console, ConsoleDimensions
from rich.table import Table

from edgekernel.cli.exits import Exit

_PIPE_WIDTH = 1000
"""Columns of what is no terminal: nothing is folded there, so that `grep` finds it."""


class _Console(Console):
    """Text is no markup: it comes from files, drivers and other computers."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the terminal, or what COLUMNS says; without both so wide that nothing is
        folded."""
        size = super().size
        wide = not self.is_terminal and "COLUMNS" not in os.environ
        return ConsoleDimensions(_PIPE_WIDTH, size.height) if wide else size

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def on_broken_pipe(self) -> None:
        """End well: whoever was reading, such as `head`, has seen enough."""
        if self.stderr:
            super().on_broken_pipe()
        leave()


out = _Console()
err = _Console(stderr=True)


def leave() -> NoReturn:
    """End well though standard output takes no more."""
    _forget_output()
    raise click.exceptions.Exit(Exit.DONE)


def fail_to_write(error: OSError) -> NoReturn:
    """End after an error of writing: well if nobody reads any more, else with what was wrong."""
    if error.errno == errno.EPIPE:
        leave()
    _forget_output()
    fail(Exit.REFUSED, [f"the output cannot be written: {error.strerror}"])


def _forget_output() -> None:
    """Let Python not try once more, at its end, to write what could not be written."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until the end)


def fail(code: Exit, problems: Iterable[str]) -> NoReturn:
    """Print each problem on standard error and end with an exit code."""
    for problem in problems:
        click.echo(problem, err=True)
    raise click.exceptions.Exit(code)


def fail_with(exit: Exit, code: str, problems: Iterable[str], as_json: bool) -> NoReturn:
    """Print problems on standard error or, as JSON, with their code on standard output; end."""
    if not as_json:
        fail(exit, problems)
    error = {"code": code, "message": "\n".join(problems)}
    click.echo(json.dumps({"ok": False, "error": error}, ensure_ascii=False))
    raise click.exceptions.Exit(exit)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(title: str, *columns: str) -> Table:
    """Return an empty table in the house style."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        made.add_column(column, overflow="fold", no_wrap=number == 0)  # a name stays in one piece
    return made


def show(value: object) -> str:
    """Return a value as people write it: a switch is on or off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else str(value)

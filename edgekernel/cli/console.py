"""What the subcommands share with the terminal: output, errors, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table


class Exit(IntEnum):
    """The exit codes of every subcommand; 2 is click's, for wrong usage."""

    DONE = 0
    REFUSED = 1
    NO_ANSWER = 3
    FAILED = 4
    CHANGES = 5
    """There is something to do, and nothing was done: only where it is asked for."""
    FELL_BACK = 6
    """An update was given up, and the system before it runs again."""


# What is printed comes from files, drivers and other computers: it is text and never markup.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


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
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def show(value: object) -> str:
    """Return a value as people write it: a switch is on or off."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else str(value)

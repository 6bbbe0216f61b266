"""`edgekernel plan`: what a new node file would do to a running node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

import click

from edgekernel.cli.check import check_all
from edgekernel.cli.console import fail, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.cli.plan_view import page
from edgekernel.core.errors import ConfigError
from edgekernel.core.runtime import Runtime
from edgekernel.node.config_record import RecordFile
from edgekernel.node.difference import difference
from edgekernel.node.forecast import forecast
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.starting import read_document


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="[OLD] NEW",
    type=click.Path(readable=False, path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--exit-code", is_flag=True, help="Exit with 5 if there is something to do.")
def plan(files: tuple[Path, ...], as_json: bool, exit_code: bool) -> None:
    """Show what the node file NEW would do to a node that runs OLD.

    Without OLD it is compared with what the node on this computer runs, as it has kept that in its
    data folder; see `edgekernel ctl config plan` for other computers.

    Lists the devices that would start, stop, be replaced (their outputs are at their safe values
    meanwhile) or be adjusted without a break, whether the link to the broker is made anew, and
    which keys need a restart of the agent. NEW is checked as by `edgekernel check`, and every
    mistake is told. Touches no hardware, and nothing that runs.

    Exits with 1 if there is a mistake; with --exit-code, 0 is nothing to do and 5 something.
    """
    if len(files) > 2:
        raise click.UsageError("give at most two files: [OLD] NEW")
    try:
        *old, new = list(files)
        wanted = check_all(new)
        running = make_plan(old[0], os.environ) if old else _running(wanted.plan)
    except ConfigError as error:
        _refuse(error, as_json)
    except ImportError as error:  # an extra that is not installed says which
        fail(Exit.REFUSED, [str(error)])
    found = forecast(difference(running, wanted.plan), _parts_of(running), wanted.runtime)
    if as_json:
        print_json({"ok": True, "node": running.name, **found})
    else:
        for part in page(running.name, found):
            out.print(part, soft_wrap=isinstance(part, str))
    if exit_code and found["changes"]:
        raise click.exceptions.Exit(Exit.CHANGES)


def _running(wanted: Plan) -> Plan:
    """Return what the node runs, as far as it has proven itself. Raises ConfigError."""
    file = wanted.path.name
    if wanted.data is None:
        raise ConfigError(f"{file}: node.data is missing, so that nothing is kept: name OLD too")
    record = RecordFile(wanted.data).read()
    if record.good is None:
        why = record.problem or "nothing that a node has run is kept there"
        raise ConfigError(f"{file}: node.data: {wanted.data}: {why}: name OLD too")
    return read_document(wanted.path, record.good.document, wanted, os.environ)


def _refuse(error: ConfigError, as_json: bool) -> NoReturn:
    if as_json:
        refused: dict[str, Any] = {"ok": False, "problems": list(error.problems)}
        print_json(refused)
        raise click.exceptions.Exit(Exit.REFUSED)
    fail(Exit.REFUSED, error.problems)


def _parts_of(running: Plan) -> Runtime | None:
    """Return the parts of what runs; None if they cannot be made here."""
    from edgekernel.cli.check import make_parts

    try:
        return make_parts(running)
    except ConfigError:
        return None

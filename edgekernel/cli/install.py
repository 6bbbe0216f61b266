"""`edgekernel install`: make a node a service that starts with the computer."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from edgekernel.cli.console import err, fail, out, print_json
from edgekernel.cli.exits import Exit
from edgekernel.cli.standby import has_outputs
from edgekernel.core.errors import ConfigError
from edgekernel.node.installation import (
    InstallError,
    Step,
    WriteFile,
    can_install,
    to_install,
    to_remove,
    unreadable,
)
from edgekernel.node.plan import make_plan
from edgekernel.node.unit import Unit

_USUAL = "edgekernel"
"""The name of the service and of its user."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@click.command()
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--apply", "applied", is_flag=True, help="Do it. Without this it is only shown.")
@click.option("--remove", is_flag=True, help="Take the service away; its data stays.")
@click.option("--no-start", is_flag=True, help="Let it start with the computer, not now.")
@click.option(
    "--no-standby", is_flag=True, help="Save its memory: after a kill only safe-state acts."
)
@click.option("--name", default=_USUAL, show_default=True, help="The name of the service.")
@click.option("--user", default=_USUAL, show_default=True, help="Who the agent runs as.")
@click.option("--json", "as_json", is_flag=True, help="Print the steps as a JSON array.")
def install(
    node: Path,
    applied: bool,
    remove: bool,
    no_start: bool,
    no_standby: bool,
    name: str,
    user: str,
    as_json: bool,
) -> None:
    """Make the node of the file NODE a systemd service; first shows what that means.

    The agent runs as a user of its own that may use the devices of this node and little else. It is
    started again whenever it ends; systemd's watchdog is fed while the node makes progress; and
    after every end, `kill -9` and power trouble of the process included, the outputs are driven to
    their safe values: of a node with outputs by a second service, which stands by, within
    milliseconds, and then by `edgekernel safe-state`. What an installation writes, another one
    writes again: change it in a drop-in (systemctl edit).

    \b
      edgekernel install /etc/edgekernel/node.toml            show every file and command
      sudo edgekernel install /etc/edgekernel/node.toml --apply
      sudo edgekernel install /etc/edgekernel/node.toml --apply --remove

    Exits with 1 if the node file is wrong or a step fails.
    """
    for option, value in (("--name", name), ("--user", user)):
        if not _NAME.fullmatch(value):
            raise click.BadParameter(f"{option}: {value!r} is not a-z, 0-9 and '-', 31 at most")
    try:
        plan = make_plan(node)
        python = Path(sys.executable).resolve()
        standby = not no_standby and has_outputs(plan)
        unit = Unit(plan, _program(), python, node.resolve(), name, user, standby)
        steps = list(to_remove(name) if remove else to_install(unit, start=not no_start))
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    problems = [] if remove else unreadable(unit)
    if applied:
        if refused := [*filter(None, [can_install()]), *problems]:
            fail(Exit.REFUSED, refused)
        _take(steps)
    elif as_json:
        print_json([_as_dict(step) for step in steps])
    else:
        _show(steps)
        given = {"--remove": remove, "--no-start": no_start, "--no-standby": no_standby}
        options = [option for option, wanted in given.items() if wanted]
        options += [] if name == _USUAL else ["--name", name]
        options += [] if user == _USUAL else ["--user", user]
        words = ["sudo", str(_program()), "install", str(node.resolve()), *options, "--apply"]
        out.print(f"Nothing was done. To do it:\n\n  {shlex.join(words)}", soft_wrap=True)
        for problem in problems:
            err.print(f"it would be refused: {problem}", soft_wrap=True, style="yellow")


def _program() -> Path:
    """Return the absolute path of this program, as the service has to call it."""
    beside = Path(sys.executable).parent / "edgekernel"
    found = shutil.which(sys.argv[0]) or (str(beside) if beside.exists() else None)
    if found is None:
        raise ConfigError(
            f"no edgekernel command beside {sys.executable}: install the package, then run this "
            "with its own edgekernel command"
        )
    return Path(found).absolute()


def _take(steps: Iterable[Step]) -> None:
    try:
        for step in steps:
            out.print(str(step), soft_wrap=True)
            if said := step.take():
                out.print(f"  {said}", soft_wrap=True)
    except InstallError as error:
        fail(Exit.REFUSED, [str(error)])


def _show(steps: Iterable[Step]) -> None:
    out.print("Nothing is done yet. With --apply:\n")
    for step in steps:
        out.print(str(step), style="bold", soft_wrap=True)
        if isinstance(step, WriteFile):
            out.print("".join(f"  {line}\n" for line in step.text.splitlines()), soft_wrap=True)


def _as_dict(step: Step) -> dict[str, object]:
    kind, what = str(step).split(" ", 1)
    text = step.text if isinstance(step, WriteFile) else None
    return {"step": kind, "what": what, "text": text}

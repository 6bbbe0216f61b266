"""A pair of keys for who signs requests: keygen."""

from __future__ import annotations

from pathlib import Path

import click

from edgekernel.cli.console import err, fail
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError, EdgekernelError
from edgekernel.mqtt.keys import make_pair


@ctl.command()
@click.argument("name")
@click.option(
    "--out",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    help="The folder for both files; else this one.",
)
def keygen(name: str, folder: Path) -> None:
    """Make a pair of keys for the principal NAME, a person or a program.

    NAME.key is the private one, for its owner's eyes only: make it where it is used, and keep it
    there. NAME.pem is public: nodes get it, see `[mqtt.signatures.keys]` of the node file.
    """
    try:
        private, public = make_pair(name, folder)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    except EdgekernelError as error:
        fail(Exit.REFUSED, [str(error)])
    except OSError as error:
        fail(Exit.REFUSED, [f"{error.filename}: {error.strerror}"])
    for path in (private, public):
        click.echo(path)
    err.print(f'to sign: edgekernel ctl --key "{private}" ...', soft_wrap=True)
    err.print(f'in node files: [mqtt.signatures.keys] {name} = "{public.name}"', soft_wrap=True)

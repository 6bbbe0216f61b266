"""The `edgekernel` command: its subcommands, each loaded when it is used."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from edgekernel.cli.exits import Exit, exit_codes
from edgekernel.core.version import VERSION

_COMMANDS = {
    "board": ("edgekernel.cli.board", "Draw a board's header and who uses each pin."),
    "boards": ("edgekernel.cli.listing", "List the installed boards."),
    "broker": ("edgekernel.cli.broker", "Set up an MQTT broker that is closed by default."),
    "check": ("edgekernel.cli.check", "Check a node file without touching hardware."),
    "config": ("edgekernel.cli.config", "Show what a node would start with, and from where."),
    "ctl": ("edgekernel.cli.ctl", "See and control the nodes on an MQTT broker."),
    "devices": ("edgekernel.cli.listing", "List the installed drivers."),
    "doctor": ("edgekernel.cli.doctor", "Examine this computer: has it what a node needs?"),
    "install": ("edgekernel.cli.install", "Make a node a service of this computer."),
    "image": ("edgekernel.cli.image", "Do what the flashable image needs."),
    "journal": ("edgekernel.cli.journal", "Read what a node has recorded."),
    "incident": ("edgekernel.cli.incident", "Make a test of what went wrong in the field."),
    "node": ("edgekernel.cli.broker", "Let nodes in to that broker."),
    "plan": ("edgekernel.cli.plan", "Show what a new node file would do to a running node."),
    "replay": ("edgekernel.cli.replay", "Run a journal through the application again."),
    "run": ("edgekernel.cli.run", "Run a node, on its board or a simulated one."),
    "simulate": ("edgekernel.cli.simulate", "Run a node through days of simulated time."),
    "safe-state": ("edgekernel.cli.safe_state", "Drive all outputs to their safe values."),
    "standby": ("edgekernel.cli.standby", "Stand by to make a node safe if its agent is killed."),
    "schema": ("edgekernel.cli.schema", "Show what a node has and can be asked for."),
    "scan": ("edgekernel.cli.scan", "List what answers on the buses of this board."),
}

_OF_OUTPUT = (errno.EPIPE, errno.ENOSPC, errno.EIO)
"""What is wrong with standard output if it takes no more, as far as it is no mistake of ours."""


class _Lazy(click.Group):
    """A group that imports a subcommand when it is asked for: `run` needs no MQTT tools."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(_COMMANDS[cmd_name][0])
        except ImportError as error:  # an extra that is not installed says which
            raise click.ClickException(str(error)) from error
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what it cannot print ends it in one line."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.errno not in _OF_OUTPUT or error.filename is not None:
                raise
            from edgekernel.cli.console import fail_to_write

            fail_to_write(error)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(_COMMANDS.items())])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from edgekernel.node.problems import did_you_mean

            ctx.fail(f"no command {args[0]!r}; {did_you_mean(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=exit_codes(*Exit),
)
@click.version_option(VERSION, prog_name="edgekernel")
def main() -> None:
    """Run and control hardware nodes.

    A node is one board with one agent, described by one node file. Try it without hardware:

    \b
      edgekernel check node.toml              is everything in it right?
      edgekernel plan old.toml new.toml       what would a new file do to it?
      edgekernel run node.toml --sim --live   run it on a simulated board
      edgekernel simulate node.toml           run it through a simulated day
      edgekernel ctl nodes                    which nodes are on the broker?
      edgekernel replay journal/              what would this program have done then?
    """

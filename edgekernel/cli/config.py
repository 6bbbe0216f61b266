"""`edgekernel config`: what a node would start with, and where each value is from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from edgekernel.cli.console import err, fail, out, print_json, table
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError
from edgekernel.node.document import read_toml
from edgekernel.node.fingerprint import fingerprint, shown
from edgekernel.node.layers import layered
from edgekernel.node.starting import REMOTE_MQTT, Start, choose
from edgekernel.node.toml_text import to_toml, toml_value


@click.group()
def config() -> None:
    """Show the configuration of a node on this computer; see `edgekernel ctl config` for others."""


@config.command(short_help="Print what a node would start with here.")
@click.argument("node", type=click.Path(readable=False, path_type=Path))
@click.option("--origin", is_flag=True, help="Say of each value where it is from.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def show(node: Path, origin: bool, as_json: bool) -> None:
    """Print what `edgekernel run NODE` would start with here, its secrets hidden.

    That is the node file; or the configuration that was applied from afar since it was written; or,
    if the file is no good, the last good one. What the environment and the credentials of the
    service say comes in the place of that. Touches nothing.
    """
    try:
        start = choose(node, environ=os.environ)
    except ConfigError as error:
        fail(Exit.REFUSED, error.problems)
    values = list(_values(shown(start.plan.document), _origins(start, node), start))
    if as_json:
        _print_json(start, values)
        return
    for problem in start.problems:
        err.print(f"warning: {problem}", soft_wrap=True, style="yellow")
    if not origin:
        click.echo(to_toml(shown(start.plan.document)), nl=False)
        return
    drawn = table("", "key", "value", "from")
    for key, value, where in values:
        drawn.add_row(key, toml_value(value), where)
    out.print(drawn)


def _print_json(start: Start, values: list[tuple[str, Any, str]]) -> None:
    print_json(
        {
            "source": start.source,
            "version": start.version,
            "hash": fingerprint(start.plan.document),
            "problems": list(start.problems),
            "document": shown(start.plan.document),
            "origins": {key: where for key, _, where in values},
        }
    )


def _origins(start: Start, node: Path) -> Mapping[str, str]:
    try:
        raw = read_toml(node)
    except ConfigError:  # it is told already: the last good configuration is used
        raw = {}
    return layered(raw, start.environ).origins


def _values(
    content: Mapping[str, Any], origins: Mapping[str, str], start: Start
) -> Iterator[tuple[str, Any, str]]:
    """Give each key with its value and where that is from."""
    file = start.plan.path.name
    source = f"{start.source} {start.version}".rstrip()
    for path, value in _leaves(content, ()):
        own = path[0] == "mqtt" and start.source == "remote" and path[1] not in REMOTE_MQTT
        key = ".".join(path)
        yield key, value, origins.get(key, file if own or start.source == "file" else source)


def _leaves(
    value: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _leaves(each, (*path, key))
        else:
            yield (*path, key), each

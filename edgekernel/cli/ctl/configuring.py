"""What nodes run, and what they are to run: config show, config plan, config push."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from edgekernel.cli.console import err, fail_with, out, print_json
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.plain import plain
from edgekernel.cli.ctl.targets import on_each, selecting, split, tell
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.cli.exits import Exit
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.fleet import NodeConfig, NodeReport
from edgekernel.mqtt.fleet.configuring import PUSH_LIMIT_S
from edgekernel.node.document import NodeDocument, parse_document, read_toml
from edgekernel.node.plan import plan_document
from edgekernel.node.secrets import without_secrets
from edgekernel.node.toml_text import to_toml


@ctl.group()
def config() -> None:
    """Show what nodes run, and let them run another configuration.

    \b
      edgekernel ctl config show greenhouse-1 > node.toml
      edgekernel ctl config plan greenhouse-1 node.toml
      edgekernel ctl config push greenhouse-1 node.toml
    """


@config.command(name="show")
@selecting("[NODE]", "node")
@click.pass_obj
def show_(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Print the configuration that NODE runs, as a node file; its secrets are hidden."""
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="config show NODE")
    with link.open(as_json=as_json) as fleet:
        if not targets.named:
            tell(on_each(fleet, targets, fleet.config, "config"), _config_line, as_json=as_json)
            return
        with Waiting("config"):
            found = fleet.config(targets.named[0])
    if as_json:
        print_json(plain(found))
        return
    for line in _head(found):
        click.echo(f"# {line}")
    click.echo(to_toml(found.document), nl=False)


@config.command(name="plan")
@click.argument("node")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_obj
def plan_(link: Link, node: str, file: Path, as_json: bool) -> None:
    """Show what FILE would do to what NODE runs, as `edgekernel plan` does."""
    from edgekernel.cli.plan_view import page

    with link.open(as_json=as_json) as fleet:
        document = read_toml(file)
        with Waiting("config"):
            found = dict(fleet.forecast_config(node, document, file).document)
    if as_json:
        print_json({"ok": True, "node": node, **found})
        return
    for part in page(node, found):
        out.print(part, soft_wrap=isinstance(part, str))


@config.command(name="push")
@selecting("[NODE] FILE", "node")
@click.option("--version", default="", help="What is reported of it; the time unless given.")
@click.option(
    "--wait",
    type=click.FloatRange(0, 1e6, min_open=True),
    default=PUSH_LIMIT_S,
    show_default=True,
    help="Seconds to wait for the result.",
)
@click.option("--no-check", is_flag=True, help="Let only the nodes check it.")
@click.option("--now", is_flag=True, help="Do not wait while a node is busy.")
@click.pass_obj
def push_(
    link: Link,
    words: tuple[str, ...],
    where: tuple[str, ...],
    all_nodes: bool,
    as_json: bool,
    version: str,
    wait: float,
    no_check: bool,
    now: bool,
) -> None:
    """Let NODE run the node file FILE, and wait for what comes of it.

    FILE is checked here first, as far as that is possible, then by the node, which goes back to
    what it ran before if it is not well with it. Secrets are not sent: they are as the node has
    them. For many nodes, their names are left out too.
    """
    targets, rest = split(words, where, all_nodes, least=1, most=1, form="config push NODE FILE")
    file = Path(rest[0])
    try:
        document = read_toml(file)
        if not no_check:
            _check(document, file)
    except ConfigError as error:
        fail_with(Exit.REFUSED, "invalid", error.problems, as_json)
    sent = _sent(document, many=not targets.named)

    def action(node: str) -> NodeReport:
        return fleet.push_config(node, sent, version, wait, now=now)

    with link.open(as_json=as_json) as fleet:
        if not targets.named:
            tell(on_each(fleet, targets, action, "push"), _report_line, as_json=as_json)
            return
        with Waiting("push"):
            report = action(targets.named[0])
    if as_json:
        print_json(plain(report))
    else:
        out.print(f"{report.node}: {_report_line(report)}", soft_wrap=True)


def _check(document: Mapping[str, Any], file: Path) -> None:
    """Check a node file, or what is to be one on nodes that add their names. Raises ConfigError."""
    node = document.get("node", {})
    complete = isinstance(node, Mapping) and {"name", "board"} <= node.keys()
    if complete:
        plan_document(_parsed(document, file), file)
    elif isinstance(node, Mapping):
        stand_in = {"name": "node", "board": "sim", **node}
        _parsed({**document, "node": stand_in}, file)
    else:
        _parsed(document, file)


def _parsed(document: Mapping[str, Any], file: Path) -> NodeDocument:
    return parse_document(dict(document), file.name)


def _sent(document: Mapping[str, Any], *, many: bool) -> dict[str, Any]:
    """Return what of a file is sent, and say what is not."""
    content, left_out = without_secrets(document)
    for key in left_out:
        err.print(f"{key} is not sent: it is as the node has it", soft_wrap=True)
    node = content.get("node")
    if many and isinstance(node, dict):
        node.pop("name", None)
    return content


def _head(found: NodeConfig) -> list[str]:
    version = f" {found.version}" if found.version else ""
    return [f"{found.node} runs {found.hash}, from {found.source}{version}", *found.problems]


def _config_line(found: NodeConfig) -> str:
    return f"{found.hash} from {found.source} {found.version}".rstrip()


def _report_line(report: NodeReport) -> str:
    return f"applied {report.version}, runs {report.hash}"

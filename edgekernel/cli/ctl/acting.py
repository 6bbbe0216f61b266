"""What nodes are asked to do: set, call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from edgekernel.cli.console import print_json
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.seeing import result_text
from edgekernel.cli.ctl.targets import Targets, on_each, selecting, split, tell
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.core.errors import ConfigError, InvalidValueError
from edgekernel.mqtt.fleet import Fleet, Text
from edgekernel.mqtt.fleet.node_schema import request_topic

_LOOSE = {"ignore_unknown_options": True}
"""A value may begin with "-"."""


@ctl.command(name="set", context_settings=_LOOSE)
@selecting("[NODE] OUTPUT VALUE", "set")
@click.pass_obj
def set_(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Set an OUTPUT (device/output) of NODE to VALUE, and wait for the node's answer."""
    form = "set NODE OUTPUT VALUE"
    targets, rest = split(words, where, all_nodes, least=2, most=2, form=form)
    output, value = rest
    _check_form("set", output)
    _act(link, targets, lambda fleet, node: fleet.set(node, output, Text(value)), "set", as_json)


@ctl.command(context_settings=_LOOSE)
@selecting("[NODE] COMMAND [NAME=VALUE]...", "call")
@click.pass_obj
def call(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Call a COMMAND (component.command) of NODE with arguments; print the result."""
    form = "call NODE COMMAND [NAME=VALUE]..."
    targets, rest = split(words, where, all_nodes, least=1, most=float("inf"), form=form)
    command, *texts = rest
    _check_form("call", command)
    args: dict[str, Text] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"{text!r}: write arguments as name=value")
        args[name] = Text(value)
    _act(link, targets, lambda fleet, node: fleet.call(node, command, args), "call", as_json)


def _check_form(kind: str, name: str) -> None:
    try:
        request_topic(kind, name)
    except (InvalidValueError, ConfigError) as error:
        raise click.UsageError(str(error)) from None


def _act(
    link: Link, targets: Targets, action: Callable[[Fleet, str], Any], what: str, as_json: bool
) -> None:
    with link.open(as_json=as_json) as fleet:
        if not targets.named:
            outcomes = on_each(fleet, targets, lambda node: action(fleet, node), what)
            tell(outcomes, result_text, as_json=as_json)
            return
        with Waiting(what):
            result = action(fleet, targets.named[0])
    if as_json:
        print_json(result)
    else:
        click.echo(result_text(result))

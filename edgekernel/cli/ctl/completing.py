"""Completion of names and values, from what the nodes themselves have published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgekernel.cli.ctl.link import link_of
from edgekernel.core.errors import EdgekernelError
from edgekernel.mqtt.fleet import Fleet, parse_where

_PATIENCE_S = 1.0

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def complete(kind: str) -> Complete:
    """Return what completes the words of a subcommand: a NODE, or by `kind` several ("nodes"), and
    then devices ("get"), outputs and values ("set"), commands and arguments ("call"), or leases
    ("lease").

    Nothing is offered where the broker or the node does not answer within a second.
    """

    def found(context: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        try:
            return _complete(kind, context, incomplete)
        except (EdgekernelError, OSError):
            return []

    return found


def _complete(kind: str, context: click.Context, incomplete: str) -> list[str]:
    words: list[str] = [*(context.params.get("words") or ())]
    where = context.params.get("where") or ()
    selects = bool(where) or bool(context.params.get("all_nodes"))
    link = link_of({**_options(context), "timeout": _PATIENCE_S})
    with Fleet(link.settings, timeout_s=link.timeout_s) as fleet:
        if not selects and (not words or kind == "nodes"):
            names = [node.name for node in fleet.nodes() if node.name not in words]
            return _beginning(names, incomplete)
        if selects:
            picked = fleet.nodes(parse_where(where))
            words.insert(0, picked[0].name if picked else "")
        return _beginning(_after_node(kind, fleet, words, incomplete), incomplete)


def _after_node(kind: str, fleet: Fleet, words: list[str], incomplete: str) -> list[str]:
    node, *rest = words
    if kind == "get":
        return list(fleet.get(node)) if not rest else []
    if kind not in ("set", "call", "lease"):
        return []
    schema = fleet.schema(node)
    if kind == "lease":
        return [each.name for each in schema.leases] if not rest else []
    if kind == "set":
        if rest:
            return schema.output(rest[0]).choices() if len(rest) == 1 else []
        return [each.name for each in schema.outputs]
    if not rest:
        return [each.name for each in schema.commands]
    command = schema.command(rest[0])
    *before, last = _joined([*rest[1:], incomplete])
    name, equals, _ = last.partition("=")
    if equals:
        # bash takes "=" for a space, and wants what comes behind it; other shells want it all
        begin = f"{name}=" if incomplete.startswith(f"{name}=") else ""
        return [begin + each for each in command.choices(name)]
    given = {each.partition("=")[0] for each in before}
    return [f"{each}=" for each in command.arguments if each not in given]


def _joined(words: list[str]) -> list[str]:
    """Put together what bash has taken apart at "=", which is missing where it comes last."""
    found: list[str] = []
    for word in words:
        if found and "=" not in found[-1]:
            found[-1] += f"={word.removeprefix('=')}"
        elif found and found[-1].endswith("="):
            found[-1] += word
        else:
            found.append(word)
    return found


def _beginning(names: list[str], incomplete: str) -> list[str]:
    begin = "" if incomplete == "=" else incomplete
    return sorted(each for each in names if each.startswith(begin))


def _options(context: click.Context) -> dict[str, Any]:
    """Return the options of `ctl`, as far as they are given, and the defaults of the others."""
    group = context.parent
    while group is not None and group.parent is not None and group.command.name != "ctl":
        group = group.parent  # a group inside of it
    assert group is not None, "a subcommand has a group"
    given: dict[str, Any] = {}
    for each in group.command.params:
        value = group.params.get(str(each.name))
        if not isinstance(value, str | int | float | Path):  # click completes without defaults
            value = each.get_default(group)
        given[str(each.name)] = value if isinstance(value, str | int | float | Path) else None
    return given

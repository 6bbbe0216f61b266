"""What there is: nodes, info, get, health, schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import click
from rich.table import Table
from rich.text import Text

from edgekernel.cli.console import err, out, print_json, show, table
from edgekernel.cli.ctl.group import ctl
from edgekernel.cli.ctl.link import Link
from edgekernel.cli.ctl.plain import plain
from edgekernel.cli.ctl.targets import Targets, end, failed, on_each, selecting, split, tell
from edgekernel.cli.ctl.waiting import Waiting
from edgekernel.cli.schema import show_schema
from edgekernel.core.clock import NANOSECONDS, SystemClock
from edgekernel.core.errors import InvalidValueError
from edgekernel.mqtt.encoding import timestamp
from edgekernel.mqtt.fleet import (
    DeviceState,
    Fleet,
    Node,
    NodeHealth,
    NodeInfo,
    NodeSchema,
    SignalState,
    parse_where,
)

T = TypeVar("T")

_WORN_PERCENT = 90
STATE_COLOURS = {"online": "green", "degraded": "yellow", "safe": "yellow"}


@ctl.command()
@click.option(
    "--where", multiple=True, metavar="NAME=VALUE", help="Those with this label or field."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def nodes(link: Link, where: tuple[str, ...], as_json: bool) -> None:
    """List the nodes that the broker knows, online or not."""
    try:
        wanted = parse_where(where)
    except InvalidValueError as error:
        raise click.UsageError(f"--where: {error}") from None
    with link.open(as_json=as_json) as fleet, Waiting("nodes"):
        found = fleet.nodes(wanted)
    if as_json:
        print_json([_node_row(node) for node in found])
    elif not found:
        which = " with these values" if wanted else ""
        out.print(f"no nodes{which} below {link.settings.prefix}/ on this broker")
    else:
        out.print(_node_table(found))


def _node_row(node: Node) -> dict[str, Any]:
    status = plain(node.status)
    del status["node"]
    info = {} if node.info is None else plain(node.info)
    info.pop("node", None)
    return {"name": node.name, **info, **status}


def _node_table(found: Iterable[Node]) -> Table:
    listing = table("", "node", "state", "since", "cause", "version", "board", "labels")
    for node in found:
        status, info = node.status, node.info or NodeInfo(node.name)
        labels = " ".join(f"{name}={each}" for name, each in info.labels.items())
        listing.add_row(
            node.name,
            Text(status.state, style=STATE_COLOURS.get(status.state, "red")),
            timestamp(status.since) if status.since else "-",
            *(each or "-" for each in (status.cause, info.version, info.board, labels)),
        )
    return listing


@ctl.command()
@selecting("[NODE]", "node")
@click.pass_obj
def info(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Print what NODE runs, and where."""
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="info NODE")
    with link.open(as_json=as_json) as fleet:
        found = _ask(fleet, targets, fleet.info, "info", _one_line, as_json)
    if found is None:
        return
    if as_json:
        print_json(plain(found))
    else:
        shown = plain(found) | {"busy": [str(each) for each in found.busy]}
        out.print(_pairs(shown | {"update": str(found.update or "")}))


@ctl.command()
@selecting("[NODE]", "node")
@click.pass_obj
def health(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Print how NODE is: its services, queues and losses, its disk and temperature."""
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="health NODE")
    with link.open(as_json=as_json) as fleet:
        found = _ask(fleet, targets, fleet.health, "health", _health_line, as_json)
    if found is not None:
        _print_pairs(found, as_json)


@ctl.command()
@selecting("[NODE]", "node")
@click.pass_obj
def schema(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Show what NODE has and can be asked for; with --json as it publishes it."""
    targets, _ = split(words, where, all_nodes, least=0, most=0, form="schema NODE")
    with link.open(as_json=as_json) as fleet:
        found = _ask(fleet, targets, fleet.schema, "schema", _schema_line, as_json)
    if found is None:
        return
    if as_json:
        print_json(found.document)
    else:
        show_schema(found.document)


def _ask(
    fleet: Fleet,
    targets: Targets,
    ask: Callable[[str], T],
    what: str,
    line: Callable[[T], str],
    as_json: bool,
) -> T | None:
    """Return the answer of the node that was named; of several tell all answers, a line each."""
    if targets.named:
        with Waiting(what):
            found = ask(targets.named[0])
            _say_if_gone(fleet, targets.named[0])
            return found
    tell(on_each(fleet, targets, ask, what), line, as_json=as_json)
    return None


def _say_if_gone(fleet: Fleet, node: str) -> None:
    """Say that what is shown of a node is old, though its values are good: it is not there."""
    status = fleet.status(node)
    if not status.online:
        since = f" since {timestamp(status.since)}" if status.since else ""
        text = f"{node} is offline{since} ({status.cause or 'no reason given'}): this is its latest"
        err.print(text, style="yellow", soft_wrap=True)


def _print_pairs(found: object, as_json: bool) -> None:
    if as_json:
        print_json(plain(found))
    else:
        out.print(_pairs(plain(found)))


@ctl.command()
@selecting("[NODE] [DEVICE]", "get")
@click.pass_obj
def get(
    link: Link, words: tuple[str, ...], where: tuple[str, ...], all_nodes: bool, as_json: bool
) -> None:
    """Print the state of NODE, or of one DEVICE of it."""
    targets, rest = split(words, where, all_nodes, least=0, most=1, form="get NODE [DEVICE]")
    device = rest[0] if rest else ""
    with link.open(as_json=as_json) as fleet:
        if targets.named:
            with Waiting("get"):
                found = fleet.get(targets.named[0], device)
                _say_if_gone(fleet, targets.named[0])
            if as_json:
                print_json(plain(found))
            else:
                out.print(_state_table("", found.values()))
            return
        outcomes = on_each(fleet, targets, lambda node: fleet.get(node, device), "get")
    if as_json:
        tell(outcomes, str, as_json=True)
        return
    listing = _state_table("node", (s for each in outcomes for s in (each.value or {}).values()))
    for each in outcomes:
        if not each.ok:
            listing.add_row(each.node, failed(each))
    out.print(listing)
    end(outcomes)


def _state_table(node: str, states: Iterable[DeviceState]) -> Table:
    columns = ("device", "signal", "value", "", "quality", "time")
    listing = table("", *((node, *columns) if node else columns))
    before = ("", "")
    for state in states:
        for name, signal in state.signals.items():
            here = (state.node, state.device)
            names = (state.node if here[0] != before[0] else "", "" if here == before else here[1])
            listing.add_row(*(names if node else names[1:]), name, *signal_cells(signal))
            before = here
    return listing


def signal_cells(signal: SignalState) -> tuple[str, ...]:
    """Return value, unit, quality and time of a signal for a table."""
    reason = f": {signal.reason}" if signal.reason else ""
    time = ""
    if signal.time:
        now = datetime.fromtimestamp(SystemClock().time_ns() / NANOSECONDS, signal.time.tzinfo)
        is_today = signal.time.date() == now.date()
        time = f"{signal.time:{'%H:%M:%S' if is_today else '%Y-%m-%d %H:%M:%S'}}"
    return show(signal.value), signal.unit, signal.quality + reason, time


def _pairs(found: dict[str, Any]) -> Table:
    listing = table("", "", "")
    listing.show_header = False
    for name, each in found.items():
        listing.add_row(name, _cell(each))
    return listing


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={show(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return show(value) if value != "" else "-"


def _one_line(found: NodeInfo) -> str:
    labels = " ".join(f"{name}={each}" for name, each in found.labels.items())
    parts = [found.version, found.board, found.host, found.time_quality, labels]
    parts += [f"BUSY {each}" for each in found.busy]
    if found.update is not None and found.update.under_way:
        parts.append(f"update {found.update}")
    return "  ".join(each for each in parts if each)


def _health_line(found: NodeHealth) -> str:
    parts = [found.state, f"errors={found.errors}"]
    parts += [f"dropped {name}={count}" for name, count in found.dropped.items() if count]
    parts += [f"offline: {', '.join(found.offline_devices)}"] if found.offline_devices else []
    if found.disk_free_percent is not None:
        parts.append(f"disk free {found.disk_free_percent:g} %")
    if found.memory_available_percent is not None:
        parts.append(f"memory free {found.memory_available_percent:g} %")
    if found.cpu_temperature_c is not None:
        parts.append(f"cpu {found.cpu_temperature_c:g} °C")
    parts += ["THROTTLED"] if found.cpu_throttled else []
    parts += ["UNDER-VOLTAGE"] if found.under_voltage else []
    parts += ["DISK READ-ONLY"] if found.disk_read_only else []
    worn = found.flash_used_percent
    parts += [f"FLASH WORN {worn} %"] if worn is not None and worn >= _WORN_PERCENT else []
    return "  ".join(parts)


def _schema_line(found: NodeSchema) -> str:
    return f"{len(found.outputs)} outputs, {len(found.commands)} commands"


def result_text(result: Any) -> str:
    """Return the result of a command for people."""
    return "done" if result is None else json.dumps(result, ensure_ascii=False)

"""`edgekernel ctl`: nodes on a broker, seen and controlled from anywhere."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from edgekernel.cli.console import Exit, err, fail, fail_with, out, print_json, show, table
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.remote import (
    QUIET_S,
    NoAnswerError,
    Remote,
    RequestRefusedError,
    check_node_name,
)
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.topics import segment

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Link:
    """Where the broker is, from the options of `ctl`."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self.settings = settings
        self.timeout_s = timeout_s

    @contextmanager
    def open(self, *filters: str, node: str = "", as_json: bool = False) -> Iterator[Remote]:
        """Connect for one subcommand; every failure ends it with its reason and an exit code."""
        try:
            if node:
                check_node_name(self.settings.prefix, node)
            with Remote(self.settings, filters, self.timeout_s) as remote:
                yield remote
        except ConfigError as error:
            fail_with(Exit.REFUSED, "invalid", error.problems, as_json)
        except NoAnswerError as error:
            fail_with(Exit.NO_ANSWER, "no_answer", [str(error)], as_json)
        except RequestRefusedError as error:
            text = str(error) if as_json else f"refused ({error.code}): {error}"
            fail_with(Exit.REFUSED, error.code, [text], as_json)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(Exit.DONE) from None


@click.group()
@click.option("--host", default="127.0.0.1", envvar="EDGEKERNEL_HOST", show_default=True)
@click.option("--port", default=1883, envvar="EDGEKERNEL_PORT", show_default=True)
@click.option("--username", default="", envvar="EDGEKERNEL_USERNAME", help="User on the broker.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the password; or set EDGEKERNEL_PASSWORD.",
)
@click.option("--prefix", default="edge", envvar="EDGEKERNEL_PREFIX", show_default=True)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 1e6, min_open=True),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
@click.pass_context
def ctl(
    context: click.Context,
    host: str,
    port: int,
    username: str,
    password_file: Path | None,
    prefix: str,
    timeout: float,
) -> None:
    """See and control the nodes on an MQTT broker.

    \b
      edgekernel ctl nodes
      edgekernel ctl watch greenhouse-1
      edgekernel ctl get greenhouse-1 room
      edgekernel ctl set greenhouse-1 heater/power on
      edgekernel ctl call greenhouse-1 climate.set_target celsius=23

    Options may stand in the environment as EDGEKERNEL_HOST, EDGEKERNEL_PORT and so on. Exits
    with 1 if the node refuses, 3 if there is no answer.
    """
    password = os.environ.get("EDGEKERNEL_PASSWORD", "")
    if password_file is not None:
        try:
            password = password_file.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            fail(Exit.REFUSED, [f"{password_file}: cannot be read: {error}"])
    try:
        settings = Settings(
            host=host, port=port, username=username, password=password, prefix=prefix
        )
    except ConfigError as error:
        fail(Exit.REFUSED, [re.sub(r"\bmqtt\.", "--", problem) for problem in error.problems])
    context.obj = _Link(settings, timeout)


@ctl.command()
@_JSON
@click.pass_obj
def nodes(link: _Link, as_json: bool) -> None:
    """List the nodes that the broker knows, online or not."""
    with link.open("+/status", as_json=as_json) as remote:
        found = remote.retained()
    rows = [
        {"name": topic.partition("/")[0], **status}
        for topic, status in sorted(found.items())
        if isinstance(status, dict)
    ]
    if as_json:
        print_json(rows)
        return
    listing = table("", "node", "state", "since", "cause")
    for row in rows:
        colour = "green" if row.get("state") == "online" else "red"
        state = Text(str(row.get("state")), style=colour)
        listing.add_row(
            row["name"], state, str(row.get("since") or "-"), str(row.get("cause") or "-")
        )
    out.print(listing if rows else f"no nodes below {link.settings.prefix}/ on this broker")


@ctl.command()
@click.argument("node")
@click.argument("device", required=False)
@_JSON
@click.pass_obj
def get(link: _Link, node: str, device: str | None, as_json: bool) -> None:
    """Print the state of NODE, or of one DEVICE of it."""
    with link.open(
        f"{node}/state/{device or '+'}", f"{node}/status", node=node, as_json=as_json
    ) as remote:
        found = remote.retained()
    states = {
        topic.rpartition("/")[2]: state
        for topic, state in sorted(found.items())
        if "/state/" in topic and isinstance(state, dict)
    }
    if not states:
        what = f"device {device!r} of {node}" if device else f"node {node!r}"
        text = f"the broker knows no {what}; see `edgekernel ctl nodes`"
        fail_with(Exit.NO_ANSWER, "no_answer", [text], as_json)
    if as_json:
        print_json(states)
        return
    listing = table("", "device", "signal", "value", "", "quality", "time")
    for name, state in states.items():
        for signal, sample in state.items():
            if isinstance(sample, dict):
                listing.add_row(name, signal, *_cells(sample))
                name = ""
    out.print(listing)


@ctl.command()
@click.argument("node")
@_JSON
@click.pass_obj
def watch(link: _Link, node: str, as_json: bool) -> None:
    """Print what happens on NODE until Ctrl-C: its status, states and events."""
    filters = (f"{node}/status", f"{node}/state/+", f"{node}/event/+")
    with link.open(*filters, node=node, as_json=as_json) as remote:
        if not as_json:
            err.print(f"watching {node}; Ctrl-C ends", style="dim")
        known = False
        for topic, payload in remote.messages(QUIET_S):
            known = True
            _print_message(topic.partition("/")[2], payload, as_json)
        if not known:
            text = f"no node {node!r} is known yet; waiting for it (see `edgekernel ctl nodes`)"
            err.print(text, soft_wrap=True)
        for topic, payload in remote.messages(None):
            _print_message(topic.partition("/")[2], payload, as_json)


@ctl.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("node")
@click.argument("output")
@click.argument("value")
@_JSON
@click.pass_obj
def set_(link: _Link, node: str, output: str, value: str, as_json: bool) -> None:
    """Set an OUTPUT (device/output) of NODE to VALUE, and wait for the node's answer."""
    device, _, name = output.replace(".", "/").partition("/")
    if not name:
        raise click.UsageError("name the output as device/output, such as heater/power")
    with link.open(f"{node}/reply/+", node=node, as_json=as_json) as remote:
        result = remote.request(node, _topic("set", device, name), {"value": _parsed(value)})
    _print_result(result, as_json)


@ctl.command(context_settings={"ignore_unknown_options": True})
@click.argument("node")
@click.argument("command")
@click.argument("args", nargs=-1)
@_JSON
@click.pass_obj
def call(link: _Link, node: str, command: str, args: tuple[str, ...], as_json: bool) -> None:
    """Call a COMMAND (component.command) of NODE with ARGS (name=value); print the result."""
    component, _, name = command.replace("/", ".").partition(".")
    if not name:
        raise click.UsageError("name the command as component.command, such as climate.set_target")
    given: dict[str, Any] = {}
    for arg in args:
        key, equals, value = arg.partition("=")
        if not equals:
            raise click.UsageError(f"{arg!r}: write arguments as name=value")
        given[key] = _parsed(value)
    with link.open(f"{node}/reply/+", node=node, as_json=as_json) as remote:
        result = remote.request(node, _topic("call", component, name), {"args": given})
    _print_result(result, as_json)


def _topic(kind: str, owner: str, member: str) -> str:
    """Return where a request goes; names become topic segments as the node makes them."""
    return f"{kind}/{segment(owner)}/{segment(member)}"


def _parsed(text: str) -> Any:
    """Read JSON where it is JSON; else it is a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _print_result(result: Any, as_json: bool) -> None:
    if as_json:
        print_json(result)
    else:
        click.echo("done" if result is None else json.dumps(result, ensure_ascii=False))


def _cells(sample: dict[str, Any]) -> tuple[str, ...]:
    quality = str(sample.get("quality", ""))
    reason = f": {sample['reason']}" if sample.get("reason") else ""
    return (
        show(sample.get("value")),
        str(sample.get("unit", "")),
        quality + reason,
        str(sample.get("time", ""))[11:19],
    )


def _print_message(topic: str, payload: bytes, as_json: bool) -> None:
    try:
        document = json.loads(payload)
    except ValueError:
        document = payload.decode("utf-8", "replace")
    if as_json:
        click.echo(json.dumps({"topic": topic, "payload": document}, ensure_ascii=False))
        return
    kind, _, name = topic.partition("/")
    if kind == "state" and isinstance(document, dict):
        signals = {s: v for s, v in document.items() if isinstance(v, dict)}
        said = "  ".join(f"{s}={' '.join(_cells(v)[:2]).strip()}" for s, v in signals.items())
        click.echo(f"state   {name:<14} {said}")
    elif kind == "event" and isinstance(document, dict):
        fields = {k: v for k, v in document.get("fields", {}).items() if k != "traceback"}
        said = "  ".join(f"{k}={v}" for k, v in fields.items())
        click.echo(f"event   {document.get('name', name):<14} {said}")
    else:
        click.echo(f"{topic:<22} {json.dumps(document, ensure_ascii=False)}")

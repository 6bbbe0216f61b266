"""What another configuration would do to a node, worked out here: nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekernel.mqtt.fleet.configuring import NodeConfig
from edgekernel.node.desired import with_hidden
from edgekernel.node.difference import difference
from edgekernel.node.document import parse_document
from edgekernel.node.forecast import forecast
from edgekernel.node.plan import Plan, plan_document

_LEFT_OUT = ("node", "mqtt")
"""Tables that a pushed document may leave out: they are as the node has them."""


@dataclass(frozen=True, slots=True)
class DeviceForecast:
    """What happens to a device: "start", "stop", "replace" or "adjust", and for which keys."""

    device: str
    action: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyForecast:
    """A key that changes, its value now and then; secrets are hidden, None is none."""

    key: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class ConfigForecast:
    """What a configuration would do to a node.

    `changes` says whether anything stops, starts or changes: some `keys` are only for the check.
    `restart` are the keys that need a restart of the agent, and why; `buses` those that "start" or
    "stop" being used; `link` the keys for which the link to the broker is made anew. `document` is
    all of it as `edgekernel plan --json` has it.
    """

    node: str
    changes: bool
    keys: tuple[KeyForecast, ...]
    restart: Mapping[str, str]
    devices: tuple[DeviceForecast, ...]
    buses: Mapping[str, str]
    link: tuple[str, ...]
    document: Mapping[str, Any]


def forecast_config(running: NodeConfig, config: Mapping[str, Any], file: Path) -> ConfigForecast:
    """Compare what a node runs with another configuration. Raises ConfigError with every mistake,
    by the name of the `file`."""
    theirs = {each: running.document[each] for each in _LEFT_OUT if each in running.document}
    wanted = {**theirs, **config}
    new = _plan(wanted, file)
    old = _plan(with_hidden(running.document, wanted), Path(f"{running.node}.toml"))
    found = forecast(difference(old, new), None, None)
    return ConfigForecast(
        running.node,
        changes=found["changes"],
        keys=tuple(KeyForecast(**each) for each in found["keys"]),
        restart={each["key"]: each["why"] for each in found["restart"]},
        devices=tuple(
            DeviceForecast(each["device"], each["action"], tuple(each["keys"]))
            for each in found["devices"]
        ),
        buses={each["bus"]: each["action"] for each in found["buses"]},
        link=tuple(found["link"]),
        document=found,
    )


def _plan(document: Mapping[str, Any], file: Path) -> Plan:
    return plan_document(parse_document(dict(document), file.name), file)

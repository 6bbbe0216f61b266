"""Names that meet in a topic: what two devices, outputs or commands must not share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.layout import TOGETHER, Form
from edgekernel.mqtt.topics import segment


def device_problems(devices: Mapping[str, Device], form: Form = TOGETHER) -> list[str]:
    """Return what is wrong with the names of devices and their outputs, or of all their signals
    where each has a topic: no topic can hold one, or two are the same in a topic."""
    groups = {"devices": list(devices)}
    for id, device in devices.items():
        if form.by_signal:
            groups[f"signals of {id}"] = [*device.readings, *device.outputs]
        else:
            groups[f"outputs of {id}"] = list(device.outputs)
    problems: list[str] = []
    for where, names in groups.items():
        taken: dict[str, str] = {}
        for name in names:
            try:
                other = taken.setdefault(segment(name), name)
            except ConfigError as error:
                problems.append(f"{where}: {error}")
                continue
            if other != name:
                same = f"{other!r} and {name!r} are both {segment(name)!r} in MQTT topics"
                problems.append(f"{where}: {same}; rename one")
    return problems


def command_problems(commands: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return which commands, given as component and name, have the same topic, and which none.

    The first cannot be told apart: a call is refused. The others are there on other surfaces.
    """
    topics: dict[str, list[str]] = {}
    without: list[str] = []
    for owner, name in commands:
        try:
            topic = f"call/{segment(owner)}/{segment(name)}"
        except ConfigError as error:
            without.append(f"the command {owner}.{name} cannot be called over MQTT: {error}")
            continue
        topics.setdefault(topic, []).append(f"{owner}.{name}")
    shared = [
        f"the commands {' and '.join(sorted(names))} have the same topic {topic}: rename one"
        for topic, names in topics.items()
        if len(names) > 1
    ]
    return shared, without

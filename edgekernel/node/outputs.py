"""What a node file says of the outputs of its devices, checked against their drivers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.core.interlocks import wrong_names
from edgekernel.core.output import Output
from edgekernel.core.output_declaration import OutputDeclaration
from edgekernel.core.output_guard import KEPT_AS
from edgekernel.core.output_limits import Limits, mistakes
from edgekernel.core.runtime import Runtime
from edgekernel.node.document import NodeDocument, OutputTable
from edgekernel.node.memory import FileMemory
from edgekernel.node.packs import load_driver
from edgekernel.node.problems import did_you_mean
from edgekernel.node.signature import parameters_of


def declared_outputs(driver: type[Device]) -> dict[str, OutputDeclaration[Any]]:
    """Return the outputs that a driver's class declares, by name."""
    names = dict.fromkeys(name for base in reversed(driver.__mro__) for name in vars(base))
    found = ((name, getattr(driver, name, None)) for name in names)
    return {name: value for name, value in found if isinstance(value, OutputDeclaration)}


def may_have_outputs(driver: type[Device]) -> bool:
    """Say whether devices of a driver have outputs, or can have some by their settings."""
    return bool(declared_outputs(driver)) or _has_more(driver)


def check_outputs(id: str, driver: type[Device], document: NodeDocument) -> Iterator[str]:
    """Give what is wrong with the outputs of a device, as far as the driver's class can tell.

    Each problem begins with the key behind the device.
    """
    table = document.devices[id]
    for name, written in table.outputs.items():
        limits = written.limits
        if limits.initial == "restore" and document.node.data is None:
            yield (
                f'.outputs.{name}.initial: "restore" needs node.data, the folder in which the '
                'node keeps what it is to know after a restart, such as "/var/lib/edgekernel"'
            )
        for text in _unknown(limits.interlock, document):
            yield f".outputs.{name}.interlock: {text}"
    if _has_more(driver):
        return  # they are made from settings: known when it is made
    declared = declared_outputs(driver)
    for name, written in table.outputs.items():
        if name not in declared:
            there = did_you_mean(name, declared) if declared else f"{table.driver} has no outputs"
            yield f".outputs.{name}: unknown output; {there}"
            continue
        for key in written.settings:
            known = did_you_mean(key, OutputTable.model_fields)
            yield f".outputs.{name}.{key}: unknown key; {known}"
        output = declared[name]
        found = mistakes(written.limits, output.values, f"{id}.{name}", can_read=output.can_read)
        yield from (f".outputs.{name}.{key}: {text}" for key, text in found)


def _has_more(driver: type[Device]) -> bool:
    """Say whether a driver makes outputs from its settings."""
    return "outputs" in parameters_of(driver.__init__)


def _unknown(names: Sequence[str], document: NodeDocument) -> Iterator[str]:
    """Say which names in an interlock are no outputs of this node."""
    for name in names:
        id, _, output = name.partition(".")
        if not output:
            continue  # told as what it is already
        if id not in document.devices:
            yield f'"{name}": no device "{id}"; {did_you_mean(id, document.devices)}'
            continue
        try:
            driver = load_driver(document.devices[id].driver)
        except ConfigError:
            continue  # what is wrong with that device is told there
        declared = declared_outputs(driver)
        if output not in declared and not _has_more(driver):
            there = did_you_mean(output, declared) if declared else "it has none"
            yield f'"{name}": {id} has no output "{output}"; {there}'


def limit_outputs(device: Device, limits: Mapping[str, Limits]) -> None:
    """Set the limits of a device's outputs.

    Raises ConfigError for limits that they cannot have, and names that are not there; each problem
    begins with the key behind the device.
    """
    outputs: dict[str, Output[Any]] = {**device.outputs}
    problems: list[str] = []
    for name, each in limits.items():
        if name not in outputs:
            problems.append(f".outputs.{name}: unknown output; {did_you_mean(name, outputs)}")
            continue
        found = outputs[name].mistakes(each)
        problems += (f".outputs.{name}.{key}: {text}" for key, text in found)
    if problems:
        raise ConfigError(*problems)
    for name, each in limits.items():
        outputs[name].limits = each


def begin_together(devices: Mapping[str, Device]) -> Iterator[str]:
    """Say which outputs exclude one another and yet are both to begin away from their safe values.

    The second would be refused and begin safe: nobody could tell which of the two that is. To be
    called when all devices are made; each problem begins with the key.
    """
    outputs = {each.label: each for device in devices.values() for each in device.outputs.values()}
    told: set[frozenset[str]] = set()
    for label, output in outputs.items():
        begins = _begins_with(output)
        others = () if output.limits is None or not begins else output.limits.interlock
        for other in others:
            both = frozenset((label, other))
            if other not in outputs or both in told or not (too := _begins_with(outputs[other])):
                continue
            told.add(both)
            id, _, name = label.partition(".")
            yield (
                f"devices.{id}.outputs.{name}.initial: begins {begins} while {other}, which its "
                f"interlock excludes, begins {too}; let one of the two begin safe"
            )


def _begins_with(output: Output[Any]) -> str:
    """Return what other value than the safe one an output is certain to begin with, in words."""
    initial = "safe" if output.limits is None else output.limits.initial
    if initial in ("safe", "as-is", "restore"):
        return ""  # or nobody knows before
    value = output.values.parse(initial)
    if value == output.safe:
        return ""
    return ("on" if value else "off") if isinstance(value, bool) else f"at {value!r}"


def check_interlocks(limits: Mapping[str, Limits], devices: Mapping[str, Device]) -> Iterator[str]:
    """Give what is wrong with the interlocks of a device, when all devices are made."""
    for name, each in limits.items():
        for text in wrong_names(each.interlock, devices):
            yield f".outputs.{name}.interlock: {text}"


def forget_gone(runtime: Runtime) -> None:
    """Let a node forget in the end what outputs were driven with that it does not have any more.

    To be called when it has proven itself with the outputs that it has: what stands trial, and may
    be rolled back, makes nothing be forgotten.
    """
    memory = runtime.outputs.memory
    if isinstance(memory, FileMemory):
        outputs = (each for device in runtime.devices.values() for each in device.outputs.values())
        memory.keep_owned(KEPT_AS, {each.label for each in outputs if _is_restored(each)})


def _is_restored(output: Output[Any]) -> bool:
    return output.limits is not None and output.limits.initial == "restore"

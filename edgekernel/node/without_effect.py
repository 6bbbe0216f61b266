"""What stands in a node file and does nothing: mistakes that no rule forbids."""

from __future__ import annotations

from collections.abc import Iterator

from edgekernel.core.device import Device
from edgekernel.hal.i2c import I2CBus
from edgekernel.node.plan import Plan
from edgekernel.node.planned import PlannedDevice


def without_effect(plan: Plan) -> list[str]:
    """Return a sentence with file and key for each part of the node file that has no effect."""
    found = [*_tables(plan), *_mqtt(plan)]
    found += [sentence for device in plan.devices for sentence in _device(plan, device)]
    return [f"{plan.path.name}: {sentence}" for sentence in found]


def _tables(plan: Plan) -> Iterator[str]:
    document = plan.document
    if not document.devices and document.node.app is None:
        yield "node: does nothing: it has neither [devices] nor node.app"
    restores = (limits.initial == "restore" for d in plan.devices for limits in d.limits.values())
    if plan.data is not None and not any(restores) and document.mqtt is None:
        yield "node.data: has no effect: no output begins with what it is to restore, and no mqtt"
    if "sim" in document.model_fields_set and not document.sim.surrounds:
        yield "sim: has no effect: it says nothing; give it a world, or take it out"
    for bus, told in document.buses.items():
        if not told.model_fields_set:
            yield f"buses.{bus}: has no effect: it says nothing"
        elif not any(
            device.addresses[parameter].name == bus
            for device in plan.devices
            for parameter, kind in device.kinds.items()
            if kind is I2CBus and parameter in device.addresses
        ):
            yield f"buses.{bus}: has no effect: no device is on {bus}"


def _mqtt(plan: Plan) -> Iterator[str]:
    table = plan.document.mqtt
    if table is not None and table.password is not None and table.password_file is not None:
        yield "mqtt.password: has no effect: the password is read from mqtt.password_file"
    if table is not None and "outbox" in table.model_fields_set and plan.outbox is None:
        yield (
            "mqtt.outbox: has no effect: its file lies in the folder node.data, which is not "
            "named; events wait in memory, and end with the agent"
        )


def _device(plan: Plan, device: PlannedDevice) -> Iterator[str]:
    driver = device.driver.__module__.rpartition(".")[2]
    if device.every_s is not None and device.driver.poll is Device.poll:
        yield f"devices.{device.id}.every: has no effect: {driver} does not measure by polling"
    provides = getattr(device.driver, "line_names", ())
    polls = device.driver.poll is not Device.poll
    if provides and not polls and not any(device.id in each.providers for each in plan.devices):
        yield (
            f"devices.{device.id}: has no effect: no device uses a line of it, such as "
            f'"{device.id}:{provides[0]}"'
        )

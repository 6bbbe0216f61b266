"""The MQTT interface of a simulated node, on the in-process broker."""

from __future__ import annotations

from edgekernel.core.runtime import Runtime
from edgekernel.mqtt.about import About
from edgekernel.mqtt.interface import MqttInterface
from edgekernel.mqtt.settings import Settings
from edgekernel.mqtt.sim_transport import SimTransport
from edgekernel.mqtt.transport import Medium
from edgekernel.node import Plan
from edgekernel.sim.broker import SimBroker


def connect_simulated(plan: Plan, runtime: Runtime, broker: SimBroker, seed: int | None) -> None:
    """Register the interface that `[mqtt]` of a node file describes, with `broker` as the broker.

    Passwords are not looked up: the broker in the process lets everybody in. `seed` is that of the
    run. Raises ConfigError.
    """
    settings = Settings.of(plan, with_secrets=False)
    medium = Medium(SimTransport.to(broker, runtime.clock), f"mqtt:{seed}")
    runtime.register(MqttInterface(settings, medium=medium, about=About.of(plan)))

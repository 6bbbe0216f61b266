"""The retained states: one JSON object for each device, as long as there is the device."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ConfigError
from edgekernel.core.messages import Message
from edgekernel.mqtt.encoding import state_payload
from edgekernel.mqtt.names import device_problems
from edgekernel.mqtt.topics import Topics

CHANGES = (message.HotAdded, message.HotRemoved, message.HotUpdated)

Retain = Callable[[str, bytes], object]


class States:
    """Retains the state of each device when it changes, and takes it off when the device goes.

    Its methods are called in turns, `in` by any thread.
    """

    def __init__(
        self, ctx: Context, topics: Topics, retain: Retain, clear: Callable[[str], object]
    ) -> None:
        """Prepare; `retain` publishes what is kept on a topic, `clear` takes it off the broker."""
        self._ctx = ctx
        self._topics = topics
        self._retain = retain
        self._clear = clear
        self._watched: dict[str, tuple[Device, Effect]] = {}

    def __contains__(self, topic: object) -> bool:
        return any(self._topics.state(id) == topic for id in list(self._watched))

    def watch(self) -> None:
        """Watch the devices that there are, and no others. Raises ConfigError if two of them would
        share a topic."""
        devices = dict(self._ctx.devices)
        if problems := device_problems(devices):
            raise ConfigError(*problems)
        for id, (device, effect) in list(self._watched.items()):
            if devices.get(id) is not device:
                effect.dispose()
                del self._watched[id]
                if id not in devices:
                    self._clear(self._topics.state(id))
        for id, device in devices.items():
            if id not in self._watched:
                effect = Effect(partial(self._publish, device), name=f"mqtt.state.{id}")
                self._watched[id] = (device, effect)

    def noticed(self, payload: Message) -> None:
        """Follow what a message says about devices."""
        if isinstance(payload, CHANGES):
            self.watch()
        elif isinstance(payload, message.DeviceOnline | message.DeviceOffline):
            watched = self._watched.get(payload.device)
            if watched is not None:
                watched[1].run()  # whether it is online is no signal

    def refresh(self) -> None:
        """Publish every state that has changed."""
        for _, effect in list(self._watched.values()):
            effect.run()

    def close(self) -> None:
        """Watch no more; what is retained stays."""
        for _, effect in self._watched.values():
            effect.dispose()

    def _publish(self, device: Device) -> None:
        self._retain(self._topics.state(device.id), state_payload(device))

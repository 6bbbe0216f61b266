"""The retained states: what there is of each device, as long as there is the device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edgekernel.core import message
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect
from edgekernel.core.errors import ConfigError
from edgekernel.core.messages import Message
from edgekernel.mqtt.device_topics import device_topics
from edgekernel.mqtt.names import device_problems
from edgekernel.mqtt.topics import Topics

CHANGES = (message.HotAdded, message.HotRemoved, message.HotUpdated)

Retain = Callable[[str, bytes], object]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A device with its topics, and the effects that publish them, in the same order."""

    device: Device
    topics: frozenset[str]
    effects: list[Effect]

    def dispose(self) -> None:
        """Publish nothing of it any more."""
        for effect in self.effects:
            effect.dispose()


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
        self._watched: dict[str, _Watched] = {}

    def __contains__(self, topic: object) -> bool:
        return any(topic in each.topics for each in list(self._watched.values()))

    def watch(self) -> None:
        """Watch the devices that there are, and no others. Raises ConfigError if two of them would
        share a topic."""
        devices = dict(self._ctx.devices)
        if problems := device_problems(devices, self._topics.form):
            raise ConfigError(*problems)
        gone: dict[str, None] = {}
        for id, watched in list(self._watched.items()):
            if devices.get(id) is not watched.device:
                watched.dispose()
                gone |= dict.fromkeys(watched.topics)
                del self._watched[id]
        for id, device in devices.items():
            if id not in self._watched:
                self._watched[id] = self._watch(device)
        for topic in gone:
            if topic not in self:
                self._clear(topic)

    def noticed(self, payload: Message) -> None:
        """Follow what a message says about devices."""
        if isinstance(payload, CHANGES):
            self.watch()
        elif isinstance(payload, message.DeviceOnline | message.DeviceOffline):
            watched = self._watched.get(payload.device)
            if watched is not None:
                watched.effects[0].run()  # whether it is online is no signal

    def refresh(self) -> None:
        """Publish every state that has changed."""
        for watched in list(self._watched.values()):
            for effect in watched.effects:
                effect.run()

    def close(self) -> None:
        """Watch no more; what is retained stays."""
        for watched in self._watched.values():
            watched.dispose()

    def _watch(self, device: Device) -> _Watched:
        told = device_topics(device, self._topics)
        name = f"mqtt.state.{device.id}"
        effects = [Effect(partial(self._publish, *each), name=name) for each in told]
        return _Watched(device, frozenset(each.topic for each in told), effects)

    def _publish(self, topic: str, payload: Callable[[], bytes]) -> None:
        self._retain(topic, payload())

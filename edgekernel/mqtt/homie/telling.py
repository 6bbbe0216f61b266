"""The values of the properties that have a state: told when they change, taken off when they go."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect
from edgekernel.core.output import Output
from edgekernel.core.reading import NO_VALUE_YET, Reading
from edgekernel.core.sample import Quality
from edgekernel.mqtt.encoding import plain_sample
from edgekernel.mqtt.homie.properties import Property
from edgekernel.mqtt.homie.topics import HomieTopics
from edgekernel.mqtt.homie.values import encode_value
from edgekernel.mqtt.outgoing import Outgoing

Place = tuple[str, str]
Signal = Reading[Any] | Output[Any]


class Telling:
    """Retains value, target and alert of each property, as long as there is the property.

    A value that is not to be trusted is not on the broker, so that nobody takes a frozen one for
    what is now; with `keep_bad` the last one stays there. In both cases an alert says why.
    """

    def __init__(
        self, ctx: Context, topics: HomieTopics, outgoing: Outgoing, *, keep_bad: bool
    ) -> None:
        self._ctx = ctx
        self._topics = topics
        self._outgoing = outgoing
        self._keep_bad = keep_bad
        self._lock = ctx.clock.Lock()  # around what follows
        self._told: dict[Place, tuple[Signal, Effect]] = {}
        self._alerts: set[Place] = set()
        self._asked: dict[Place, tuple[Any, bytes]] = {}

    def __contains__(self, topic: object) -> bool:
        """Whether something of ours belongs on a topic."""
        with self._lock:
            told, alerts = list(self._told.items()), list(self._alerts)
        return any(
            topic == self._topics.value(*place)
            or (isinstance(signal, Output) and topic == self._topics.target(*place))
            for place, (signal, _) in told
        ) or any(topic == self._topics.alert(*place) for place in alerts)

    def follow(self, properties: Mapping[Place, Property]) -> None:
        """Tell of these properties, and of no others."""
        wanted = {
            place: signal
            for place, each in properties.items()
            if each.retained and (signal := _signal(self._ctx.devices, each)) is not None
        }
        with self._lock:
            before = dict(self._told)
        for place, (signal, effect) in before.items():
            if wanted.get(place) is not signal:
                effect.dispose()
                with self._lock:
                    del self._told[place]
                if place not in wanted:
                    self._take_off(place, signal)
        for place, signal in wanted.items():
            if place not in self._told:
                tell = partial(self._tell, place, signal)
                effect = Effect(tell, name=f"mqtt.homie.{'.'.join(place)}")
                with self._lock:
                    self._told[place] = signal, effect

    def asked(self, place: Place, value: object, payload: bytes) -> None:
        """Note how a controller has written what it wants: the target is written so as well."""
        self._asked[place] = value, payload

    def refresh(self) -> None:
        """Tell what has changed."""
        for _, effect in list(self._told.values()):
            effect.run()

    def close(self) -> None:
        """Tell no more; what is retained stays."""
        for _, effect in list(self._told.values()):
            effect.dispose()

    def _tell(self, place: Place, signal: Signal) -> None:
        """Tell the target first: a controller knows then that what follows is on the way to it."""
        reading = signal.readback if isinstance(signal, Output) else signal
        value, quality, reason = plain_sample(reading, reading.sample)
        if reason == NO_VALUE_YET:
            value, reason = None, ""
            self._outgoing.clear(self._topics.value(*place))
        if isinstance(signal, Output):
            self._tell_target(place, signal.setpoint, value)
        if value is not None and (quality is not Quality.BAD or self._keep_bad):
            self._outgoing.retain(self._topics.value(*place), encode_value(value))
        elif not self._keep_bad:
            self._outgoing.clear(self._topics.value(*place))
        self._warn(place, reason)

    def _tell_target(self, place: Place, setpoint: Any, value: Any) -> None:
        target = value if setpoint is None else setpoint
        if target is None:
            return
        asked, payload = self._asked.get(place, (None, b""))
        written = payload if asked == target and type(asked) is type(target) else b""
        self._outgoing.retain(self._topics.target(*place), written or encode_value(target))

    def _warn(self, place: Place, reason: str) -> None:
        """Raise the alert of a property, or take it off if there is one."""
        with self._lock:
            if not reason and place not in self._alerts:
                return
            (self._alerts.add if reason else self._alerts.discard)(place)
        text = f"{'.'.join(place)}: {reason}".encode() if reason else b""
        self._outgoing.retain(self._topics.alert(*place), text)

    def _take_off(self, place: Place, signal: Signal) -> None:
        self._outgoing.clear(self._topics.value(*place))
        if isinstance(signal, Output):
            self._outgoing.clear(self._topics.target(*place))
        self._warn(place, "")
        self._asked.pop(place, None)


def _signal(devices: Mapping[str, Device], each: Property) -> Signal | None:
    """Return what a property is of, if it is there still."""
    device = devices.get(each.owner)
    if device is None:
        return None
    signals: dict[str, Any] = device.outputs if each.source == "output" else device.readings
    found: Signal | None = signals.get(each.member)
    return found

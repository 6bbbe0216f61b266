"""What is retained of one device, on which topics: in the form that its node uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from edgekernel.core.device import Device
from edgekernel.core.output import Output
from edgekernel.core.reading import Reading
from edgekernel.mqtt.encoding import encode, output_payload, reading_payload, state_payload
from edgekernel.mqtt.plain import plain_online, plain_quality, plain_value
from edgekernel.mqtt.topics import Topics

Signal = Reading[Any] | Output[Any]


class Told(NamedTuple):
    """A topic, and what makes its payload; an effect that calls this depends on what it reads."""

    topic: str
    payload: Callable[[], bytes]


def device_topics(device: Device, topics: Topics) -> list[Told]:
    """Return what is retained of a device; the first topic says whether the device answers."""
    first = topics.state(device.id)
    if not topics.form.by_signal:
        return [Told(first, partial(state_payload, device))]
    answers = _plainly_online if topics.form.plain else _online
    return [Told(first, partial(answers, device)), *_of_signals(device, topics)]


def _of_signals(device: Device, topics: Topics) -> Iterator[Told]:
    signals: dict[str, Signal] = {**device.readings, **device.outputs}
    for name, signal in signals.items():
        reading = signal.readback if isinstance(signal, Output) else signal
        topic = topics.signal(device.id, name)
        if topics.form.plain:
            yield Told(topics.quality(device.id, name), partial(plain_quality, reading))
            yield Told(topic, partial(plain_value, reading))
        elif isinstance(signal, Output):
            yield Told(topic, partial(output_payload, signal))
        else:
            yield Told(topic, partial(reading_payload, signal))


def _online(device: Device) -> bytes:
    return encode({"online": device.online})


def _plainly_online(device: Device) -> bytes:
    return plain_online(device.online)

"""The history of readings: every change, sent in batches, one for each device."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from edgekernel.core.clock import NANOSECONDS, Clock, ThreadLike
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect
from edgekernel.core.messages import Message
from edgekernel.core.reading import NO_VALUE_YET, Reading
from edgekernel.core.sample import Quality
from edgekernel.mqtt.encoding import encode, plain_sample
from edgekernel.mqtt.states import CHANGES

MAX_SAMPLES = 1000
MAX_BYTES = 100_000
"""In one batch; with more it goes before its time, so that it stays below the 128 KB that a message
may have."""
_SAMPLE_BYTES = 60
"""Of time and number, and what is around them, at most."""
_CLOSE_S = 1.0

SendData = Callable[[str, bytes, int], object]
"""Given the device, the batch without its stamp, and the monotonic time that it begins at."""


class _Batch:
    """The samples of a device since the last batch."""

    def __init__(self, begin_ns: int) -> None:
        self.begin_ns = begin_ns
        self.samples: dict[str, list[list[Any]]] = {}
        self.count = self.size = 0

    def has_room(self, size: int) -> bool:
        """Say whether a sample of so many bytes can be added; there always is room for one."""
        return not self.count or (self.count < MAX_SAMPLES and self.size + size <= MAX_BYTES)

    def add(
        self, name: str, now_ns: int, size: int, value: Any, quality: Quality, reason: str
    ) -> None:
        """Add a sample: seconds since the beginning, value, and what is wrong with it."""
        after_s = round((now_ns - self.begin_ns) / NANOSECONDS, 6)
        doubts = [] if quality is Quality.GOOD else [str(quality), reason]
        self.samples.setdefault(name, []).append([after_s, value, *doubts])
        self.count += 1
        self.size += size


class History:
    """Notes the changes of all readings and readbacks; sends those of a device together.

    A change of value, quality or reason is a sample; measuring the same again is none. Changes
    that follow one another before a handler or effect could see them are one. A batch is a JSON
    object with `samples`: for each reading a list of `[seconds, value]`, with quality and reason
    behind them where it is not GOOD. The seconds count from the `monotonic` and `time` of its
    stamp.
    """

    def __init__(
        self, devices: Mapping[str, Device], clock: Clock, every_s: float, send: SendData
    ) -> None:
        """Prepare; with `every_s` 0 nothing is noted and nothing sent."""
        self._devices = devices
        self._clock = clock
        self._every_ns = int(every_s * NANOSECONDS)
        self._send = send
        self._lock = threading.RLock()  # held for moments, also by a finalizer's effect
        self._batches: dict[str, _Batch] = {}
        self._noting: dict[str, tuple[Device, list[Effect]]] = {}
        self._closing = clock.Event()
        self._thread: ThreadLike | None = None

    def start(self) -> None:
        """Begin to note, and to send. Call it as a turn."""
        if not self._every_ns:
            return
        self._follow()
        self._thread = self._clock.Thread(self._run, "edgekernel:mqtt:history")
        self._thread.start()

    def noticed(self, payload: Message) -> None:
        """Follow the devices that have come, and let go of those that went; called in a turn."""
        if self._thread is not None and isinstance(payload, CHANGES):
            self._follow()

    def refresh(self) -> None:
        """Note what has changed and was not seen; called in a turn."""
        if self._thread is None:
            return
        self._follow()
        for _, effects in list(self._noting.values()):
            for effect in effects:
                effect.step()

    def close(self) -> None:
        """Send what was noted, and end."""
        if self._thread is None:
            return
        for id in list(self._noting):
            self._let_go(id)
        self._closing.set()
        self._thread.join(_CLOSE_S)

    def _follow(self) -> None:
        """Note what the devices measure that there are, and no others. What those have measured
        that went is sent as ever."""
        devices = dict(self._devices)
        for id, (device, _) in list(self._noting.items()):
            if devices.get(id) is not device:
                self._let_go(id)
        for id, device in devices.items():
            if id not in self._noting:
                self._noting[id] = (device, list(self._effects_of(device)))

    def _effects_of(self, device: Device) -> Iterator[Effect]:
        readbacks = {name: output.readback for name, output in device.outputs.items()}
        for name, reading in {**device.readings, **readbacks}.items():
            note = partial(self._note, device.id, name, reading)
            yield Effect(note, name=f"mqtt.history.{device.id}.{name}")

    def _let_go(self, id: str) -> None:
        for effect in self._noting.pop(id)[1]:
            effect.dispose()

    def _note(self, id: str, name: str, reading: Reading[Any]) -> None:
        sample = reading.sample
        if sample.reason == NO_VALUE_YET:
            return
        plain = plain_sample(reading, sample)
        size = _size_of(*plain)
        now_ns = self._clock.monotonic_ns()
        with self._lock:
            full = self._batches.get(id)
            if full is None or not full.has_room(size):
                self._batches[id] = _Batch(now_ns)
            else:
                full = None
            self._batches[id].add(name, now_ns, size, *plain)
        if full is not None:
            self._send_batch(id, full)

    def _run(self) -> None:
        due_ns = self._clock.monotonic_ns()
        ends = False
        while not ends:
            due_ns = max(due_ns + self._every_ns, self._clock.monotonic_ns())
            ends = self._clock.wait_until(self._closing, due_ns)
            with self._lock:
                batches, self._batches = self._batches, {}
            for id, batch in batches.items():
                self._send_batch(id, batch)

    def _send_batch(self, id: str, batch: _Batch) -> None:
        self._send(id, encode({"samples": batch.samples}), batch.begin_ns)


def _size_of(value: Any, quality: Quality, reason: str) -> int:
    """Return how many bytes a sample takes in a batch, at most."""
    texts = [each for each in (value, reason) if isinstance(each, str) and each]
    return _SAMPLE_BYTES + sum(len(encode(each)) for each in texts)

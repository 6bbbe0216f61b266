"""Pain 20: after days the program has eaten the memory, or stands still.

flyte/mqtt-io#258, #280; kizniche/Mycodo#443.
"""

from __future__ import annotations

import gc
import threading
from collections import Counter

from edgekernel_devices.button import ButtonPressed

from edgekernel import Context, Process, Service, on
from edgekernel.sim import SimClock
from edgekernel.sim.primitives import SimThread
from tests.pains.conftest import MakeNode, Node
from tests.pains.parts import Thermostat

NODE = """
[devices.heater]
driver = "relay"
pin = "GPIO17"

[devices.heater.outputs.power]
lease = "30min"
min_on = "1min"
max_changes = "20/min"

[devices.lamp]
driver = "relay"
pin = "GPIO27"

[devices.lamp.outputs.power]
max_on = "10min"

[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
every = "1min"
filters = [{ median = 5 }, { moving_average = 10 }]

[devices.scale]
driver = "line_sensor"
port = "uart0"
every = "1min"
silence = 120
pattern = '(?P<mass>[0-9.]+) kg'
readings = { mass = { unit = "kg" } }

[devices.bell]
driver = "button"
pin = "GPIO22"
every = "1min"
"""
DAY_S = 86_400
KEPT_ERRORS = 200
"""The runtime keeps the newest."""


class Light(Process):
    """A press switches the lamp on; it goes out by itself."""

    name = "light"

    def __init__(self, node: Node) -> None:
        self._node = node
        self.presses = 0

    @on(ButtonPressed)
    def switch(self, event: object) -> None:
        """Switch it on."""
        self.presses += 1
        self._node.output("lamp.power").set(True)


class Life(Service):
    """What happens in the house: every quarter of an hour somebody rings, the temperature moves,
    the scale speaks, the bus has a fault, a plug is pulled, and time is set."""

    name = "life"
    interval = 900.0

    def __init__(self, node: Node, clock: SimClock) -> None:
        self._node = node
        self._clock = clock
        self._quarter = 0

    def tick(self, ctx: Context) -> None:
        """Let it happen."""
        self._quarter += 1
        self._node.events.clear()  # the test's own leak
        self._node.bench.chip("room").temperature_c = 15.0 + self._quarter % 12
        self._node.bench.chip("scale").line = f"{self._quarter % 100} kg"
        self._node.bench.press("bell", 0.5)
        if self._quarter % 5 == 0:
            self._node.bus().stick("sda", until="reopened")
        port = self._node.backend.port("uart0")
        port.present = self._quarter % 7 != 0
        if self._quarter % 96 == 0:
            self._clock.step_wall(1.0 if self._quarter % 192 else -1.0)


def tracked() -> Counter[str]:
    """Count the objects that there are, by class."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects())


def test_thirty_days(make_node: MakeNode, clock: SimClock) -> None:
    """A node that works for a month with faults of all kinds ends as it began: no more threads,
    fibers, timers or objects than after its first ten days."""
    node = make_node(NODE)
    light = Light(node)
    for part in (Thermostat(), light):
        node.runtime.register(part)
    node.runtime.register_service(Life(node, clock))
    node.bench.chip("scale").interval_s = 30.0
    node.runtime.devices["i2c1"].every = 60.0  # or most of the test is looks at the bus
    with node.runtime:
        clock.advance(10 * DAY_S)
        tracked()  # the first count leaves something behind itself
        before, threads = tracked(), threading.active_count()
        kept = len(node.runtime.errors)
        clock.advance(20 * DAY_S)
        after = tracked()
        assert light.presses == 30 * 96
        assert threading.active_count() == threads
        assert len(node.runtime.errors) <= KEPT_ERRORS
        # Runtimes of other tests may still have some: there are more by what this one keeps more.
        more = after.pop("ErrorRecord", 0) - before.pop("ErrorRecord", 0)
        assert more <= len(node.runtime.errors) - kept
        grown = {name: count for name, count in (after - before).items() if count > 15}
        assert grown == {}
        assert after.total() < before.total() + 100
        status = node.runtime.status()
        assert status["dropped_turns"] == status["waiting_turns"] == 0
        assert sum(each.is_alive() for each in gc.get_objects() if isinstance(each, SimThread)) < 20

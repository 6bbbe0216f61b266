"""Pain 19: a frozen or garbage reading drives an actuator: 85 °C froze a fridge.

kizniche/Mycodo#404; arendst/Tasmota#852; esphome/issues#397; diyless/opentherm-thermostat#62;
flyte/mqtt-io#163.
"""

from __future__ import annotations

from edgekernel import Context, Quality, Service
from edgekernel.sim import SimClock
from tests.pains.conftest import MakeNode, Node
from tests.pains.parts import HEATED_ROOM, Fridge, Thermostat

FRIDGE = """
[devices.compressor]
driver = "relay"
pin = "GPIO17"

[devices.inside]
driver = "ds18b20"
bus = "w1"
"""
FROZEN = 'every = "10s"\nfilters = [{ frozen = { after = "10min", quality = "bad" } }]\n'
SPIKES = "filters = [{ rate_check = 1.0 }]\n"
MINUTE_S = 60


class Weather(Service):
    """Moves the temperature of the room a little each second, as that of any room does."""

    name = "weather"

    def __init__(self, node: Node, celsius: float) -> None:
        self._chip = node.bench.chip("room")
        self.celsius = celsius
        self.hangs = False
        self._second = 0

    def tick(self, ctx: Context) -> None:
        """Change it, unless the sensor repeats itself."""
        self._second += 1
        if not self.hangs:
            self._chip.temperature_c = self.celsius + self._second % 7 * 0.02


def test_power_on_value(make_node: MakeNode, clock: SimClock) -> None:
    """A DS18B20 whose supply breaks down says 85 °C, and the fridge cools until all is frozen: the
    value is BAD, and the compressor stays off."""
    node = make_node(FRIDGE)
    node.runtime.register(Fridge())
    chip = node.bench.chip("inside")
    chip.temperature_c = 4.0
    with node.runtime:
        clock.advance(60)
        assert node.reading("inside.temperature").value == 4.0
        chip.powered = False
        seen: list[bool] = []
        node.bench.line("GPIO17").watch(seen.append)
        clock.advance(3600)
        assert node.reading("inside.temperature").quality is Quality.BAD
        assert "power-on value" in node.reading("inside.temperature").sample.reason
        assert seen == []
        chip.powered, chip.temperature_c = True, 8.0
        clock.advance(60)
        assert seen == [True]


def test_frozen(make_node: MakeNode, clock: SimClock) -> None:
    """A BME280 repeats the value of a cold minute for ever, and the heater runs all night: after
    ten minutes of the very same value it is off, and with the sensor it is back."""
    node = make_node(HEATED_ROOM + FROZEN)
    node.runtime.register(Thermostat())
    weather = Weather(node, 15.0)
    node.runtime.register_service(weather)
    with node.runtime:
        clock.advance(20 * MINUTE_S)
        assert node.bench.is_on("heater")
        weather.hangs = True
        clock.advance(9 * MINUTE_S)
        assert node.bench.is_on("heater")
        clock.advance(MINUTE_S + 20)
        assert not node.bench.is_on("heater")
        reason = "frozen: the same for 600 s"
        assert node.reading("room.temperature").sample.reason == reason
        clock.advance(3 * 60 * MINUTE_S)
        assert not node.bench.is_on("heater")
        weather.hangs = False
        clock.advance(20)
        assert node.bench.is_on("heater")


def test_spike(make_node: MakeNode, clock: SimClock) -> None:
    """One wild value in a warm room, and the heater clicks: a jump that no room can make is BAD,
    and the heater does not move; a new level that lasts is believed."""
    node = make_node(HEATED_ROOM + SPIKES)
    node.runtime.register(Thermostat())
    weather = Weather(node, 24.0)
    node.runtime.register_service(weather)
    with node.runtime:
        clock.advance(MINUTE_S)
        seen: list[bool] = []
        node.bench.line("GPIO17").watch(seen.append)
        for celsius in (-20.0, 24.0, -39.0, 24.0):
            weather.celsius = celsius
            clock.advance(1)
            weather.celsius = 24.0
            clock.advance(5)
        assert seen == []
        assert node.reading("room.temperature").quality is Quality.GOOD
        weather.celsius = 15.0
        clock.advance(10)
        assert seen == [True]


def test_garbage_on_the_bus(make_node: MakeNode, clock: SimClock) -> None:
    """A chip that answers nonsense says -140 °C, and the heater is on for good: what it cannot
    measure is BAD, and the heater is off."""
    node = make_node(HEATED_ROOM)
    node.runtime.register(Thermostat())
    node.bench.chip("room").temperature_c = 15.0
    with node.runtime:
        clock.advance(5)
        assert node.bench.is_on("heater")
        node.bench.chip("room").temperature_c = -140.0
        clock.advance(2)
        assert node.reading("room.temperature").quality is Quality.BAD
        assert not node.bench.is_on("heater")

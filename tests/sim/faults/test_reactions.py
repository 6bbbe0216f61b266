"""What a whole node does about each fault: its readings, its outputs, what it says, and that all is
as before when the fault is over."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from edgekernel_devices.bme280 import BME280
from edgekernel_devices.button import ButtonPressed
from edgekernel_devices.gps import GPS
from edgekernel_devices.relay import Relay
from edgekernel_devices.sht4x import SHT4x

from edgekernel import Context, Process, Quality, Runtime, Service, effect, on, requires
from edgekernel.sim.faults import (
    BitErrors,
    Bounce,
    ClockStep,
    Drift,
    Fault,
    Frozen,
    Garbage,
    LostBytes,
    Nack,
    Slow,
    Spike,
    Stuck,
    StuckLine,
    Unplug,
)
from edgekernel.testing import Simulation, Watch, assert_level, assert_output, assert_reading
from edgekernel.testing.plugin import NodeFactory

FARM = """
[node]
name = "farm"
board = "sim"

[devices.room]
driver = "bme280"
bus = "i2c1"
every = "2s"
readings.temperature.filters = [{ median = 5 }, { range_check = [0, 30] }]

[devices.air]
driver = "sht4x"
bus = "i2c1"
every = "2s"
stale = "3s"

[devices.position]
driver = "gps"
port = "uart0"
every = "1s"
silence = 5

[devices.bell]
driver = "button"
pin = "GPIO23"

[devices.heater]
driver = "relay"
pin = "GPIO17"
outputs.power.max_on = "15min"

[devices.vent]
driver = "relay"
pin = "GPIO27"

[devices.beacon]
driver = "relay"
pin = "GPIO22"

[devices.lamp]
driver = "relay"
pin = "GPIO24"

[sim.worlds.house]
kind = "thermal_room"
heater = "heater"
sensor = "room.temperature_c"
outside_c = 12
start_c = 19
"""
"""Left alone it heats, since 19 °C is below what it keeps."""


class Farm(Process):
    """Heats a house to 20 °C, airs it while it is humid, shows that its position is known, and has
    a lamp that a button switches."""

    name = "control"
    room = requires(BME280, id="room")
    air = requires(SHT4x, id="air")
    position = requires(GPS, id="position")
    heater = requires(Relay, id="heater")
    vent = requires(Relay, id="vent")
    beacon = requires(Relay, id="beacon")
    lamp = requires(Relay, id="lamp")

    @effect
    def heat(self) -> None:
        """Be on below 20 °C, and as it was up to 20.5 °C."""
        celsius = self.room.temperature.value
        if celsius < 20 or celsius > 20.5:
            self.heater.power.set(celsius < 20)

    @effect
    def ventilate(self) -> None:
        """Be open above 45 % of humidity."""
        self.vent.power.set(self.air.humidity.value > 45)

    @effect
    def show(self) -> None:
        """Be on while the position is known."""
        self.beacon.power.set(self.position.latitude.value != 0)

    @on(ButtonPressed)
    def switch(self, event: object) -> None:
        """Switch the lamp."""
        self.lamp.power.set(not self.lamp.power.setpoint)


class Diary(Service):
    """Notes every 10 seconds that it is awake, by both clocks."""

    name = "diary"
    interval = 10.0

    def __init__(self) -> None:
        self.notes: list[tuple[float, float]] = []

    def tick(self, ctx: Context) -> None:
        """Note."""
        self.notes.append((ctx.clock.monotonic(), ctx.clock.time_ns() / 1e9))


Play = Callable[..., Any]


@pytest.fixture
def play(node: NodeFactory) -> Play:
    """Give a function that starts the farm with a plan."""

    def play(*faults: Fault) -> Any:
        def setup(runtime: Runtime) -> None:
            runtime.register(Farm())
            runtime.register(Diary())

        return node(FARM, setup=setup, faults=faults)

    return play


def bad(device: Any) -> bool:
    """Say whether the temperature that a device measures is BAD."""
    return bool(device.temperature.sample.quality is Quality.BAD)


def heating_blindly(farm: Any, sim: Simulation) -> Watch:
    """Watch whether the heater is on while the temperature is unknown."""
    return sim.watch(lambda: bad(farm.room) and farm.is_on("heater"), "heating blindly")


@pytest.mark.parametrize("kind", [Nack(), Unplug()])
def test_chip_that_does_not_answer(play: Play, sim: Simulation, kind: Nack | Unplug) -> None:
    """A chip that does not acknowledge, or is pulled out, is BAD with the reason and the heater
    off within a poll, told once; then it is set up anew and heated by. All else goes on."""
    farm = play(Fault(kind, device="room", at_s=60, for_s=120))
    blind = heating_blindly(farm, sim)
    sim.run(59)
    assert_output(farm.heater.power, True)
    farm.events.clear()
    assert_reading(farm.room.temperature, quality=Quality.BAD, within=3.1)
    assert "no acknowledge" in farm.room.temperature.sample.reason
    assert_output(farm.heater.power, False)
    sim.run(110)
    assert_reading(farm.air.humidity, 50, abs=1)
    assert_output(farm.vent.power, True)
    assert_output(farm.heater.power, True, within=70)
    assert_reading(farm.room.temperature, 19, abs=1.5)
    blind.assert_never()
    farm.events.assert_order("fault.began", "device.offline", "fault.ended", "device.online")
    for name in ("device.offline", "device.online"):
        assert [told.device for told in farm.events.of(name)] == ["room"]


def test_stuck_bus(play: Play, sim: Simulation) -> None:
    """While a line of the bus is held its breaker is open: all on it are BAD with that reason and
    both outputs safe, and what is on lines works; then the breaker closes, and all is back."""
    farm = play(Fault(Stuck(), bus="i2c1", at_s=60, for_s=120))
    blind = heating_blindly(farm, sim)
    sim.run(65)
    assert farm["i2c1"].readings["state"].sample.value == "open"
    assert bad(farm.room)
    assert bad(farm.air)
    assert "sda is held low" in farm.room.temperature.sample.reason
    assert_level(sim.board.line("GPIO27"), False)
    farm.press("bell")
    assert_output(farm.lamp.power, True, within=0.2)
    assert {told.device for told in farm.events.of("device.offline")} == {"room", "air", "i2c1"}
    sim.run(120)
    assert_reading(farm["i2c1"].readings["state"], "closed", within=60)
    assert_output(farm.heater.power, True, within=30)
    assert_output(farm.vent.power, True, within=30)
    blind.assert_never()


def test_bus_that_nine_clocks_free(play: Play, sim: Simulation) -> None:
    """A chip that holds the data line until it is clocked is freed by a kernel that clocks: within
    seconds all is measured again, long before the fault would be healed."""
    farm = play(Fault(Stuck(until="clocks"), bus="i2c1", at_s=60, for_s=3600))
    farm.board.bus("i2c1").kernel_clocks = True
    sim.run(60)
    farm.events.assert_emitted("device.offline", device="room", within=5)
    assert_reading(farm.room.temperature, 20, abs=1.5, within=5)
    assert_reading(farm.air.humidity, 50, abs=1, within=5)
    assert farm["i2c1"].readings["state"].value == "closed"


def test_slow_bus(play: Play, sim: Simulation) -> None:
    """On a bus so slow that a measurement is older than allowed it is BAD as stale, told, and what
    it drives safe; then it is as quick as before."""
    farm = play(Fault(Slow(takes=0.9), bus="i2c1", at_s=60, for_s=120))
    sim.run(61)
    blind = sim.watch(lambda: bad(farm.air) and farm.is_on("vent"), "airing blindly")
    farm.events.assert_emitted("device.stale", device="air", within=20)
    assert "not measured for" in farm.air.humidity.sample.reason
    assert_output(farm.vent.power, False)
    sim.run(120)
    farm.events.clear()
    assert_output(farm.vent.power, True, within=10)
    farm.events.assert_none("device.stale", within=60)
    blind.assert_never()


def test_wrong_checksums(play: Play, sim: Simulation) -> None:
    """What comes with a wrong checksum is not believed: BAD with that reason, the vent at its safe
    value, while the other chip of the bus heats on; then the vent opens again."""
    farm = play(Fault(BitErrors(), device="air", at_s=60, for_s=60))
    sim.run(70)
    assert_reading(farm.air.humidity, quality=Quality.BAD)
    assert "checksum" in farm.air.humidity.sample.reason
    assert_output(farm.vent.power, False)
    assert_reading(farm.room.temperature, 20, abs=1.5)
    farm.events.assert_none("device.offline", device="room")
    assert_output(farm.vent.power, True, within=180)


def test_frozen_sensor(play: Play, sim: Simulation) -> None:
    """Nobody can see that a sensor is frozen; the limit of the output ends what comes of it, says
    so, and the house is not heated beyond; then it is kept as before."""
    farm = play(Fault(Frozen(), device="room", at_s=4, for_s=3600))
    farm.events.assert_emitted("output.expired", output="heater.power", reason="max_on", within=960)
    assert_output(farm.heater.power, False)
    sim.run(2600)
    assert farm.worlds["house"].temperature_c < 20
    assert_reading(farm.room.temperature, 20, abs=1.5, within=900)


def test_drifting_sensor(play: Play, sim: Simulation) -> None:
    """A sensor that drifts is believed until it leaves what can be: then it is BAD with that
    reason, and the heater, which it had on, off. Healed it is believed again."""
    drift = Drift(per_hour=-600, quantity="temperature_c")
    farm = play(Fault(drift, device="room", at_s=60, for_s=600))
    blind = heating_blindly(farm, sim)
    sim.run(120)
    assert_reading(farm.room.temperature, 10, abs=3)
    assert_output(farm.heater.power, True)
    assert_reading(farm.room.temperature, quality=Quality.BAD, within=120)
    assert farm.room.temperature.sample.reason.endswith(" is below 0")
    assert_output(farm.heater.power, False)
    sim.run(400)
    assert_reading(farm.room.temperature, 20, abs=1.5, within=1200)
    assert_output(farm.heater.power, True, within=1200)
    blind.assert_never()


def test_spiking_sensor(play: Play, sim: Simulation) -> None:
    """Single wrong measurements pass no median: nothing is BAD, and the heater switches as rarely
    as it would."""
    farm = play(Fault(Spike(by=60, share=0.01, quantity="temperature_c"), device="room", at_s=60))
    sim.run(60)
    chip, reading = farm.chip("room"), farm.room.temperature
    spikes = sim.watch(lambda: chip.temperature_c > 70, "a spike")
    wrong = sim.watch(lambda: bad(farm.room) or abs(reading.sample.value - 20) > 2, "far off")
    off = sim.watch(lambda: not farm.is_on("heater"), "a pause")
    sim.run(600)
    assert len(spikes.spans) > 5
    wrong.assert_never()
    assert len(off.spans) < 20


def test_bouncing_contact(play: Play, sim: Simulation) -> None:
    """However a contact bounces, each press switches the lamp once."""
    farm = play(Fault(Bounce(takes=0.02), device="bell", at_s=0))
    sim.run(5)
    changes: list[bool] = []
    sim.board.line("GPIO23").watch(changes.append)
    for expected in (True, False, True):
        farm.press("bell", 0.5)
        sim.run(2)
        assert farm.is_on("lamp") is expected
    assert len(farm.events.of(ButtonPressed)) == 3
    assert len(changes) > 12


def test_stuck_contact(play: Play, sim: Simulation) -> None:
    """A contact that sticks is one long press: it switches once, and again when it is free."""
    farm = play(Fault(StuckLine("low"), device="bell", at_s=10, for_s=30))
    sim.run(15)
    assert farm.is_on("lamp")
    farm.press("bell", 0.5)
    sim.run(10)
    assert farm.is_on("lamp")
    assert len(farm.events.of(ButtonPressed)) == 1
    sim.run(20)
    farm.press("bell", 0.5)
    sim.run(1)
    assert not farm.is_on("lamp")


def test_serial_garbage(play: Play, sim: Simulation) -> None:
    """Noise on the serial line costs some sentences, and nothing of what is known; when nothing
    gets through any more the position is BAD and the beacon safe, and then it is back."""
    farm = play(
        Fault(Garbage(count=500), port="uart0", at_s=60, every_s=3, times=20),
        Fault(LostBytes(), port="uart0", at_s=180, for_s=60),
    )
    sim.run(10)
    unknown = sim.watch(lambda: not farm.is_on("beacon"), "position unknown")
    sim.run(160)
    unknown.assert_never()
    assert_reading(farm.position.latitude, quality=Quality.BAD, within=20)
    assert_output(farm.beacon.power, False)
    assert_output(farm.beacon.power, True, within=120)
    assert len(farm.events.of("fault.began", kind="garbage")) == 20


@pytest.mark.parametrize("by", [3 * 3600.0, -3600.0])
def test_clock_step(play: Play, sim: Simulation, by: float) -> None:
    """When the wall clock is set, forward or back, nobody wakes early or late, nothing is stale,
    no limit of time is over, and the house is heated as before."""
    farm = play(Fault(ClockStep(by=by), at_s=65))
    sim.run(62)
    assert_output(farm.heater.power, True)
    doubtful = sim.watch(lambda: bad(farm.room) or bad(farm.air), "doubtful")
    off = sim.watch(lambda: not farm.is_on("heater"), "not heated")
    sim.run(30)
    doubtful.assert_never()
    off.assert_never()
    farm.events.assert_none("output.expired")
    farm.events.assert_none("device.stale")
    notes = farm.runtime.services["diary"].notes
    awake = [b[0] - a[0] for a, b in pairwise(notes)]
    assert awake == pytest.approx([10] * len(awake))
    walls = [b[1] - a[1] for a, b in pairwise(notes)]
    assert sorted(round(each) for each in walls if each != pytest.approx(10)) == [10 + by]
    monotonic = [event.monotonic for event in farm.events]
    assert monotonic == sorted(monotonic)

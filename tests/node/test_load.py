"""Bus load: measured in simulated time, with the drivers as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from edgekernel_devices.bme280 import BME280, BME280Chip

from edgekernel.node import Plan, make_plan
from edgekernel.node.load import BusLoad, PollCost, measure_load
from edgekernel.node.load_report import duration, load_problems

NodeFile = Callable[..., Path]

# One poll of a BME280: 4 bytes written, the status read twice, 13 registers read. Each transfer
# is a start, an address of 9 bits, 9 bits a byte, and a stop; a read sends the register first.
POLL_BITS = (1 + 9 + 36 + 1) + 2 * (19 + 19 + 1) + (19 + 1 + 9 + 117 + 1)
WAITING_S = 2 * 0.0093
"""The simulated chip measures until it is asked a second time."""


class BareBME280(BME280):
    """A driver without a simulated chip."""

    simulated: ClassVar[None] = None  # type: ignore[assignment]


class AloneBME280(BME280):
    """A driver that is polled by a thread of its own."""

    def __init__(self, *args: object, **settings: object) -> None:
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.poll_group = self.id


class BrokenChip(BME280Chip):
    """A chip that measures nothing after it was set up."""

    def read(self, length: int) -> bytes:
        """Answer nothing to whoever wants the data."""
        if length == 13:
            return bytes(13)
        return super().read(length)


class BrokenBME280(BME280):
    """A driver whose simulated chip is broken."""

    simulated = BrokenChip


def bme280(id: str, every: str, address: int = 0x76, bus: str = "i2c1") -> str:
    """A BME280 in a node file."""
    return (
        f'[devices.{id}]\ndriver = "bme280"\nbus = "{bus}"\naddress = {address}\n'
        f'every = "{every}"\n'
    )


def driven_by(plan: Plan, driver: type[BME280]) -> Plan:
    """Return the plan with another driver for its first device."""
    first, *rest = plan.devices
    return replace(plan, devices=(replace(first, driver=driver), *rest))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0213, "21.3 ms"), (2.5, "2.5 s"), (90, "90 s"), (3600, "3600 s"), (86400, "24 h")],
)
def test_times_in_words(seconds: float, said: str) -> None:
    """A time is told in a unit in which it has few digits."""
    assert duration(seconds) == said


def test_cost_of_a_poll(node_file: NodeFile) -> None:
    """A poll costs its bits at the clock of the bus, and what the driver waits for the chip."""
    (load,) = measure_load(make_plan(node_file(bme280("room", "2s"))))
    assert (load.bus, load.speed_hz, dict(load.unknown)) == ("i2c1", 100_000, {})
    (cost,) = load.costs
    assert (cost.device, cost.every_s) == ("room", 2.0)
    assert cost.wire_s == pytest.approx(POLL_BITS / 100_000)
    assert cost.waiting_s == pytest.approx(WAITING_S)
    assert load.utilisation == pytest.approx((POLL_BITS / 100_000 + WAITING_S) / 2)


def test_clock_of_the_bus(node_file: NodeFile) -> None:
    """What `[buses]` says of a bus counts; the driver waits as long as before."""
    told = "[buses.i2c1]\nspeed_hz = 400_000\n"
    (load,) = measure_load(make_plan(node_file(told + bme280("room", "2s"))))
    assert load.speed_hz == 400_000
    assert load.costs[0].wire_s == pytest.approx(POLL_BITS / 400_000)
    assert load.costs[0].waiting_s == pytest.approx(WAITING_S)


@pytest.mark.parametrize("every", ["25ms", "1s", "7min", "24h"])
def test_interval_does_not_matter(node_file: NodeFile, every: str) -> None:
    """However often a device is polled, a poll costs the same, and the first one is not counted:
    it also sets the chip up."""
    (load,) = measure_load(make_plan(node_file(bme280("room", every))))
    assert load.costs[0].total_s == pytest.approx(POLL_BITS / 100_000 + WAITING_S)


def test_devices_of_a_bus_add_up(node_file: NodeFile) -> None:
    """The utilisation of a bus is that of its devices together; other buses are their own."""
    node = bme280("a", "1s") + bme280("b", "500ms", 0x77) + bme280("c", "1s", bus="i2c0")
    first, second = measure_load(make_plan(node_file(node)))
    assert (first.bus, second.bus) == ("i2c1", "i2c0")
    assert first.utilisation == pytest.approx(3 * second.utilisation)
    poll_s = second.costs[0].total_s
    assert first.shortest_s(first.costs[0]) == pytest.approx(poll_s / (1 - 2 * poll_s))


def test_nothing_is_polled(node_file: NodeFile) -> None:
    """Without a device on a bus there is no load to tell."""
    assert measure_load(make_plan(node_file('[devices.f]\ndriver = "led"\npin = "led0"\n'))) == ()


def test_application_stays_out(node_file: NodeFile) -> None:
    """Neither the application nor the world is made for it."""
    node = bme280("room", "1s") + '[sim]\nworld = "no_such:World"\n'
    path = node_file(node, app_name="boom", boom="raise RuntimeError\n")
    (load,) = measure_load(make_plan(path))
    assert load.costs


def test_driver_without_simulated_chip(node_file: NodeFile) -> None:
    """What cannot be measured is said, and does not keep the rest from being measured."""
    plan = make_plan(node_file(bme280("a", "1s") + bme280("b", "1s", 0x77)))
    (load,) = measure_load(driven_by(plan, BareBME280))
    assert dict(load.unknown) == {"a": "its driver has no simulated chip"}
    assert [cost.device for cost in load.costs] == ["b"]
    assert load_problems(plan, [load]) == (
        [],
        ["node.toml: devices.a: its load of i2c1 is not known: its driver has no simulated chip"],
    )


def test_poll_that_fails(node_file: NodeFile) -> None:
    """A driver that fails on its own simulated chip is told with its error."""
    plan = make_plan(node_file(bme280("a", "1s")))
    (load,) = measure_load(driven_by(plan, BrokenBME280))
    assert not load.costs
    assert "the chip lost its settings" in load.unknown["a"]


def test_poller_of_its_own(node_file: NodeFile) -> None:
    """A driver whose waiting keeps no other from being polled costs the bus its wire time only."""
    plan = make_plan(node_file(bme280("a", "1s") + bme280("b", "1s", 0x77)))
    (load,) = measure_load(driven_by(plan, AloneBME280))
    alone, shared = load.costs
    assert (alone.device, alone.waiting_s) == ("a", 0)
    assert alone.wire_s == pytest.approx(shared.wire_s)
    assert shared.waiting_s == pytest.approx(WAITING_S)


def load_of(*costs: tuple[str, float, float, float]) -> BusLoad:
    """Return the load of i2c1 by devices, given as id, interval, wire and waiting seconds."""
    return BusLoad("i2c1", 100_000, tuple(PollCost(*cost) for cost in costs), {})


@pytest.fixture
def plan(node_file: NodeFile) -> Plan:
    """Any plan: it names the file."""
    return make_plan(node_file(bme280("room", "1s")))


def test_enough_time(plan: Plan) -> None:
    """A bus that is busy for half of the time or less is right."""
    assert load_problems(plan, [load_of(("a", 1.0, 0.3, 0.2))]) == ([], [])


def test_too_much(plan: Plan) -> None:
    """Above all of its time it is an error at the device that needs most; the clock is named
    where it would help."""
    (error,), warnings = load_problems(plan, [load_of(("a", 1.0, 0.3, 0.1), ("b", 0.5, 0.3, 0.2))])
    assert not warnings
    assert error == (
        "node.toml: devices.b.every: i2c1 cannot keep up: its devices need 1.4 s of each second: "
        "b 100 % (500 ms every 500 ms), a 40 % (400 ms every 1 s); poll less often, or raise its "
        "clock (100 kHz) and say so in buses.i2c1"
    )


def test_much(plan: Plan) -> None:
    """Above half of its time it is a warning."""
    errors, (warning,) = load_problems(plan, [load_of(("a", 1.0, 0.1, 0.5))])
    assert not errors
    assert warning.endswith(
        "i2c1 is busy for more than half of the time: its devices need 0.6 s of "
        "each second: a 60 % (600 ms every 1 s); poll less often"
    )


def test_shortest_interval() -> None:
    """A device can be polled as often as the others leave time for, or not at all."""
    load = load_of(("a", 1.0, 0.1, 0.0), ("b", 1.0, 0.4, 0.1))
    assert load.shortest_s(load.costs[0]) == pytest.approx(0.2)
    full = load_of(("a", 1.0, 0.1, 0.0), ("b", 1.0, 1.0, 0.1))
    assert full.shortest_s(full.costs[0]) is None

"""A running node is brought from one plan to another (promise P12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekernel import Interface
from edgekernel.core import message
from edgekernel.core.errors import InterlockedError
from edgekernel.node.buses import Bus
from edgekernel.sim import SimClock
from tests.node.changing import FAN, ROOM, VENT, Changing

Make = Callable[..., Changing]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Give a function that boots a node of a file in simulated time."""
    with ExitStack() as stack:
        clock = stack.enter_context(SimClock())
        yield lambda text, **how: stack.enter_context(Changing(tmp_path, clock, text, **how))


def test_every_touches_only_its_device(make: Make) -> None:
    """Another interval counts at once, for that device; no other device, and no output, hears of
    it."""
    node = make(FAN + ROOM.replace("1s", "1h"))
    node.clock.advance(10)
    node.switch_on("fan")
    room = node.runtime.devices["room"]
    told = node.since(lambda: node.reload(FAN + ROOM.replace("1s", "2s")))
    assert told == []
    assert node.runtime.devices["room"] is room
    assert room.poll_record is not None
    assert room.poll_record.figures(node.clock.monotonic_ns())["last_poll_age_s"] <= 2.0
    assert node.runtime.devices["fan"].outputs["power"].value is True


def test_filters_and_limits_change_where_they_are(make: Make) -> None:
    """Filters and stale limits change on the device that goes on, and only where they changed."""
    node = make(ROOM + 'filters = [{ median = 3 }]\nreadings.humidity.stale = "1min"\n')
    readings = node.runtime.devices["room"].readings
    humidity = readings["humidity"].filters
    more = "filters = [{ median = 3 }]\nreadings.temperature.filters = []\n"
    node.reload(ROOM + more + 'readings.humidity.stale = "2min"\n')
    assert readings["temperature"].filters == ()
    assert len(readings["pressure"].filters) == 1
    assert len(readings["humidity"].filters) == len(humidity) == 1
    assert readings["humidity"].stale_s == 120.0


def test_a_replaced_device_is_safe_meanwhile(make: Make) -> None:
    """A device with another pin stops safe and starts safe; the others go on."""
    node = make(FAN + VENT)
    node.switch_on("fan")
    node.switch_on("vent")
    old = node.runtime.devices["fan"]
    told = node.since(lambda: node.reload(FAN.replace("GPIO17", "GPIO22") + VENT))
    assert told == ["device.detached fan", "device.attached fan", "device.online fan"]
    assert node.runtime.devices["fan"] is not old
    assert not node.bench.line("GPIO17").level
    assert node.runtime.devices["fan"].outputs["power"].value is False
    assert node.runtime.devices["vent"].outputs["power"].value is True
    node.switch_on("fan")
    assert node.bench.line("GPIO22").level


def test_devices_come_and_go_with_their_bus(make: Make) -> None:
    """A device that is new brings the bus it is on, and the last one takes it along."""
    node = make(FAN)
    node.reload(FAN + ROOM)
    assert isinstance(node.runtime.devices["i2c1"], Bus)
    assert node.runtime.devices["room"].readings["temperature"].quality.name == "GOOD"
    node.reload(FAN)
    assert list(node.runtime.devices) == ["fan"]
    assert not [name for name in node.runtime.services if name.startswith("poll")]


def test_two_swap_their_lines(make: Make) -> None:
    """Devices that exchange their lines are both stopped before the first one starts."""
    node = make(FAN + VENT)
    swapped = FAN.replace("17", "27") + VENT.replace("27", "17")
    assert node.reload(swapped).result == "applied"
    node.switch_on("vent")
    assert node.bench.line("GPIO17").level
    assert not node.bench.line("GPIO27").level


def test_lines_of_an_expander(make: Make) -> None:
    """Who uses lines of a device that is replaced has lines of the new one after it."""
    io = '[devices.io]\ndriver = "mcp23017"\nbus = "i2c1"\naddress = 0x20\n'
    valve = '[devices.valve]\ndriver = "relay"\npin = "io:GPA3"\n'
    node = make(io + valve)
    assert node.reload(io.replace("0x20", "0x21") + valve).result == "applied"
    node.switch_on("valve")
    assert node.bench.line("io:GPA3").level


def test_outputs_exclude_one_that_is_new(make: Make) -> None:
    """P8: an interlock with a device that comes in the same change holds from then on, and is gone
    when the file does not say it any more."""
    excluding = '[devices.fan.outputs.power]\ninterlock = ["vent.power"]\n'
    node = make(FAN)
    assert node.reload(FAN + excluding + VENT).result == "applied"
    node.switch_on("vent")
    with pytest.raises(InterlockedError):
        node.switch_on("fan")
    assert node.reload(FAN + VENT).result == "applied"
    node.switch_on("fan")
    assert node.bench.line("GPIO17").level
    assert node.bench.line("GPIO27").level


USING = """
from edgekernel import Process, requires, effect
from edgekernel_devices.relay import Relay


class Airing(Process):
    name = "airing"
    fan = requires(Relay, id="fan")

    @effect
    def blow(self):
        self.fan.power.set(True)


def setup(runtime):
    runtime.register(Airing())
"""
APP = '[node]\nname = "bench"\nboard = "sim"\ndata = "data"\napp = "airing_app"\n'


def test_consumers_get_the_new_one(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application goes on with the new version of a device; one that it needs cannot be
    taken out."""
    (tmp_path / "airing_app.py").write_text(USING)
    monkeypatch.syspath_prepend(str(tmp_path))
    node = make(APP + FAN + VENT)
    assert node.reload(APP + FAN.replace("GPIO17", "GPIO22") + VENT).result == "applied"
    assert node.bench.line("GPIO22").level
    verdict = node.reload(APP + VENT)
    assert verdict.result == "rolled_back"
    assert "airing cannot do without it" in verdict.problems[0]
    assert node.bench.line("GPIO22").level


class Link(Interface):
    """Links to a broker that nobody needs here."""

    name = "mqtt"
    connected = True
    renewed = 0

    def renew(self, plan: object) -> None:
        """Count."""
        self.renewed += 1


def test_the_link_is_made_anew_only_for_its_own_keys(make: Make) -> None:
    """Another broker is another link; a device that changes is told to the one that is there."""
    made: list[Link] = []

    def link(plan: object) -> Link:
        made.append(Link())
        return made[-1]

    broker = '[mqtt]\nhost = "a"\nusername = "u"\n'
    node = make(FAN + broker, make_link=link)
    node.runtime.register(link(None))
    node.reload(FAN + VENT + broker)
    assert (len(made), made[0].renewed) == (1, 1)
    node.reload(FAN + VENT + broker.replace('"a"', '"b"'))
    assert len(made) == 2
    assert node.runtime.interfaces["mqtt"] is made[1]
    assert len(node.told(message.HotRemoved)) == 1

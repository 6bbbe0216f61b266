"""Devices that carry others, such as a bus or an expander."""

from __future__ import annotations

from typing import ClassVar

from edgekernel import Device, Message, Runtime, message
from edgekernel.sim import SimClock


class Carrier(Device):
    """What others hang on."""

    carries: ClassVar[bool] = True


class Valve(Device):
    """What nobody polls."""

    depends = ("io",)


class Meter(Device):
    """What is polled, seldom."""

    depends = ("io",)
    every = 3600.0

    def poll(self) -> None:
        """Have an answer each time."""


def test_carried_devices_follow() -> None:
    """Those that depend on a carrier are offline with it and say why; who is polled is asked at
    once when it is back, and who was offline for a reason of its own stays so."""
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        io, valve, broken, meter = Carrier("io"), Valve("valve"), Valve("broken"), Meter("meter")
        for device in (io, valve, broken, meter):
            runtime.attach_device(device)
        said: list[Message] = []
        with runtime:
            clock.advance(1)
            broken.set_offline("burnt out")
            runtime.subscribe(Message, lambda event: said.append(event.payload))
            io.set_offline("no power")
            assert [d.online for d in (io, valve, broken, meter)] == [False] * 4
            assert (valve.offline_error, meter.offline_error) == ("io: no power", "no power")
            io.set_online()
            clock.advance(1)
            assert [d.online for d in (io, valve, broken, meter)] == [True, True, False, True]
            kinds = (message.DeviceOffline, message.DeviceOnline)
            assert [(type(m), m.device) for m in said if isinstance(m, kinds)] == [
                *((message.DeviceOffline, id) for id in ("io", "valve", "meter")),
                *((message.DeviceOnline, id) for id in ("io", "valve", "meter")),
            ]


def test_who_carries_nobody() -> None:
    """A dependency alone, such as on a sensor, takes nobody offline."""
    with SimClock() as clock:
        runtime = Runtime(clock=clock)
        sensor, valve = Device("io"), Valve("valve")
        for device in (sensor, valve):
            runtime.attach_device(device)
        with runtime:
            sensor.set_offline("no power")
            assert valve.online

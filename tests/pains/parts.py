"""What people write for their nodes: a thermostat."""

from __future__ import annotations

from edgekernel import Device, Process, effect, requires

HEATER = """
[devices.heater]
driver = "relay"
pin = "GPIO17"
"""
HEATED_ROOM = (
    HEATER
    + """
[devices.room]
driver = "bme280"
bus = "i2c1"
address = 0x76
"""
)


class Thermostat(Process):
    """Heats while it is colder than 20 °C in the room."""

    name = "thermostat"
    heater = requires(Device, id="heater")
    room = requires(Device, id="room")

    @effect
    def heat(self) -> None:
        """Follow the temperature."""
        cold = float(self.room.readings["temperature"].value) < 20.0
        self.heater.outputs["power"].set(cold)  # type: ignore[arg-type]  # a switch


class Fridge(Process):
    """Cools while it is warmer than 6 °C in the fridge."""

    name = "fridge-control"
    compressor = requires(Device, id="compressor")
    inside = requires(Device, id="inside")

    @effect
    def cool(self) -> None:
        """Follow the temperature."""
        warm = float(self.inside.readings["temperature"].value) > 6.0
        self.compressor.outputs["power"].set(warm)  # type: ignore[arg-type]  # a switch

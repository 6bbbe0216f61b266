"""Bosch BMP280: temperature and pressure over I²C.

Sections and tables are those of the datasheet, BST-BMP280-DS001, revision 1.23.
"""

from typing import ClassVar, Literal

from edgekernel import Device, reading
from edgekernel.hal import I2CBus
from edgekernel_devices._bosch import (
    CTRL_MEAS,
    OVERSAMPLING,
    TRIM,
    BoschChip,
    BoschSensor,
    Trimming,
    part_at,
)


class BMP280Chip(BoschChip):
    """A simulated BMP280 at register level, with forced mode.

    Set `temperature_c` and `pressure_hpa`. A write starts a measurement at once; `status` says
    "measuring" (or "updating", after a reset) to the first read of it.
    """

    CHIP_ID = 0x58


class BMP280(Device):
    """Bosch BMP280: temperature and air pressure.

    Wiring: VDD and VDDIO to 3.3 V, GND, SDA, SCL with pull-ups (a breakout board has them); CSB
    to VDDIO selects I²C; SDO to GND gives address 0x76, to VDDIO 0x77.

    `bus` is the I²C bus, `address` 0x76 or 0x77. `oversampling` (1, 2, 4, 8 or 16) is how many
    conversions make one value: 1 takes 7 ms and resolves 2.6 Pa, 16 takes 76 ms and resolves
    0.16 Pa (table 4).

    Readings: `temperature` from -40 to 85 °C, `pressure` from 300 to 1100 hPa, unreduced (not at
    sea level). Each poll makes one measurement in forced mode (section 3.6.2); between polls the
    chip sleeps and does not warm itself.

    A chip that was unplugged is set up anew when it answers again. Datasheet:
    BST-BMP280-DS001.
    """

    simulated: ClassVar[type[BMP280Chip]] = BMP280Chip

    temperature = reading(
        float, unit="°C", range=(-40, 85), precision=2, device_class="temperature"
    )
    pressure = reading(
        float, unit="hPa", range=(300, 1100), precision=2, device_class="atmospheric_pressure"
    )

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        address: Literal[0x76, 0x77] = 0x76,
        oversampling: Literal[1, 2, 4, 8, 16] = 1,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._sensor = BoschSensor(bus, address, "BMP280")
        setting = OVERSAMPLING[oversampling]
        self._settings = {CTRL_MEAS: setting << 5 | setting << 2}
        # The maxima of table 13, which has no such pair of settings above 1, as a formula.
        self._measuring_s = (1.25 + 2 * 2.3 * oversampling + 0.575) / 1000

    @staticmethod
    def identify(bus: I2CBus, address: int) -> bool:
        """Say whether the chip at an address says that it is a BMP280; changes nothing."""
        return part_at(bus, address) == "BMP280"

    def connect(self) -> None:
        """Check that it is a BMP280, reset it and read its trimming parameters."""
        self._sensor.open()
        self._set_up()

    def disconnect(self) -> None:
        """Give the bus back; the chip sleeps."""
        self._sensor.close()

    def poll(self) -> None:
        """Measure once."""
        if not self.online:
            self._set_up()  # it may be another chip, and has lost its settings
        data = int.from_bytes(
            self._sensor.measure(self.clock, self._settings, self._measuring_s, 6)
        )
        t_fine = self._trimming.t_fine(data >> 4 & 0xFFFFF)
        self.temperature.update(self._trimming.temperature_c(t_fine))
        self.pressure.update(self._trimming.pressure_hpa(data >> 28, t_fine))

    def _set_up(self) -> None:
        self._sensor.reset(self.clock)
        self._trimming = Trimming.decode(self._sensor.read_from(TRIM, 24))

"""Any CircuitPython driver for an I²C chip: its properties as readings, named by the node file."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

from edgekernel import ConfigError, Device, Reading, ReadingSettings
from edgekernel.hal import I2CBus
from edgekernel_devices._circuitpython import BusioI2C, load_class, on_clock

_TYPES: dict[str, type[Any]] = {"float": float, "int": int, "bool": bool, "str": str}
_ADDRESS_NAMES = ("address", "addr", "i2c_address", "device_address")
_FIRST, _LAST = 0x08, 0x77  # UM10204, section 3.1.12


@dataclass(frozen=True)
class PropertySettings(ReadingSettings):
    """A reading and the property that it is taken from, by default the one of its name."""

    property: str = ""
    type: Literal["float", "int", "bool", "str"] = "float"


class CircuitPython(Device):
    """Any pure-Python CircuitPython driver of an I²C chip, its properties as readings.

    Install the driver from the Python package index, such as adafruit-circuitpython-sht4x.

    `use` is its class, as "adafruit_sht4x:SHT4x". `readings` are the readings by name, with `unit`,
    `range`, `precision` and `device_class`; `property` is the property of the class, if it is not
    called as the reading ("a.b" is the property b of the property a), and `type` is "float", "int",
    "bool" or "str". `address` is given to the class if it takes one; where it is fixed it only says
    what is in use. `options` are further arguments of the class.

    Each poll reads the properties one after the other. What the driver raises puts the device
    offline, and the next poll makes the driver anew.

    The driver must need nothing but the bus: no pins, and no `board`.
    """

    def __init__(
        self,
        id: str,
        *,
        bus: I2CBus,
        use: str,
        readings: dict[str, PropertySettings],
        address: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(id)
        self.poll_group = bus.name
        self._bus = bus
        self._bus_open = False
        self._where = f"{bus.name}, {use}"
        self._class = load_class(use)
        self._arguments = _arguments(self._class, address, options or {})
        self._read = [self._add(name, settings) for name, settings in readings.items()]
        if not self._read:
            raise ConfigError(f"readings: name at least one of {_known(self._class)}")
        self._i2c = BusioI2C(bus)
        self._chip: Any = None

    def connect(self) -> None:
        """Make the driver, which sets its chip up."""
        self._bus.open()
        self._bus_open = True
        self._set_up()

    def disconnect(self) -> None:
        """Let go of the driver and give the bus back."""
        self._chip = None
        if self._bus_open:
            self._bus_open = False
            self._bus.close()

    def poll(self) -> None:
        """Read the properties."""
        if not self.online:
            self._set_up()
        for reading, value_of in self._read:
            with self._asking(reading.label):
                value = value_of(self._chip)
            reading.update(_plain(value, reading.values.type))

    def _set_up(self) -> None:
        with self._asking(self._class.__name__):
            self._chip = self._class(self._i2c, **self._arguments)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Turn what the driver raises into a failure of the hardware: it knows no other way."""
        try:
            with on_clock(self.clock), self._i2c.unlocked_at_the_end():
                yield
        except OSError:
            raise
        except Exception as error:
            name = type(error).__name__
            raise OSError(f"{self._where}: {what}: {name}: {error}") from error

    def _add(
        self, name: str, settings: PropertySettings
    ) -> tuple[Reading[Any], Callable[[Any], Any]]:
        path = settings.property or name
        first = path.partition(".")[0]
        if inspect.getattr_static(self._class, first, None) is None:
            raise ConfigError(
                f"readings.{name}: {self._class.__name__} has no property {first!r}; it has "
                f"{_known(self._class)}"
            )
        return self.add_reading(name, _TYPES[settings.type], settings), attrgetter(path)


def _arguments(cls: type[Any], address: int | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments behind the bus. Raises ConfigError for what the class does not take."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    if len(names) == len(parameters):
        for unknown in (name for name in options if name not in names):
            raise ConfigError(
                f"options.{unknown}: {cls.__name__} takes no such argument; it takes "
                f"{', '.join(names) or 'none'}"
            )
    if address is None:
        return options
    if not _FIRST <= address <= _LAST:
        raise ConfigError(f"address: {address:#04x} is not allowed; 0x08 to 0x77 is")
    taken = [name for name in _ADDRESS_NAMES if name in names][:1]
    return {**dict.fromkeys(taken, address), **options}


def _known(cls: type[Any]) -> str:
    """Return the properties of a class, and whatever else acts as one."""
    members = inspect.getmembers_static(cls)
    names = [n for n, v in members if hasattr(type(v), "__get__") and not callable(v)]
    return ", ".join(name for name in names if not name.startswith("_")) or "no properties"


def _plain(value: Any, kind: type[Any]) -> Any:
    """Return a number as the reading's type; anything else as it is, which the reading judges."""
    if isinstance(value, int | float) and not isinstance(value, bool) and kind in (int, float):
        return kind(value)
    return value

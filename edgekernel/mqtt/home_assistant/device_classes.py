"""Home Assistant's device classes: which there are for what, and with which units.

A component with an unknown class, or with a unit that does not go with its class, is refused by
Home Assistant as a whole; without a class it is shown all the same.

Source: Home Assistant's documentation of its sensor, number, binary sensor, switch and event
integrations.
"""

from __future__ import annotations

_ENERGY = "J|kJ|MJ|GJ|mWh|Wh|kWh|MWh|GWh|TWh|cal|kcal|Mcal|Gcal"
_VOLUME = "mL|L|m³|ft³|CCF|gal|fl. oz."
_PRESSURE = "Pa|hPa|kPa|bar|cbar|mbar|mmHg|inHg|psi"
_LENGTH = "mm|cm|m|km|in|ft|yd|mi|nmi"
_DENSITY = "µg/m³"

_UNITS = {
    "apparent_power": "VA",
    "aqi": "",
    "area": "mm²|cm²|m²|km²|ha|in²|ft²|yd²|mi²|ac",
    "atmospheric_pressure": _PRESSURE,
    "battery": "%",
    "blood_glucose_concentration": "mg/dL|mmol/L",
    "carbon_dioxide": "ppm",
    "carbon_monoxide": "ppm",
    "conductivity": "S/cm|mS/cm|µS/cm",
    "current": "A|mA",
    "data_rate": "bit/s|kbit/s|Mbit/s|Gbit/s|B/s|kB/s|MB/s|GB/s|KiB/s|MiB/s|GiB/s",
    "data_size": "bit|kbit|Mbit|Gbit|B|kB|MB|GB|TB|KiB|MiB|GiB|TiB",
    "distance": _LENGTH,
    "duration": "d|h|min|s|ms",
    "energy": _ENERGY,
    "energy_storage": _ENERGY,
    "frequency": "Hz|kHz|MHz|GHz",
    "gas": "m³|ft³|CCF",
    "humidity": "%",
    "illuminance": "lx",
    "irradiance": "W/m²|BTU/(h⋅ft²)",
    "moisture": "%",
    "nitrogen_dioxide": _DENSITY,
    "nitrogen_monoxide": _DENSITY,
    "nitrous_oxide": _DENSITY,
    "ozone": _DENSITY,
    "ph": "",
    "pm1": _DENSITY,
    "pm10": _DENSITY,
    "pm25": _DENSITY,
    "power": "mW|W|kW|MW|GW|TW",
    "power_factor": "|%",
    "precipitation": "mm|cm|in",
    "precipitation_intensity": "mm/h|mm/d|in/h|in/d",
    "pressure": _PRESSURE,
    "reactive_power": "var",
    "signal_strength": "dB|dBm",
    "sound_pressure": "dB|dBA",
    "speed": "m/s|km/h|mm/s|mm/h|mm/d|ft/s|in/s|in/h|in/d|mph|kn|Beaufort",
    "sulphur_dioxide": _DENSITY,
    "temperature": "°C|°F|K",
    "volatile_organic_compounds": _DENSITY,
    "volatile_organic_compounds_parts": "ppm|ppb",
    "voltage": "V|mV|µV|kV|MV",
    "volume": _VOLUME,
    "volume_flow_rate": "m³/h|L/min|mL/s|ft³/min|gal/min",
    "volume_storage": _VOLUME,
    "water": "L|m³|ft³|CCF|gal",
    "weight": "µg|mg|g|kg|oz|lb|st",
    "wind_direction": "°",
    "wind_speed": "m/s|km/h|mm/s|ft/s|in/s|mph|kn|Beaufort",
}

UNITS = {name: frozenset(units.split("|")) for name, units in _UNITS.items()}
"""Of a number, measured or set: the units that go with each class; "" is none."""

TOTALS = frozenset({"energy", "gas", "volume", "water"})
"""Classes of numbers that count up and are no measurement of a moment."""

WITHOUT_STATE_CLASS = frozenset({"wind_direction"})
"""Classes of numbers of which no mean can be taken in every version."""

OF_TEXT = frozenset({"timestamp", "date"})
"""Classes of a text that is read as a time."""

_BINARY_SENSOR = (
    "battery battery_charging carbon_monoxide cold connectivity door garage_door gas heat light "
    "lock moisture motion moving occupancy opening plug power presence problem running safety "
    "smoke sound tamper update vibration window"
)
OF_BINARY_SENSOR = frozenset(_BINARY_SENSOR.split(" "))
OF_SWITCH = frozenset({"outlet", "switch"})
LIGHT = "light"
"""Ours: an output of this class is a lamp."""


def of_number(name: str, unit: str) -> str:
    """Return the class of a number if there is one of that name with this unit; else ""."""
    return name if unit in UNITS.get(name, ()) else ""

"""What answers on the buses of a board, which chips it may be, and what a node file expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from edgekernel.backends.backend import Backend
from edgekernel.core.device import Device
from edgekernel.core.errors import BoundaryError, ConfigError
from edgekernel.hal.address import BusAddress, OneWireAddress
from edgekernel.hal.i2c import I2CBus
from edgekernel.hal.onewire import OneWireBus
from edgekernel.node.packs import driver_names, load_driver
from edgekernel.node.plan import Plan, boundary_parameters, settings_model

_ADDRESSES = range(0x08, 0x78)


@dataclass(frozen=True, slots=True)
class Place:
    """One address of a bus where something answers, or something is expected."""

    bus: str
    address: str
    """An I²C address such as "0x76", or a 1-Wire ROM code."""
    answers: bool
    drivers: tuple[str, ...]
    """The drivers that may fit; one alone if the chip has said what it is."""
    identified: bool
    device: str = ""
    """The device of the node file that is to be there."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What a scan has found, and the buses that could not be asked."""

    places: tuple[Place, ...]
    problems: tuple[str, ...]


def scan(
    backend: Backend,
    buses: Sequence[BusAddress | OneWireAddress],
    plan: Plan | None = None,
) -> Survey:
    """Ask every address of the buses, in their order; compare with what a plan expects there.

    Reading may move a chip on, such as a FIFO: scan while no agent is at work on the bus.
    """
    places: list[Place] = []
    problems: list[str] = []
    for bus in buses:
        expected = {} if plan is None else _expected(plan, bus.name)
        try:
            found = list(_ask(backend, bus, expected))
        except BoundaryError as error:
            problems.append(str(error))
            continue
        answering = {place.address for place in found}
        missing = [
            Place(bus.name, address, False, (driver,), False, device)
            for address, (device, driver) in expected.items()
            if address not in answering
        ]
        places += sorted([*found, *missing], key=lambda place: place.address)
    return Survey(tuple(places), tuple(problems))


def _ask(
    backend: Backend, address: BusAddress | OneWireAddress, expected: dict[str, tuple[str, str]]
) -> Iterator[Place]:
    if isinstance(address, BusAddress):
        i2c = backend.i2c_bus(address)
        i2c.open()
        try:
            for chip in i2c.scan():
                drivers, identified = _probable(i2c, chip)
                at = f"{chip:#04x}"
                yield Place(i2c.name, at, True, drivers, identified, expected.get(at, ("",))[0])
        finally:
            i2c.close()
        return
    onewire = backend.onewire_bus(address)
    onewire.open()
    try:
        for rom in onewire.search():
            device = expected.get(rom, expected.get("", ("",)))[0]
            drivers = tuple(_of_family().get(rom.partition("-")[0], ()))
            yield Place(onewire.name, rom, True, drivers, bool(drivers), device)
    finally:
        onewire.close()


def _probable(bus: I2CBus, address: int) -> tuple[tuple[str, ...], bool]:
    """Return the drivers that fit an address; only those whose chip is recognised, if any is."""
    may_be: list[str] = []
    for name in _at_address().get(address, ()):
        identify: Any = getattr(load_driver(name), "identify", None)
        if identify is None:
            may_be.append(name)
            continue
        try:
            if identify(bus, address):
                return (name,), True
        except BoundaryError:
            continue  # it does not understand the question, so it is another chip
    return tuple(may_be), False


@cache
def _at_address() -> dict[int, list[str]]:
    """Return the drivers by the I²C addresses that their `address` setting takes."""
    found: dict[int, list[str]] = {}
    for name, driver in _drivers_with(I2CBus):
        field = settings_model(driver, boundary_parameters(driver)).model_fields.get("address")
        if field is None:
            continue
        kind: Any = field.annotation
        for limit in field.metadata:
            kind = Annotated[kind, limit]
        allowed: TypeAdapter[int] = TypeAdapter(kind)
        for address in _ADDRESSES:
            try:
                allowed.validate_python(address, strict=True)
            except ValidationError:
                continue
            found.setdefault(address, []).append(name)
    # A driver for any chip says nothing of which one it is.
    return {at: [n for n in names if not _anywhere(n, found)] for at, names in found.items()}


def _anywhere(name: str, found: dict[int, list[str]]) -> bool:
    return sum(name in names for names in found.values()) > len(_ADDRESSES) // 2


@cache
def _of_family() -> dict[str, list[str]]:
    """Return the drivers by the 1-Wire families that they are for."""
    found: dict[str, list[str]] = {}
    for name, driver in _drivers_with(OneWireBus):
        for family in getattr(driver, "families", ()):
            found.setdefault(family, []).append(name)
    return found


def _drivers_with(boundary: type) -> Iterator[tuple[str, type[Device]]]:
    for name in driver_names():
        try:
            driver = load_driver(name)
        except ConfigError:
            continue  # an extra that is not installed: `edgekernel devices` says which
        if boundary in boundary_parameters(driver).values():
            yield name, driver


def _expected(plan: Plan, bus: str) -> dict[str, tuple[str, str]]:
    """Return device and driver of the plan by address; "" stands for the only chip of a bus."""
    found = {}
    for device in plan.devices:
        driver = device.driver.__module__.rpartition(".")[2]
        for address in device.addresses.values():
            if address.name != bus:
                continue
            chip = device.settings.get("address")
            at = f"{chip:#04x}" if isinstance(chip, int) else device.settings.get("rom") or ""
            found[at] = device.id, driver
    return found

"""How each fault that needs no simulation is done to a real node."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from edgekernel.core.errors import BrokenError, NackError, StuckError
from edgekernel.core.reading import Reading
from edgekernel.core.sample import Quality
from edgekernel.sim.drill.disturbed_reading import disturb
from edgekernel.sim.drill.layer import Make, OnBus, OnPort
from edgekernel.sim.drill.rig import Spot
from edgekernel.sim.faults.agent import AgentKilled
from edgekernel.sim.faults.broker import BrokerAway
from edgekernel.sim.faults.bus import BitErrors, Hang, Nack, Slow, Stuck
from edgekernel.sim.faults.fault import End, FaultKind, end_all
from edgekernel.sim.faults.lines import StuckLine
from edgekernel.sim.faults.plugs import Unplug
from edgekernel.sim.faults.quantities import Drift, Frozen, Noise, Offset, Spike
from edgekernel.sim.faults.serial import LostBytes

_TIMEOUT_S = 1.0
"""After which time Linux gives a transaction up that does not end, by default."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a kind of fault is done: what keeps it from being possible, and its begin."""

    problem: Callable[[Any, Spot], str]
    begin: Callable[[Any, Spot, Random], End]


def _needs_i2c(kind: FaultKind, spot: Spot) -> str:
    place = spot.place
    on_i2c = place.bus and (spot.sort == "bus" or isinstance(place.address, int))
    return "" if on_i2c else f"{spot.name} is on no I²C bus"


def _on_bus(spot: Spot, do: Callable[[Make, str], Any], nth: int, count: int | None) -> End:
    place = spot.place
    what = OnBus(place.bus, place.address, nth=nth, count=count, do=do)
    return spot.rig.layer.disturb(what)


def _nack(kind: Nack, spot: Spot, random: Random) -> End:
    return _on_bus(spot, _refuse, kind.nth, kind.count)


def _refuse(make: Make, place: str) -> Any:
    raise NackError(f"{place}: no acknowledge")


def _hang(kind: Hang, spot: Spot, random: Random) -> End:
    return _on_bus(spot, partial(_run_into_timeout, spot), kind.nth, kind.count)


def _run_into_timeout(spot: Spot, make: Make, place: str) -> Any:
    spot.rig.clock.sleep(_TIMEOUT_S)
    raise StuckError(f"{place}: no end within {_TIMEOUT_S:g} s")


def _slow(kind: Slow, spot: Spot, random: Random) -> End:
    def wait(make: Make, place: str) -> Any:
        spot.rig.clock.sleep(kind.takes)
        return make()

    return _on_bus(spot, wait, 1, None)


def _no_stuck_bus(kind: Stuck, spot: Spot) -> str:
    if kind.until != "released":
        return f'until: "{kind.until}" is seen by a simulated bus only; take it out'
    return _needs_i2c(kind, spot)


def _stuck(kind: Stuck, spot: Spot, random: Random) -> End:
    return _on_bus(spot, partial(_run_into_timeout, spot), 1, None)


def _no_bytes(kind: BitErrors, spot: Spot) -> str:
    if kind.mask_problem:
        return kind.mask_problem
    if spot.place.port and kind.count is not None:
        return "count: a drill turns over all bytes of a port; take it out"
    return "" if spot.place.bus or spot.place.port else f"{spot.name} is on no bus or port"


def _bit_errors(kind: BitErrors, spot: Spot, random: Random) -> End:
    place, mask = spot.place, bytes.fromhex(kind.mask)
    if place.port:
        flip = partial(_flipped, lambda data: bytes(byte ^ 0xFF for byte in data))
        return spot.rig.layer.disturb(OnPort(place.port, flip, hearing=True))
    return _on_bus(spot, partial(_flipped, partial(_masked, mask)), 1, kind.count)


def _masked(mask: bytes, data: bytes) -> bytes:
    wrong = bytes(byte ^ bits for byte, bits in zip(data, mask, strict=False))
    return wrong + data[len(mask) :]


def _flipped(flip: Callable[[bytes], bytes], make: Make, place: str) -> Any:
    result = make()
    if isinstance(result, bytes):
        return flip(result)
    return tuple(map(flip, result)) if isinstance(result, tuple) else result


def _no_plug(kind: Unplug, spot: Spot) -> str:
    return "" if spot.place.bus or spot.place.port else f"{spot.name} has no plug: it is on lines"


def _unplug(kind: Unplug, spot: Spot, random: Random) -> End:
    if spot.place.port:
        what = OnPort(spot.place.port, _gone, hearing=False)
        return spot.rig.layer.disturb(what)
    return _on_bus(spot, _gone if spot.sort == "bus" else _refuse, 1, None)


def _gone(make: Make, place: str) -> Any:
    raise BrokenError(f"{place}: it has gone")


def _needs_port(kind: FaultKind, spot: Spot) -> str:
    if getattr(kind, "count", None) is not None:
        return "count: a drill loses all that is sent; take it out"
    return "" if spot.place.port else f"{spot.name} is on no serial port"


def _lost_bytes(kind: LostBytes, spot: Spot, random: Random) -> End:
    lose = partial(_flipped, lambda data: b"")
    return spot.rig.layer.disturb(OnPort(spot.place.port, lose, hearing=True))


def _no_input(kind: StuckLine, spot: Spot) -> str:
    lines = [line for line in spot.place.inputs if spot.rig.layer.input(line) is not None]
    return "" if len(lines) == 1 else f"{spot.name} is no single input line of the board"


def _stuck_line(kind: StuckLine, spot: Spot, random: Random) -> End:
    (name,) = spot.place.inputs
    held = spot.rig.layer.input(name)
    assert held is not None, "its problem has been asked"
    return spot.rig.overlay(("stuck", name), held.hold, kind.level == "high")


def _no_reading(kind: Any, spot: Spot) -> str:
    found = spot.reading(kind.quantity)
    return found if isinstance(found, str) else ""


def _reading(alter: Callable[[Any, Spot, Random], Callable[[Any], Any]]) -> Way:
    """Return the way of a fault of one reading."""

    def begin(kind: Any, spot: Spot, random: Random) -> End:
        reading = spot.reading(kind.quantity)
        assert not isinstance(reading, str), "its problem has been asked"
        return disturb(reading, alter(kind, spot, random))

    return Way(_no_reading, begin)


def _drifting(kind: Drift, spot: Spot, random: Random) -> Callable[[Any], Any]:
    clock = spot.rig.clock
    begun_s = clock.monotonic()
    return lambda value: value + kind.per_hour * (clock.monotonic() - begun_s) / 3600


def _spiking(kind: Spike, spot: Spot, random: Random) -> Callable[[Any], Any]:
    return lambda value: value + kind.by if random.random() < kind.share else value


def _nothing_measured(kind: Frozen, spot: Spot) -> str:
    if kind.quantity is not None:
        return _no_reading(kind, spot)
    return "" if spot.place.readings else f"{spot.name} has no readings"


def _freeze(kind: Frozen, spot: Spot, random: Random) -> End:
    named = spot.reading(kind.quantity) if kind.quantity is not None else None
    readings = spot.place.readings.values() if named is None else (named,)
    return end_all(disturb(each, _keeping(each)) for each in readings if not isinstance(each, str))


def _keeping(reading: Reading[Any]) -> Callable[[Any], Any]:
    """Return what gives the value that is there now, or the first one that comes."""
    known = reading.peek_sample()
    kept = [] if known.quality is Quality.BAD else [known.value]

    def keep(value: Any) -> Any:
        if not kept:
            kept.append(value)
        return kept[0]

    return keep


def _always(kind: FaultKind, spot: Spot) -> str:
    return ""


def _kill(kind: AgentKilled, spot: Spot, random: Random) -> End:
    os.kill(os.getpid(), signal.SIGKILL)
    return lambda: None


def _no_link(kind: BrokerAway, spot: Spot) -> str:
    if spot.rig.keep_broker_away is None:
        return "the node has no link to a broker; does its file have an [mqtt] table?"
    if not kind.keeps:
        return "keeps: a drill cuts the link, and the broker forgets nothing; write keeps = true"
    return ""


def _keep_away(kind: BrokerAway, spot: Spot, random: Random) -> End:
    keep = spot.rig.keep_broker_away
    assert keep is not None, "it was asked for a problem before"
    return spot.rig.overlay(("broker_away",), lambda away: keep(bool(away)), True)


WAYS: dict[type[FaultKind], Way] = {
    AgentKilled: Way(_always, _kill),
    BrokerAway: Way(_no_link, _keep_away),
    BitErrors: Way(_no_bytes, _bit_errors),
    Drift: _reading(_drifting),
    Frozen: Way(_nothing_measured, _freeze),
    Hang: Way(_needs_i2c, _hang),
    LostBytes: Way(_needs_port, _lost_bytes),
    Nack: Way(_needs_i2c, _nack),
    Noise: _reading(lambda kind, _, random: lambda v: v + random.gauss(0, kind.deviation)),
    Offset: _reading(lambda kind, spot, random: lambda value: value + kind.by),
    Slow: Way(_needs_i2c, _slow),
    Spike: _reading(_spiking),
    Stuck: Way(_no_stuck_bus, _stuck),
    StuckLine: Way(_no_input, _stuck_line),
    Unplug: Way(_no_plug, _unplug),
}
"""The way of each kind that can be drilled."""

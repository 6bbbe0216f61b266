"""The difference between two configurations of one node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekernel.core.errors import ConfigError
from edgekernel.node.difference import Action, Difference, claims, difference, plain, steps
from edgekernel.node.document import parse_document
from edgekernel.node.keys import with_changes
from edgekernel.node.plan import Plan, plan_document

FAN = {"driver": "relay", "pin": "GPIO17"}
ROOM = {"driver": "bme280", "bus": "i2c1", "every": "1s"}
SIGNED = {"keys": {"anna": "anna.pem"}, "roles": {"anna": ["admin"]}}
IO = {"driver": "mcp23017", "bus": "i2c1", "address": 0x20}


def plan(devices: dict[str, Any], node: dict[str, Any] | None = None, **tables: Any) -> Plan:
    """Return the plan of a node with these devices."""
    raw = {"node": {"name": "bench", "board": "sim", **(node or {})}, "devices": devices, **tables}
    return plan_document(parse_document(raw, "node.toml"), Path("node.toml"))


def actions(found: Difference) -> dict[str, str]:
    """Return what happens to each device that changes."""
    return {each.id: str(each.action) for each in found.devices}


def test_nothing() -> None:
    """The same configuration, written otherwise, is no difference at all."""
    one = plan({"fan": FAN, "room": ROOM})
    other = plan({"fan": FAN, "room": ROOM | {"every": 1.0}})
    assert not difference(one, other)
    assert not difference(one, other).does_something


def test_a_default_that_is_written_does_nothing() -> None:
    """A key with the value that it has anyway is another key, and moves no device."""
    found = difference(plan({"fan": FAN}), plan({"fan": FAN | {"active_high": True}}))
    assert [str(key) for key in found.keys] == ["devices.fan.active_high"]
    assert not found.does_something


def test_every_touches_only_its_device() -> None:
    """Another interval, filter or stale limit adjusts the device; nothing stops."""
    old = plan({"fan": FAN, "room": ROOM})
    for more in ({"every": "5s"}, {"filters": [{"median": 3}]}, {"stale": "1min"}):
        found = difference(old, plan({"fan": FAN, "room": ROOM | more}))
        assert actions(found) == {"room": "adjust"}
        assert found.buses_in == found.buses_out == ()


def test_start_stop_and_replace() -> None:
    """Devices that are new start, those that are gone stop, and other settings replace."""
    old = plan({"fan": FAN, "room": ROOM})
    new = plan({"fan": FAN | {"pin": "GPIO27"}, "lamp": {"driver": "led", "pin": "GPIO22"}})
    found = difference(old, new)
    assert actions(found) == {"fan": "replace", "room": "stop", "lamp": "start"}
    assert [bus.name for bus in found.buses_out] == ["i2c1"]
    assert all(each.in_place for each in found.devices)


def test_those_that_swap_lines_stop_first() -> None:
    """A device whose line another one gets has to be gone before that one comes."""
    old = plan({"a": FAN, "b": FAN | {"pin": "GPIO27"}})
    new = plan({"a": FAN | {"pin": "GPIO27"}, "b": FAN})
    todo = steps(difference(old, new).devices)
    assert [each.id for each in todo.leaving] == ["b", "a"]
    assert [(each.id, each.in_place) for each in todo.arriving] == [("a", False), ("b", False)]


def test_lines_of_a_device_go_with_it() -> None:
    """Who uses lines of a device that is replaced stops before it and starts after it."""
    valve = {"driver": "relay", "pin": "io:GPA3"}
    old = plan({"valve": valve, "io": IO, "fan": FAN})
    new = plan({"valve": valve, "io": IO | {"address": 0x21}, "fan": FAN})
    todo = steps(difference(old, new).devices)
    assert [each.id for each in todo.leaving] == ["valve"]
    assert [(each.id, each.in_place) for each in todo.arriving] == [("io", True), ("valve", False)]


def excluding(*names: str) -> dict[str, Any]:
    """Return the keys of a relay that is never on together with others."""
    return {"outputs": {"power": {"interlock": list(names)}}}


def test_who_is_excluded_is_there_first() -> None:
    """An output that excludes one of a device that is new starts after it."""
    old = plan({"a": FAN})
    new = plan({"a": {**FAN, **excluding("b.power")}, "b": FAN | {"pin": "GPIO27"}})
    found = difference(old, new)
    assert [each.id for each in steps(found.devices).arriving] == ["b", "a"]
    assert not found.restart


def test_outputs_that_exclude_one_another() -> None:
    """P8: two that exclude one another cannot start one after the other: it needs a restart."""
    pair = {
        "a": {**FAN, **excluding("b.power")},
        "b": {**FAN, "pin": "GPIO27", **excluding("a.power")},
    }
    found = difference(plan({"room": ROOM}), plan({"room": ROOM, **pair}))
    assert list(found.restart.values()) == ["outputs that exclude one another start with the node"]
    moved = pair | {"b": {**pair["b"], "pin": "GPIO22"}}
    both = moved | {"a": {**pair["a"], "pin": "GPIO5"}}
    for new in (moved, both):  # they are there, and keep their places
        assert not difference(plan(pair), plan(new)).restart


@pytest.mark.parametrize(
    ("node", "tables", "key"),
    [
        ({"name": "other"}, {}, "node.name"),
        ({"board": "raspberrypi/4b"}, {}, "node.board"),
        ({"app": "other.app"}, {}, "node.app"),
        ({"data": "/var/lib/x"}, {}, "node.data"),
        ({}, {"mqtt": {"host": "h", "prefix": "plant"}}, "mqtt.prefix"),
        ({}, {"mqtt": {"host": "h", "signatures": SIGNED}}, "mqtt.signatures.roles"),
        ({}, {"journal": {"folder": "j"}}, "journal"),
        ({}, {"leases": {"l": {"timeout": 5, "outputs": ["fan.power"]}}}, "leases"),
        ({}, {"buses": {"i2c1": {"recovery": {"power": "GPIO22"}}}}, "buses.i2c1.recovery"),
    ],
)
def test_what_needs_a_restart(node: dict[str, Any], tables: dict[str, Any], key: str) -> None:
    """What cannot be changed while the node runs is named, with the reason."""
    mqtt = {"mqtt": {"host": "h"}} if "mqtt" in tables else {}
    old = plan({"fan": FAN, "room": ROOM}, **mqtt)
    found = difference(old, plan({"fan": FAN, "room": ROOM}, node, **tables))
    assert list(found.restart) == [key]
    assert found.restart[key]


def test_what_is_read_when_it_is_needed() -> None:
    """Labels move no device and no link, the clock of a bus is only for the check."""
    old = plan({"room": ROOM})
    labels = difference(old, plan({"room": ROOM}, {"labels": {"zone": "north"}}))
    assert labels.does_something
    assert not any((labels.devices, labels.link, labels.restart))
    speed = difference(old, plan({"room": ROOM}, buses={"i2c1": {"speed_hz": 400_000}}))
    assert speed
    assert not speed.does_something


_PINS = st.sampled_from(["GPIO17", "GPIO27", "GPIO22", "io:GPA0", "io:GPA1"])
_RELAYS = st.fixed_dictionaries({"driver": st.just("relay"), "pin": _PINS})
_IOS = st.builds(lambda at: IO | {"address": at}, st.sampled_from([0x20, 0x21]))
_ROOMS = st.builds(lambda every: ROOM | {"every": every}, st.sampled_from(["1s", "2s"]))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return plans of up to five devices, some of which use lines of another one."""
    relays = draw(st.dictionaries(st.sampled_from("abc"), _RELAYS, max_size=3))
    devices: dict[str, Any] = {**relays, "io": draw(_IOS), "room": draw(_ROOMS)}
    try:
        return plan({id: devices[id] for id in draw(st.permutations(list(devices)))})
    except ConfigError:  # two relays on one line
        return plan({"io": devices["io"]})


@given(plans(), plans())
def test_the_steps_make_the_other(old: Plan, new: Plan) -> None:
    """The steps lead from one plan to the other, and at no time is a line used twice, or without
    the device that provides it."""
    found = difference(old, new)
    assert with_changes(plain(old.document), found.keys) == plain(new.document)
    todo = steps(found.devices)
    there = {each.id: each for each in old.devices}
    for change in todo.leaving:
        del there[change.id]
        _check(there)
    for change in (*todo.arriving, *todo.adjusted):
        assert change.new is not None
        there[change.id] = change.new
        _check(there)
    assert there == {each.id: each for each in new.devices}
    assert {each.id for each in todo.adjusted}.isdisjoint(each.id for each in todo.leaving)


def _check(there: dict[str, Any]) -> None:
    used = [each for device in there.values() for each in claims(device)]
    assert len(used) == len(set(used))
    assert all(provider in there for device in there.values() for provider in device.providers)


def test_a_provider_that_only_is_adjusted() -> None:
    """A device whose provider goes on is left alone."""
    valve = {"driver": "relay", "pin": "io:GPA3"}
    old = plan({"io": IO | {"every": "1s"}, "valve": valve})
    new = plan({"io": IO | {"every": "2s"}, "valve": valve})
    assert actions(difference(old, new)) == {"io": str(Action.ADJUST)}

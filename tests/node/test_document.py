"""The node file as it stands: durations, keys, and any nonsense."""

from __future__ import annotations

import contextlib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgekernel.core.errors import ConfigError
from edgekernel.node import load_document
from edgekernel.node.document import NodeDocument, parse_document
from edgekernel.node.plan import plan_document

NODE = {"name": "bench", "board": "sim"}


def device(**keys: Any) -> dict[str, Any]:
    """The content of a node file with one device, a relay unless `keys` say otherwise."""
    return {"node": NODE, "devices": {"fan": {"driver": "relay", **keys}}}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (2, 2.0),
        (0.5, 0.5),
        ("500ms", 0.5),
        ("2s", 2.0),
        ("2 s", 2.0),
        (" 1.5min ", 90.0),
        ("5min", 300.0),
        ("12h", 43200.0),
        ("1d", 86400.0),
        ("0.001ms", 0.000001),
    ],
)
def test_duration(written: object, seconds: float) -> None:
    """A duration is a number of seconds, or a text with a unit."""
    assert parse_document(device(every=written), "f").devices["fan"].every == seconds


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("5m", 'did you mean "5min"?'),
        ("2 Hours", 'did you mean "2h"?'),
        ("1.5 sec", 'did you mean "1.5s"?'),
        ("7 days", 'did you mean "7d"?'),
        ("-2s", "it cannot be negative"),
    ],
)
def test_duration_that_is_nearly_right(written: str, said: str) -> None:
    """What people write instead of a unit is taken up, and all units are named."""
    with pytest.raises(ConfigError) as caught:
        parse_document(device(every=written), "node.toml")
    (problem,) = caught.value.problems
    assert problem.endswith(f'like "500ms", "2s", "5min", "12h", "7d"; {said}')


def test_byte_order_mark(tmp_path: Path) -> None:
    """The mark with which some editors begin a text in UTF-8 is no part of it."""
    path = tmp_path / "node.toml"
    path.write_bytes(b'\xef\xbb\xbf[node]\nname = "bench"\nboard = "sim"\n')
    assert load_document(path).node.name == "bench"


@pytest.mark.parametrize(
    "written",
    [
        *("", "2", "s", "2 sec", "2m", "-2s", "1e3s", "0s", "1.1d", "25h", "٣s", "2s 3s", "nans"),
        *(0, -1, 86401, float("nan"), float("inf"), True, [], {}, date(2026, 1, 1)),
    ],
)
def test_no_duration(written: object) -> None:
    """What is no duration, or none of more than nothing and at most a day, is told with its key."""
    with pytest.raises(ConfigError) as caught:
        parse_document(device(every=written), "node.toml")
    assert all(p.startswith("node.toml: devices.fan.every: ") for p in caught.value.problems)


def test_settings_are_the_drivers_keys() -> None:
    """The keys of a device that the node does not know itself belong to the driver."""
    table = parse_document(device(every=1, pin="GPIO17", settings=1), "f").devices["fan"]
    assert table.settings == {"pin": "GPIO17", "settings": 1}


@pytest.mark.parametrize("id", ["", "Fan", "big fan", "a.b", "a/b", "+", "#", "fan\n", "x" * 65])
def test_device_id_fits_a_topic(id: str) -> None:
    """A device id that could not be a level of a topic is refused."""
    content = {"node": NODE, "devices": {id: {"driver": "relay"}}}
    with pytest.raises(ConfigError, match="a device id is 1 to 64 characters of a-z, 0-9 and -"):
        parse_document(content, "node.toml")


@pytest.mark.parametrize("name", ["", "Bench", "a b", "a/b", "+", "bench\n", "x" * 65])
def test_node_name_fits_a_topic(name: str) -> None:
    """A node name that could not be a level of a topic is refused."""
    with pytest.raises(ConfigError, match=r"node\.name: "):
        parse_document({"node": {"name": name, "board": "sim"}}, "node.toml")


def test_all_mistakes_at_once() -> None:
    """Every mistake in a file is told, not only the first."""
    content = {
        "node": {"name": "B", "bord": "sim"},
        "devices": {"Fan": {}, "room": {"driver": 5}},
        "mqtt": {"host": "h", "port": 0, "keepalive": "x"},
        "simulation": {},
    }
    with pytest.raises(ConfigError) as caught:
        parse_document(content, "n.toml")
    keys = [problem.split(": ")[1] for problem in caught.value.problems]
    assert sorted(keys) == [
        "devices.Fan",
        "devices.Fan.driver",
        "devices.room.driver",
        "mqtt.keepalive",
        "mqtt.port",
        "node.board",
        "node.bord",
        "node.name",
        "simulation",
    ]


def test_password_is_not_shown() -> None:
    """A document can be printed without its password."""
    document = parse_document({"node": NODE, "mqtt": {"host": "h", "password": "hush"}}, "f")
    assert document.mqtt is not None
    assert document.mqtt.password == "hush"
    assert "hush" not in repr(document)


def test_the_table_of_a_dialect() -> None:
    """The table that has the dialect's name is the dialect's own; every other one is a mistake."""
    mqtt = {"host": "h", "dialect": "homie", "homie": {"domain": "haus"}}
    document = parse_document({"node": NODE, "mqtt": mqtt}, "f")
    assert document.mqtt is not None
    assert (document.mqtt.dialect, document.mqtt.dialect_table) == ("homie", {"domain": "haus"})
    for wrong, key in (
        ({"host": "h", "homie": {}}, "homie"),
        ({"host": "h", "dialect": "homie", "homei": {}}, "homei"),
        ({"host": "h", "dialect": "homie", "homie": 5}, "homie"),
        ({"host": "h", "dialect_table": {}}, "dialect_table"),
        ({"host": "h", "dialect": ["a"]}, "dialect"),
    ):
        with pytest.raises(ConfigError, match=rf"mqtt\.{key}: "):
            parse_document({"node": NODE, "mqtt": wrong}, "f")


_WORDS = st.sampled_from(
    [
        *("node", "devices", "mqtt", "sim", "name", "board", "app", "driver", "every", "host"),
        *("port", "prefix", "world", "pin", "safe", "bus", "address", "auto", "relay", "bme280"),
        *("filters", "stale", "readings", "temperature", "median", "clamp", "range_check"),
        *("button", "gps", "GPIO17", "J8:11", "i2c1", "uart0", "off", "2s", "raspberrypi/4b"),
    ]
)
_SCALARS = (
    _WORDS | st.text() | st.integers() | st.floats() | st.booleans()
    | st.dates() | st.times() | st.datetimes()
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(), inner, max_size=5)
    ),
    max_leaves=20,
)
_DEVICES = st.dictionaries(
    st.sampled_from(["fan", "room", "pump"]),
    st.dictionaries(_WORDS | st.text(), _SCALARS, max_size=3).flatmap(
        lambda extra: st.fixed_dictionaries(
            {"driver": st.sampled_from(["relay", "bme280", "button", "gps", "led"])},
            optional={
                "pin": _SCALARS,
                "bus": _SCALARS,
                "port": _SCALARS,
                "address": _SCALARS,
                "every": _SCALARS,
                "debounce": _SCALARS,
                "filters": _VALUES,
                "stale": _SCALARS,
                "readings": _VALUES,
            },
        ).map(lambda table: {**extra, **table})
    ),
    max_size=3,
)


@given(st.dictionaries(_WORDS | st.text(), _VALUES, max_size=5))
@example({"node": NODE, "mqtt": {"host": "h", "port": 16**5000}})
@example({"node": NODE, "devices": {"fan": {"driver": "relay", "pin": 16**5000}}})
@example({"node": NODE, "devices": {"fan": {"driver": "relay", "self": 1, "id": 2, "driver ": 3}}})
@example({"node": NODE, "devices": [datetime(2026, 1, 1), time(1), date(2026, 1, 1)]})  # noqa: DTZ001
def test_any_content(content: dict[str, Any]) -> None:
    """Whatever can stand in a TOML file is a plan or a ConfigError."""
    _survives(content)


@given(_DEVICES)
def test_any_settings(devices: dict[str, Any]) -> None:
    """Whatever settings real drivers are given, there is a plan or a ConfigError."""
    _survives({"node": NODE, "devices": devices})


def _survives(content: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        document = parse_document(content, "node.toml")
        assert isinstance(document, NodeDocument)
        plan_document(document, Path("node.toml"))


def test_load_names_the_file(tmp_path: Path) -> None:
    """A file that cannot be read as TOML is told with its path and the place in it."""
    path = tmp_path / "node.toml"
    path.write_text("[node]\nname = \n")
    with pytest.raises(ConfigError, match=r"node\.toml: is not TOML: .*line 2"):
        load_document(path)


def test_labels(tmp_path: Path) -> None:
    """A node has labels, names with a text each; what a fleet could not pick by is refused."""
    head = '[node]\nname = "n1"\nboard = "sim"\n'
    path = tmp_path / "node.toml"
    path.write_text(head + 'labels = { zone = "north", row-2 = "Österreich 3" }\n')
    assert load_document(path).node.labels == {"zone": "north", "row-2": "Österreich 3"}
    for labels in ('{ Zone = "north" }', '{ zone = "" }', "{ zone = 3 }", '{ zone = "a\\nb" }'):
        path.write_text(f"{head}labels = {labels}\n")
        with pytest.raises(ConfigError, match=r"node\.labels"):
            load_document(path)

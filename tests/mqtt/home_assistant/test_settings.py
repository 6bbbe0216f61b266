"""Settings of what Home Assistant is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import Settings
from edgekernel.mqtt.home_assistant import HomeAssistant
from edgekernel.node import make_plan

HEAD = '[node]\nname = "n1"\nboard = "sim"\n[mqtt]\nhost = "broker"\n'


def test_every_mistake_is_named() -> None:
    """All wrong settings are told at once, by their names in the node file."""
    with pytest.raises(ConfigError) as caught:
        HomeAssistant(
            prefix="a b", lights=("strip",), exclude=("x.",), expire_after_s=0.1,
            command_ttl_s=9999, birth_delay_s=-1,
        )  # fmt: skip
    keys = [problem.partition(":")[0] for problem in caught.value.problems]
    assert keys == [
        f"mqtt.home_assistant.{key}"
        for key in ("lights", "exclude", "prefix", "expire_after", "command_ttl", "birth_delay")
    ]


def of_file(tmp_path: Path, text: str) -> HomeAssistant | None:
    """Return what a node file says."""
    path = tmp_path / "node.toml"
    path.write_text(HEAD + text)
    return Settings.of(make_plan(path)).home_assistant


def test_a_node_file(tmp_path: Path) -> None:
    """Each key is there; durations are in seconds."""
    made = of_file(
        tmp_path,
        '[mqtt.home_assistant]\nname = "Shed"\narea = "Garden"\nlights = ["strip.level"]\n'
        'events = ["alarm"]\nexclude = ["a.b"]\nexpire_after = "5min"\ncommand_ttl = 0\n'
        'birth_delay = "1min"\nprefix = "ha"\n',
    )
    assert made == HomeAssistant(
        name="Shed", area="Garden", lights=("strip.level",), events=("alarm",), exclude=("a.b",),
        expire_after_s=300, command_ttl_s=0, birth_delay_s=60, prefix="ha",
    )  # fmt: skip


def test_an_empty_table_is_enough(tmp_path: Path) -> None:
    """It says that the node is shown; without it nothing is."""
    assert of_file(tmp_path, "[mqtt.home_assistant]\n") == HomeAssistant()
    assert of_file(tmp_path, "") is None


def test_off(tmp_path: Path) -> None:
    """`discovery = false` takes away what was announced before."""
    made = of_file(tmp_path, "[mqtt.home_assistant]\ndiscovery = false\n")
    assert made is not None
    assert made.discovery == "off"

"""Settings of the dialect Homie."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.homie.settings import HomieSettings, read_settings


def test_a_table_is_read() -> None:
    """Keys of the table are the settings; without it they are the usual ones."""
    assert read_settings({}) == HomieSettings()
    read = read_settings({"domain": "haus", "log": "off", "exclude": ["room.pressure"]})
    assert read == HomieSettings(domain="haus", log="off", exclude=["room.pressure"])


def test_every_mistake_is_told() -> None:
    """What is not known, of another type or not allowed is told with its key."""
    with pytest.raises(ConfigError) as caught:
        read_settings({"domian": "haus", "log": "loud", "broadcast": "yes"})
    keys = [text.partition(":")[0] for text in caught.value.problems]
    assert keys == ["log", "broadcast", "domian"]
    assert "did you mean 'domain'?" in caught.value.problems[2]
    with pytest.raises(ConfigError) as caught:
        read_settings({"domain": "a/b", "exclude": ["room"]})
    assert [text.partition(":")[0] for text in caught.value.problems] == ["domain", "exclude.1"]

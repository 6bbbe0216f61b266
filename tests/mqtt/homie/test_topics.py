"""The topics of a node in Homie."""

from __future__ import annotations

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt.homie.topics import HomieTopics

TOPICS = HomieTopics("homie", "n1")


@pytest.mark.parametrize(
    ("topic", "place"),
    [
        ("homie/5/n1/lamp/power/set", ("lamp", "power")),
        ("homie/5/n2/lamp/power/set", None),
        ("homie/4/n1/lamp/power/set", None),
        ("homie/5/n1/lamp/power", None),
        ("homie/5/n1/lamp/power/set/more", None),
        ("homie/5/n1", None),
        ("", None),
    ],
)
def test_what_a_topic_sets(topic: str, place: tuple[str, str] | None) -> None:
    """Only the node's own `set` topics set something."""
    assert TOPICS.to_set(topic) == place


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("$state", True),
        ("$description", True),
        ("lamp/power", True),
        ("lamp/power/$target", True),
        ("$alert/lamp--power", True),
        ("$log/warn", False),
        ("lamp/power/set", False),
        ("lamp", False),
    ],
)
def test_what_a_node_retains(topic: str, kept: bool) -> None:
    """State, description, values, targets and alerts are retained, nothing else."""
    assert TOPICS.is_kept(f"homie/5/n1/{topic}") is kept
    assert not TOPICS.is_kept(f"homie/5/n2/{topic}")


def test_a_node_that_is_no_id() -> None:
    """A name that cannot be a device's id is refused."""
    with pytest.raises(ConfigError, match="node name 'Greenhouse'"):
        HomieTopics("homie", "Greenhouse")

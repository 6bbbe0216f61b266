"""What goes over the seam."""

from __future__ import annotations

import pytest

from edgekernel.mqtt.transport import MAX_TOPIC_BYTES, Login, Outbound, Server


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0", "ä" * (MAX_TOPIC_BYTES // 2 + 1)])
def test_a_message_that_no_broker_takes_is_refused(topic: str) -> None:
    """It is an error of whoever makes it, and never on its way."""
    with pytest.raises(ValueError, match="topic "):
        Outbound(topic, b"")
    assert Outbound("a" * MAX_TOPIC_BYTES, b"").qos == 1


def test_no_password_is_shown() -> None:
    """P11: a login may be printed."""
    assert "secret" not in repr(Login("c", "me", "secret"))
    assert str(Server("broker", 1883)) == "broker:1883"

"""What a node says last, on a link that comes up as it ends."""

from __future__ import annotations

import json

import pytest

from tests.mqtt.parts import staged_node
from tests.mqtt.seer import BASE
from tests.stages import SimStage


@pytest.mark.parametrize("after", [False, True])
def test_a_link_that_comes_up_during_the_goodbye(
    sim_stage: SimStage, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The broker comes back while a node ends, just before or just after it has said that it does:
    the last that is told is that it is offline."""
    with staged_node(sim_stage) as n1:
        exchange = n1.interface._exchange
        assert exchange is not None
        sim_stage.kill()
        sim_stage.until(lambda: n1.seen.of("mqtt.disconnected"), "disconnected")
        goodbye = exchange.dialect.goodbye

        def late(reason: str) -> None:
            if after:
                goodbye(reason)
            sim_stage.start()
            n1.runtime.clock.sleep(2.0)
            if not after:
                goodbye(reason)

        monkeypatch.setattr(exchange.dialect, "goodbye", late)
    told = json.loads(sim_stage.broker.retained[f"{BASE}/status"].payload)
    assert told["state"] == "offline"

"""States in every form: together or by signal, as JSON or plain; on both brokers."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.mqtt import Settings
from edgekernel.mqtt.layout import Form
from edgekernel.node import make_plan
from tests.mqtt.parts import Node, staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import Stage

SIGNALS = Form("signal")
PLAIN = Form("signal", "plain")
FORMS = (Form(), SIGNALS, PLAIN)
LAMP = f"{BASE}/state/lamp"
HEATER = f"{BASE}/state/heater"


def on(seer: Seer, topic: str) -> list[bytes]:
    """Return the payloads that have come on a topic."""
    return [each.payload for each in seer.peer.received if each.topic == topic]


def told(stage: Stage, seer: Seer, topic: str, payload: bytes) -> None:
    """Wait for a payload on a topic."""
    stage.until(lambda: on(seer, topic)[-1:] == [payload], f"{topic} {payload!r}")


def test_a_topic_for_each_signal(stage: Stage) -> None:
    """Each is the object that stands in the state of the device otherwise; the topic of the device
    says whether it answers."""
    seer = Seer(stage)
    with staged_node(stage, form=SIGNALS) as n1:
        n1.lamp.power.set(True)
        state = seer.sees(f"{LAMP}/power", lambda each: each["value"]).document
        assert (state["quality"], state["setpoint"]) == ("good", True)
        level = seer.sees(f"{LAMP}/light-level", lambda each: each["value"]).document
        assert (level["value"], level["unit"]) == (100.0, "lx")
        assert seer.sees(LAMP).document == {"online": True}
        n1.lamp.set_offline("unplugged")
        seer.sees(LAMP, lambda state: not state["online"])
        lost = seer.sees(f"{LAMP}/light-level", lambda each: each["quality"] == "bad").document
        assert lost["reason"] == "offline: unplugged"
        assert seer.sees(f"{BASE}/info").document["layout"] == "signal"


def test_plain_values(stage: Stage) -> None:
    """A value as others expect it, its quality beside it; what is BAD is no number."""
    seer = Seer(stage)
    with staged_node(stage, form=PLAIN) as n1:
        told(stage, seer, f"{LAMP}/power", b"OFF")
        told(stage, seer, f"{HEATER}/warnings", b"unavailable")
        told(stage, seer, f"{BASE}/quality/heater/warnings", b"bad: no value yet")
        seer.peer.publish(f"{BASE}/set/lamp/power", b"ON")
        seer.peer.publish(f"{BASE}/set/heater/fan-speed", b"21.5")
        told(stage, seer, f"{LAMP}/power", b"ON")
        told(stage, seer, f"{LAMP}/light-level", b"100.0")
        told(stage, seer, f"{HEATER}/fan-speed", b"21.5")
        n1.heater.warnings.update(3)
        told(stage, seer, f"{HEATER}/warnings", b"3")
        told(stage, seer, f"{BASE}/quality/heater/warnings", b"good")
        n1.heater.warnings.fail("frozen")
        told(stage, seer, f"{HEATER}/warnings", b"unavailable")
        told(stage, seer, f"{BASE}/quality/heater/warnings", b"bad: frozen")
        told(stage, seer, HEATER, b"online")
        n1.heater.set_offline("unplugged")
        told(stage, seer, HEATER, b"offline")
        assert seer.ask("set/lamp/power", value=False)["ok"]
        told(stage, seer, f"{LAMP}/power", b"OFF")


def looked_through(stage: Stage, node: Node) -> None:
    """Wait until the node has seen all that was left."""
    bridge = node.interface._exchange
    assert bridge is not None
    client = bridge.client
    stage.until(lambda: f"{BASE}/state/+" not in client.subscriptions, "all looked through")


def retained(seer: Seer) -> set[str]:
    """Return the topics that have a payload, to all that somebody has seen."""
    last = {each.topic: each.payload for each in seer.peer.received}
    return {topic for topic, payload in last.items() if payload}


def keeps(stage: Stage, name: str, count: int) -> None:
    """Wait until as many topics of states are retained."""
    late = Seer(stage, name)

    def of_states() -> set[str]:
        return {each for each in retained(late) if "/state/" in each or "/quality/" in each}

    stage.until(lambda: len(of_states()) == count, f"{count} topics of states")


@pytest.mark.parametrize("before", FORMS)
def test_another_form_leaves_nothing_of_the_one_before(stage: Stage, before: Form) -> None:
    """What was retained in another form is cleared at the next start, whatever form that was."""
    topics = {FORMS[0]: 2, SIGNALS: 6, PLAIN: 10}
    for number, after in enumerate(FORMS):
        with staged_node(stage, form=before):
            pass
        keeps(stage, f"before {number}", topics[before])
        with staged_node(stage, form=after) as n1:
            looked_through(stage, n1)
            keeps(stage, f"after {number}", topics[after])


@pytest.mark.parametrize("form", FORMS)
def test_a_device_that_goes_takes_all_its_topics_along(stage: Stage, form: Form) -> None:
    """After a hot remove nothing of the device is retained."""
    seer = Seer(stage)
    with staged_node(stage, form=form) as n1:
        seer.sees(f"{BASE}/status")
        n1.runtime.hot_remove("lamp")
        stage.until(lambda: on(seer, LAMP)[-1:] == [b""], "an empty state")
        late = Seer(stage, "late")
        late.sees(f"{BASE}/status")
        stage.until(lambda: not [each for each in retained(late) if "/lamp" in each], "no lamp")


def of_file(folder: Path, keys: str) -> Form:
    """Return the form that `[mqtt]` of a node file with these keys has."""
    path = folder / "node.toml"
    path.write_text(f'[node]\nname = "n1"\nboard = "sim"\n[mqtt]\nhost = "h"\n{keys}\n')
    return Settings.of(make_plan(path)).form


def test_the_node_file_says_which(tmp_path: Path) -> None:
    """Plain values have a topic each; a plain value of several is refused with what to do."""
    assert of_file(tmp_path, "") == Form()
    assert of_file(tmp_path, 'layout = "signal"') == SIGNALS
    assert of_file(tmp_path, 'payloads = "plain"') == PLAIN
    with pytest.raises(ConfigError, match=r'node\.toml: mqtt\.layout: "device" has several'):
        of_file(tmp_path, 'layout = "device"\npayloads = "plain"')
    with pytest.raises(ConfigError, match=r"node\.toml: mqtt\.layout: .*'device' or 'signal'"):
        of_file(tmp_path, 'layout = "signals"')

"""The status of a node follows how it is, on a real mosquitto and on the in-process broker."""

from __future__ import annotations

import json
from typing import Any

from edgekernel import Device, Process, Runtime, Service, requires
from edgekernel.core.context import Context
from edgekernel.mqtt.encoding import timestamp
from edgekernel.mqtt.status import MAX_PARTS, MAX_REASON, status_payload
from edgekernel.node.safety import Safety
from tests.mqtt.parts import staged_node
from tests.mqtt.seer import BASE, Seer
from tests.stages import SimStage, Stage

STATUS = f"{BASE}/status"
LAMP = f"{BASE}/state/lamp"


class Shy(Device):
    """A chip that does not answer until it is let."""

    answers = False

    def connect(self) -> None:
        if not self.answers:
            raise OSError("no answer at 0x76 " + "x" * 500)


class Pump(Process):
    """What a part may require."""

    name = "pump"


class Irrigation(Process):
    """Cannot do without a pump."""

    name = "irrigation"
    pump = requires(Pump)


class Watch(Service):
    """A critical service."""

    name = "watch"
    interval = 1.0
    critical = True
    restart = "no"
    fails = False

    def tick(self, ctx: Context) -> None:
        if self.fails:
            raise RuntimeError("the valve sticks")


def is_state(state: str) -> Any:
    """Match a status."""
    return lambda document: document["state"] == state


def test_a_last_will_does_not_claim_a_time() -> None:
    """The will is written before the loss, so its since is null."""
    will = json.loads(status_payload("offline", "b1", None, "connection lost"))
    assert will == {"state": "offline", "boot": "b1", "since": None, "cause": "connection lost"}


def test_a_part_that_fails_degrades_the_node_until_it_works(sim_stage: SimStage) -> None:
    """The status names the part and why, in a few words, and is online again by itself."""
    seer, shy = Seer(sim_stage), Shy("shy")
    prepare = staged_node(sim_stage, prepare=lambda it: it.register(shy, optional=True))
    with prepare:
        told = seer.sees(STATUS, is_state("degraded")).document
        assert told["cause"].startswith("without shy: ")
        assert told["parts"]["shy"].startswith("OSError: no answer at 0x76 xx")
        assert max(len(told["cause"]), len(told["parts"]["shy"])) == MAX_REASON
        seer.forget()
        shy.answers = True
        again = seer.sees(STATUS, is_state("online")).document
        assert again["cause"] == "recovered"
        assert "parts" not in again
        assert again["boot"] == told["boot"]
    assert [each["state"] for each in seer.on(STATUS)] == ["online", "offline"]


def test_a_part_that_waits_degrades_the_node(stage: Stage) -> None:
    """A part whose requirement is gone is named; online comes back with the requirement."""
    seer = Seer(stage)

    def prepare(runtime: Runtime) -> None:
        runtime.register(Pump())
        runtime.register(Irrigation())

    with staged_node(stage, prepare=prepare) as n1:
        seer.sees(STATUS, is_state("online"))
        n1.runtime.hot_remove("pump", force=True)
        told = seer.sees(STATUS, is_state("degraded")).document
        assert told["parts"] == {"irrigation": "pump was removed"}
        assert told["cause"] == "without irrigation: pump was removed"
        assert Seer(stage, "late").sees(STATUS).document == told
        seer.forget()
        n1.runtime.hot_add(Pump())
        seer.sees(STATUS, is_state("online"))


def test_what_changed_in_an_outage_is_told_after_it(stage: Stage) -> None:
    """After the link was away status and states are those of now, with the hour of the change."""
    seer = Seer(stage)
    with staged_node(stage) as n1:
        seer.sees(STATUS, is_state("online"))
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.disconnected"), "the outage")
        n1.runtime.hot_add(Shy("shy"), optional=True)
        n1.lamp.power.set(True)
        changed = timestamp(n1.runtime.clock.now_utc())
        stage.start()
        late = Seer(stage, "late")
        told = late.sees(STATUS, is_state("degraded")).document
        assert told["since"] <= changed
        late.sees(LAMP, lambda state: state["power"]["value"])


def test_a_halted_node_is_safe_and_then_offline(stage: Stage) -> None:
    """A critical service that fails: the outputs are safe, then the status says so and why, and at
    the end it is offline."""
    seer, watch = Seer(stage), Watch()
    with staged_node(stage, prepare=lambda it: it.register(watch)) as n1:
        n1.lamp.power.set(True)
        seer.sees(LAMP, lambda state: state["power"]["value"])
        watch.fails = True
        told = seer.sees(STATUS, is_state("safe")).document
        assert "critical service watch failed" in told["cause"]
        assert "the valve sticks" in told["cause"]
        end = seer.sees(STATUS, is_state("offline")).document
        assert end["cause"] == told["cause"]
    came = seer.peer.received
    safe = next(n for n, each in enumerate(came) if b'"state":"safe"' in each.payload)
    lamp = [each.document["power"]["value"] for each in came[:safe] if each.topic == LAMP]
    assert lamp[-1] is False


def test_a_node_that_an_operator_holds_is_safe(stage: Stage) -> None:
    """With the reason, behind the states, and through an outage; it answers all the while, and is
    online again when it may go on."""
    seer = Seer(stage)
    with staged_node(stage, prepare=holdable) as n1:
        assert seer.ask("set/lamp/power", value="on")["ok"]
        held = seer.ask("call/safety/hold", "2", args={"reason": "maintenance"})
        assert held["result"] == {"held": "maintenance", "not_safe": []}
        told = seer.sees(STATUS, is_state("safe")).document
        assert told["cause"] == "held by an operator: maintenance"
        seer.sees(LAMP, lambda state: state["power"]["value"] is False)
        came = seer.peer.received
        safe = next(n for n, got in enumerate(came) if b'"state":"safe"' in got.payload)
        lamp = [got.document["power"]["value"] for got in came[:safe] if got.topic == LAMP]
        assert lamp[-1] is False
        stage.kill()
        stage.until(lambda: n1.seen.of("mqtt.disconnected"), "the outage")
        stage.start()
        late = Seer(stage, "late")
        assert late.sees(STATUS, is_state("safe")).document["since"] == told["since"]
        refused = late.ask("set/lamp/power", "3", value="on")
        assert refused["error"]["code"] == "held"
        assert late.ask("call/safety/resume", "4")["ok"]
        late.sees(STATUS, lambda status: status["cause"] == "resumed")
        assert late.ask("set/lamp/power", "5", value="on")["ok"]


def holdable(runtime: Runtime) -> None:
    """Let an operator hold the devices that there are."""
    runtime.register(Safety(runtime, runtime.devices))


def test_a_goodbye_of_a_healthy_node_is_not_safe(sim_stage: SimStage) -> None:
    """Only a halt is told as one."""
    seer = Seer(sim_stage)
    with staged_node(sim_stage, prepare=lambda it: it.register(Watch())):
        seer.sees(STATUS, is_state("online"))
    assert [each["state"] for each in seer.on(STATUS)] == ["online", "offline"]


def test_many_parts_are_a_short_status(sim_stage: SimStage) -> None:
    """Of twenty parts that fail the first few are named, and how many there are."""
    seer = Seer(sim_stage)

    def prepare(runtime: Runtime) -> None:
        for number in range(20):
            runtime.register(Shy(f"shy-{number}"), optional=True)

    with staged_node(sim_stage, prepare=prepare):
        told = seer.sees(STATUS, is_state("degraded"))
        assert told.document["cause"].startswith("without 20 parts: ")
        assert len(told.document["parts"]) == MAX_PARTS
        assert len(told.payload) < 2000

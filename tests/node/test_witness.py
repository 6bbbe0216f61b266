"""A whole node on trial: what its parts, its link and a service manager make of each criterion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edgekernel import Context, Device, Quality, Service, reading
from edgekernel.mqtt import MqttConnected, MqttDisconnected
from edgekernel.mqtt.simulated import connect_simulated
from edgekernel.node.config_messages import ConfigRejected
from edgekernel.node.service_manager import ServiceManager
from edgekernel.node.slot_trial import Terms, Verdict, watch
from edgekernel.node.update_state import UpdateState, write_state
from edgekernel.node.update_watch import UpdateWatch
from edgekernel.node.witness import Witness, bear_witness, hear_witness
from edgekernel.sim import SimClock
from edgekernel.sim.broker import SimBroker
from tests.node.changing import FAN, HEAD, ROOM, Changing
from tests.node.test_service_manager import Manager

NODE = HEAD + FAN + ROOM + '[mqtt]\nhost = "broker.example"\n'
TERMS = Terms(healthy_for_s=60, limit_s=200)
RUN = "0f" * 16


class Wire(Device):
    """A sensor that answers, and knows that its wire is broken."""

    level = reading(float)

    def break_(self) -> None:
        """Let the reading be bad."""
        self.level.update(0.0, quality=Quality.BAD, reason="broken wire")


class Log(Service):
    """Fails for good in its first tick."""

    name = "log"
    restart = "no"

    def tick(self, ctx: Context) -> None:
        """Raise an error."""
        raise OSError("no room left")


class Pump(Service):
    """Hangs in its first tick."""

    name = "pump"

    def tick(self, ctx: Context) -> None:
        """Do not come back."""
        ctx.clock.sleep(1000)


class Flaky(Service):
    """Works for a while, fails, and works again."""

    name = "flaky"
    interval = 40.0
    runs = False

    def tick(self, ctx: Context) -> None:
        """Raise an error in each second tick."""
        self.runs = not self.runs
        if not self.runs:
            raise OSError("port is gone")


class Trial:
    """A node as `edgekernel run` puts it together, in a slot that is on trial; and systemd."""

    def __init__(self, folder: Path, clock: SimClock, stack: ExitStack) -> None:
        self.clock = clock
        self.state = folder / "state.json"
        self.witness = folder / "witness.json"
        self.on_trial()
        self.manager = Manager(folder / "notify")
        stack.callback(self.manager.close)
        self.broker = stack.enter_context(SimBroker(clock))
        self.node = Changing(folder, clock, NODE)
        self.runtime = self.node.runtime
        plan = self.node.config.plan
        self.update = UpdateWatch(self.runtime, self.state, plan.document.update, self.witness, RUN)
        self.wire = Wire("wire")
        self.runtime.register(self.wire)
        self.runtime.register(self.update)
        connect_simulated(plan, self.runtime, self.broker, 1)
        link = MqttConnected, MqttDisconnected
        ServiceManager(self.manager.address).attend(self.runtime, link)
        self.told: dict[str, str] = {}
        self._stack = stack

    def on_trial(self, *bad_before: str) -> None:
        """Let root say that the slot is on trial, and what was bad before."""
        state = UpdateState(slot="B", bad_before=bad_before).moved("trial")
        write_state(state, self.state, boot="this")

    def boot(self) -> None:
        """Start the node, and let it find its broker."""
        self._stack.enter_context(self.node)
        self.clock.advance(5)

    def show(self) -> dict[str, str]:
        """Return what systemd makes of what it was told."""
        for each in self.manager.told():
            self.told |= each
        state = "active" if "READY" in self.told else "activating"
        return {"LoadState": "loaded", "ActiveState": state, "InvocationID": RUN, "NRestarts": "0"}

    def hear(self) -> Witness | None:
        """Return what the agent has said last."""
        return hear_witness(self.witness) if self.witness.exists() else None

    def verdict(self, tell: Callable[[float, tuple[str, ...]], object] | None = None) -> Verdict:
        """Boot, and wait for the verdict."""
        self.boot()
        return watch(self.show, self.hear, self.clock, TERMS, *([tell] if tell else []))


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    """Give a node in simulated time, which is not booted yet."""
    with ExitStack() as stack:
        clock = stack.enter_context(SimClock())
        yield Trial(tmp_path, clock, stack)


def test_healthy(trial: Trial) -> None:
    """A node of which all is well is healthy for as long as was asked."""
    assert trial.verdict() == Verdict(True, "the node was healthy for 60 s")
    assert trial.told["STATUS"] == "running"


@pytest.mark.parametrize(
    ("service", "why"),
    [
        (Log, "services: log (failed, and is not started again: OSError: no room left)"),
        (Pump, "services: pump (it hangs)"),
        (Flaky, "not healthy for long enough"),
    ],
)
def test_a_service_that_does_not_work(trial: Trial, service: type[Service], why: str) -> None:
    """A service that has failed for good, hangs, or is started anew again and again keeps the
    update from being confirmed, though no part is missing."""
    trial.runtime.register(service())
    found = trial.verdict()
    assert trial.runtime.status()["degraded"] == []
    assert trial.told["STATUS"] == "running"
    assert (found.good, found.reason.startswith(why)) == (False, True), found.reason


@pytest.mark.parametrize("service", [Log, Pump, Flaky])
def test_a_service_that_did_not_work_before(trial: Trial, service: type[Service]) -> None:
    """One that was so before the update is no reason to go back to where it was so too."""
    trial.on_trial(f"part {service.name}")
    trial.runtime.register(service())
    assert trial.verdict().good


def test_without_its_broker(trial: Trial) -> None:
    """A broker that is away is no healthy node; when it is back the time begins."""
    seen: list[tuple[str, ...]] = []
    trial.broker.stop()
    trial.broker.later(100, trial.broker.start)
    assert trial.verdict(lambda passed, unmet: seen.append(unmet)).good
    assert ("broker: it is not reached",) in seen
    trial.broker.stop()
    trial.clock.advance(5)
    found = watch(trial.show, trial.hear, trial.clock, TERMS)
    assert found.unmet == ("broker: it is not reached",)


def test_sensors(trial: Trial) -> None:
    """A reading that is bad and a sensor that is offline keep the update from being confirmed, but
    for what was so before it."""
    trial.boot()
    trial.wire.break_()
    trial.node.socket("room").unplug()
    found = watch(trial.show, trial.hear, trial.clock, TERMS)
    assert not found.good
    (sensors,) = found.unmet
    assert sensors.startswith("sensors: room (")
    assert sensors.endswith("wire.level (broken wire)")
    trial.on_trial(*trial.update.bad_before())
    assert watch(trial.show, trial.hear, trial.clock, TERMS).good


def test_a_refused_configuration(trial: Trial) -> None:
    """A node file that is refused is no fault of the update: the node runs as before. What is in it
    stands in the status, and says nothing of a criterion."""
    trial.boot()
    text = NODE + '[devices.x]\ndriver = "without its broker, bad readings: a.b"\n'
    assert trial.node.reload(text).result == "rejected"
    assert trial.node.told(ConfigRejected)
    assert watch(trial.show, trial.hear, trial.clock, TERMS).good
    assert trial.told["STATUS"].startswith("running; the changed node file was rejected: ")
    assert "without its broker, bad readings: a.b" in trial.told["STATUS"]


def test_an_agent_that_says_nothing_more(trial: Trial) -> None:
    """What it has said holds for half a minute: an agent that says nothing is not healthy."""
    trial.boot()
    trial.state.unlink()
    found = watch(trial.show, trial.hear, trial.clock, TERMS)
    assert found.unmet == ("agent: it has not said how it is for more than 30 s",)


def test_what_root_reads(tmp_path: Path) -> None:
    """Root reads the words of an agent, which has no rights, as one line of plain text each,
    follows no link, and refuses what is no witness."""
    path = tmp_path / "witness.json"
    bear_witness(Witness(RUN, 1.0, 2, ("services: a\x1b[2J\nslot B is good",)), path)
    assert hear_witness(path) == Witness(RUN, 1.0, 2, ("services: a?[2J slot B is good",))
    said = {"run": RUN, "at_s": "now", "restarts": 0, "unmet": []}
    mistakes: list[object] = [[], {}, said, "x" * 300_000]
    for wrong in mistakes:
        path.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=r"says what no agent says|more than"):
            hear_witness(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="recursion"):
        hear_witness(path)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        hear_witness(link)

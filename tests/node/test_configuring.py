"""A configuration is applied live, stands trial, and is rolled back if it fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path

import pytest

from edgekernel import Interface
from edgekernel.backends.sim.disk import SimDisk
from edgekernel.core import message
from edgekernel.node.config_messages import (
    ConfigApplied,
    ConfigFallback,
    ConfigKept,
    ConfigRejected,
    ConfigRolledBack,
)
from edgekernel.node.config_record import RecordFile
from edgekernel.node.configuring import Proposal, Verdict, Wanted
from edgekernel.node.plan import Plan
from edgekernel.sim import SimClock
from tests.node.changing import FAN, HEAD, ROOM, VENT, Changing

Make = Callable[..., Changing]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Give a function that boots a node of a file in simulated time, again and again."""
    with ExitStack() as stack:

        def make(text: str) -> Changing:
            clock = stack.enter_context(SimClock())
            return stack.enter_context(Changing(tmp_path, clock, text))

        yield make


def test_applied(make: Make) -> None:
    """After ten healthy seconds the new configuration is told as applied, with its keys, and is
    the last good one."""
    node = make(FAN)
    begun = node.clock.monotonic()
    node.write(FAN + ROOM)
    node.runtime.emit(message.SystemReload())
    while not node.told(ConfigApplied):
        node.clock.advance(0.5)
    assert 10 <= node.clock.monotonic() - begun < 15
    (applied,) = node.told(ConfigApplied)
    assert (applied.source, applied.keys) == ("file", ("devices.room",))
    assert applied.hash == node.config.hash
    good = RecordFile(node.path.parent / "data").read().good
    assert good is not None
    assert (good.hash, good.source) == (node.config.hash, "file")


def test_rejected(make: Make) -> None:
    """A file with mistakes is told with all of them, and nothing is touched."""
    node = make(FAN)
    verdict = None

    def reload() -> None:
        nonlocal verdict
        verdict = node.reload(FAN.replace("17", "99") + ROOM.replace("i2c1", "i2c9"))

    assert node.since(reload) == []
    (rejected,) = node.told(ConfigRejected)
    assert [problem.split(":")[1] for problem in rejected.problems] == [
        " devices.fan.pin",
        " devices.room.bus",
    ]
    assert verdict is not None
    assert (verdict.result, verdict.problems) == ("rejected", rejected.problems)


def test_drivers_refuse_before_anything_moves(make: Make) -> None:
    """What only a driver knows to be wrong is found before anything is touched."""
    node = make(FAN)
    text = FAN + '[devices.fan.outputs.power]\ninitial = "on"\ninterlock = ["vent.power"]\n'
    verdict = node.reload(text + VENT + '[devices.vent.outputs.power]\ninitial = "on"\n')
    assert verdict.result == "rejected"
    assert "interlock" in verdict.problems[0]


def test_what_needs_a_restart_is_refused(make: Make) -> None:
    """A key that cannot be changed live is refused, and nothing else of the file counts."""
    node = make(FAN)
    verdict = node.reload(HEAD.replace("bench", "other") + FAN + VENT)
    assert verdict.result == "rejected"
    assert verdict.problems == (
        "node.toml: node.name: needs a restart of the agent: the node has another name",
    )
    assert list(node.runtime.devices) == ["fan"]


def test_a_sensor_that_is_not_there_is_rolled_back(make: Make) -> None:
    """A device that does not come: all is as before, within the grace, and the reason is told."""
    node = make(FAN + VENT)
    node.switch_on("vent")
    fan = node.runtime.devices["fan"]
    node.reconfiguration._plug = lambda plan, ids: None  # nobody plugs in a chip
    verdict = node.reload(FAN + VENT + ROOM)
    assert verdict.result == "rolled_back"
    assert sorted(node.runtime.devices) == ["fan", "vent"]
    assert node.runtime.devices["fan"] is fan
    assert node.runtime.devices["vent"].outputs["power"].value is True
    (told,) = node.told(ConfigRolledBack)
    assert "room" in told.problems[0]
    assert node.runtime.status()["state"] == "running"


def test_a_sensor_that_goes_bad_is_rolled_back(make: Make) -> None:
    """A device that started and then does not answer is not well: after the grace the one before
    is there again."""
    node = make(FAN + ROOM)
    node.clock.advance(5)
    node.bench.later(7, lambda: node.socket("room").unplug())
    verdict = node.reload(FAN + ROOM.replace('"1s"', '"2s"'))
    assert verdict.result == "rolled_back"
    assert verdict.problems[0].startswith("device room: ")
    assert node.runtime.devices["room"].every == 1.0


def test_what_was_bad_before_does_not_count(make: Make) -> None:
    """A device that was offline before the change keeps no other change from being applied."""
    node = make(FAN + ROOM)
    node.clock.advance(5)
    node.socket("room").unplug()
    node.clock.advance(5)
    assert node.reload(FAN + VENT + ROOM).result == "applied"


def test_a_short_trouble_is_no_failure(make: Make) -> None:
    """Trouble that ends within the grace only lets the healthy time begin anew."""
    node = make(FAN + ROOM)
    node.clock.advance(5)
    node.bench.later(7, lambda: node.socket("room").unplug())
    node.bench.later(12, lambda: node.socket("room").plug())
    begun = node.clock.monotonic()
    assert node.reload(FAN + VENT + ROOM).result == "applied"
    (applied,) = [e for e in node.events if isinstance(e.payload, ConfigApplied)]
    assert applied.monotonic - begun > 20


def test_the_times_are_those_of_the_new_file(make: Make) -> None:
    """`[config]` says how long a configuration has to be healthy."""
    node = make(FAN)
    assert node.reload(FAN + VENT + '[config]\nhealthy_for = "50ms"\n', 1.0).result == "applied"


def test_one_after_the_other(make: Make) -> None:
    """What is asked for during a trial waits for its end, in order."""
    node = make(FAN)
    results: list[str] = []
    for text in (FAN + VENT, FAN + ROOM):
        node.write(text)
        node.config.reload(lambda verdict: results.append(verdict.result))
        node.clock.advance(0.1)
    node.clock.advance(30)
    assert results == ["applied", "applied"]
    assert sorted(node.runtime.devices) == ["fan", "i2c1", "room"]


def test_a_shutdown_ends_a_trial(make: Make) -> None:
    """A node that is stopped during a trial keeps nothing of it, and waits for nothing."""
    node = make(FAN)
    verdicts: list[str] = []
    node.write(FAN + VENT)
    node.config.reload(lambda verdict: verdicts.append(verdict.result))
    node.clock.advance(2)
    node.runtime.shutdown()
    assert verdicts == [""]
    good = RecordFile(node.path.parent / "data").read().good
    assert good is None


def test_the_latest_of_those_that_wait(make: Make) -> None:
    """What waits is bounded (P9): of one source only the latest is looked at."""
    node = make(FAN)
    results: list[int] = []

    def noting(number: int) -> Callable[[Verdict], None]:
        return lambda verdict: results.append(number)

    for number in range(5):
        node.write(FAN + VENT + f"# {number}\n")
        node.config.reload(noting(number))
        node.clock.advance(0.1)
    node.clock.advance(60)
    assert results == [0, 4]


def test_a_driver_that_raises_anything(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in a driver that shows only when it is made rejects the configuration."""
    from edgekernel_devices.led import Led

    @wraps(Led.__init__)
    def broken(self: Led, *args: object, **more: object) -> None:
        raise ZeroDivisionError("in a driver")

    node = make(FAN)
    monkeypatch.setattr(Led, "__init__", broken)
    verdict = node.reload(FAN + '[devices.lamp]\ndriver = "led"\npin = "GPIO22"\n')
    assert verdict.result == "rejected"
    assert "in a driver" in verdict.problems[0]
    assert list(node.runtime.devices) == ["fan"]


def test_a_driver_that_ends_its_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that calls sys.exit rejects the configuration as well; the next one is taken."""
    from edgekernel_devices.led import Led

    @wraps(Led.__init__)
    def leaving(self: Led, *args: object, **more: object) -> None:
        sys.exit("no licence")

    node = make(FAN)
    monkeypatch.setattr(Led, "__init__", leaving)
    verdict = node.reload(FAN + '[devices.lamp]\ndriver = "led"\npin = "GPIO22"\n')
    assert verdict.result == "rejected"
    assert "no licence" in verdict.problems[0]
    assert node.reload(FAN + VENT).result == "applied"


def test_who_asks_and_fails(make: Make) -> None:
    """What fails where the verdict is told does not end the next change."""

    def fail(verdict: Verdict) -> None:
        raise ZeroDivisionError("at the verdict")

    node = make(FAN)
    node.write(FAN + VENT)
    node.config.reload(fail)
    node.clock.advance(60)
    (told,) = node.told(message.BackgroundError)
    assert told.error == "ZeroDivisionError: at the verdict"
    assert node.reload(FAN).result == "applied"


def test_a_shutdown_during_the_change_says_nothing(make: Make) -> None:
    """What goes wrong because the node stops does not count against the file."""
    node = make(FAN)
    node.clock.advance(11)
    node.reconfiguration._plug = lambda plan, ids: node.runtime.shutdown()
    verdict = node.reload(FAN + ROOM)
    assert verdict.result == ""
    assert RecordFile(node.path.parent / "data").read().bad_file is None


class Link(Interface):
    """Links to a broker that answers, or does not."""

    name = "mqtt"

    def __init__(self, plan: Plan) -> None:
        assert plan.document.mqtt is not None
        self.host = plan.document.mqtt.host
        self.connected = self.host == "there"


def test_a_broker_that_does_not_answer_is_rolled_back(tmp_path: Path) -> None:
    """A file that names another broker, which does not answer: the node links to the old one."""
    broker = '[mqtt]\nhost = "{}"\n'
    with SimClock() as clock:
        node = Changing(tmp_path, clock, FAN + broker.format("there"), make_link=Link)
        node.runtime.register(Link(node.config.plan))
        with node:
            verdict = node.reload(FAN + broker.format("nowhere"))
            assert (verdict.result, verdict.problems) == ("rolled_back", ("link mqtt: is down",))
            link = node.runtime.interfaces["mqtt"]
            assert isinstance(link, Link)
            assert link.host == "there"


def test_labels_only(make: Make) -> None:
    """What moves nothing, such as a label, is applied too."""
    node = make(FAN)
    verdict = node.reload(HEAD + 'labels = { zone = "north" }\n' + FAN)
    assert verdict.result == "applied"
    assert node.config.show()["document"]["node"]["labels"] == {"zone": "north"}


class TestKeptOutputs:
    """What outputs are restored from goes with them, but not before nobody goes back to them."""

    RESTORED = '[devices.{0}.outputs.power]\ninitial = "restore"\n'

    @contextmanager
    def run(self, folder: Path, *devices: str) -> Iterator[Changing]:
        """Run a node with some of the two relays, on the disk of this machine."""
        with SimClock() as clock:
            disk = SimDisk(clock)
            disk.mount(folder)
            with Changing(folder, clock, self.text(*devices), disk=disk) as node:
                yield node

    def text(self, *devices: str) -> str:
        """Return a node file with some of the relays."""
        drivers = {"fan": FAN, "vent": VENT, "pump": FAN.replace("fan", "pump")}
        return "".join(drivers[each] + self.RESTORED.format(each) for each in devices)

    def is_on(self, node: Changing, device: str) -> bool:
        """Say whether a relay is on."""
        return bool(node.runtime.devices[device].outputs["power"].value)

    def test_rolled_back(self, tmp_path: Path) -> None:
        """A node file without an output that does not prove itself, and then one that does, forget
        nothing: the file before finds what it had, live or after a restart."""
        with self.run(tmp_path, "fan", "vent") as node:
            node.clock.advance(30)
            node.switch_on("fan")
            node.reconfiguration._plug = lambda plan, ids: None  # nobody plugs in a chip
            assert node.reload(self.text("vent") + ROOM).result == "rolled_back"
            assert self.is_on(node, "fan")
            assert node.reload(self.text("vent")).result == "applied"
            assert node.reload(self.text("fan", "vent")).result == "applied"
            assert self.is_on(node, "fan")
            assert node.reload(self.text("vent")).result == "applied"
        with self.run(tmp_path, "vent") as node:
            node.clock.advance(60)
        with self.run(tmp_path, "fan", "vent") as node:
            assert self.is_on(node, "fan")

    def test_gone(self, tmp_path: Path) -> None:
        """Four changes of the outputs later nothing of it is there any more, whether they were
        applied live or with a restart."""
        with self.run(tmp_path, "fan", "vent") as node:
            node.switch_on("fan")
            node.switch_on("vent")
            node.clock.advance(30)
            assert node.reload(self.text("vent")).result == "applied"
            assert node.reload(self.text("vent", "pump")).result == "applied"
        for devices in (("pump",), ("vent", "pump"), ("pump",)):
            assert '"output/fan.power"' in (tmp_path / "data/memory.json").read_text()
            with self.run(tmp_path, *devices) as node:
                node.clock.advance(30)
        assert "fan" not in (tmp_path / "data/memory.json").read_text()
        with self.run(tmp_path, "fan", "vent") as node:
            assert [self.is_on(node, each) for each in ("fan", "vent")] == [False, True]

    def test_a_start_that_proves_nothing(self, tmp_path: Path) -> None:
        """An agent that ends soon after each start, with whatever file, forgets nothing."""
        with self.run(tmp_path, "fan", "vent") as node:
            node.switch_on("fan")
        for n in range(8):
            with self.run(tmp_path, "vent" if n % 2 else "pump") as node:
                node.clock.advance(9)
        with self.run(tmp_path, "fan", "vent") as node:
            assert self.is_on(node, "fan")


class TestLastGood:
    """The last good configuration is kept, and used when the file is damaged."""

    def test_it_is_kept_after_the_start(self, make: Make) -> None:
        """What a node has started with is kept when it has run for a while, without secrets."""
        node = make(FAN + '[mqtt]\nhost = "h"\nusername = "u"\npassword = "hush"\n')
        node.clock.advance(9)
        assert not node.told(ConfigKept)
        node.clock.advance(2)
        assert node.told(ConfigKept) == [ConfigKept(node.config.hash, "")]
        text = (node.path.parent / "data" / "config.json").read_text()
        assert "hush" not in text

    def test_it_is_written_once(self, make: Make) -> None:
        """The same configuration is not written again at the next start."""
        node = make(FAN)
        node.clock.advance(11)
        node.runtime.shutdown()
        again = make(FAN)
        again.clock.advance(60)
        assert not again.told(ConfigKept)

    @pytest.mark.parametrize("damage", ["", "\0\0\0", HEAD + FAN + "[devices.fan]\n", None])
    def test_a_damaged_file(
        self, make: Make, damage: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A file that is empty, torn, wrong or gone: the node runs the last good configuration, and
        says so in a message and in its health."""
        node = make(FAN + ROOM)
        node.clock.advance(11)
        node.runtime.shutdown()
        monkeypatch.setenv("STATE_DIRECTORY", str(node.path.parent / "data"))
        monkeypatch.setattr(Changing, "write", lambda self, text: None)
        if damage is None:
            node.path.unlink()
        else:
            node.path.write_text(damage)
        again = make("")
        assert sorted(again.runtime.devices) == ["fan", "i2c1", "room"]
        (told,) = again.told(ConfigFallback)
        assert told.hash == node.config.hash
        assert told.problems
        health = again.runtime.health()
        assert not health["healthy"]
        assert "the last good configuration is used" in health["parts"]["node-file"]["reason"]
        assert again.runtime.status()["state"] == "degraded"
        assert again.config.show()["source"] == "last good"
        monkeypatch.undo()
        assert again.reload(FAN).result == "applied"
        assert again.runtime.health()["healthy"]
        assert again.runtime.status()["state"] == "running"

    def test_a_file_that_stays_damaged(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        """A node that runs the last good configuration for days because nobody mends its file does
        not fill its log with that, and does not take the file back by itself."""
        node = make(FAN)
        node.clock.advance(11)
        node.runtime.shutdown()
        monkeypatch.setattr(Changing, "write", lambda self, text: None)
        node.path.write_text("data = 'data'\n[node")
        again = make("")
        again.clock.advance(6 * 3600)
        again.events.clear()
        again.clock.advance(86400)
        assert again.runtime.status()["degraded"] == ["node-file"]
        assert len(again.told(message.ComponentFailed)) == pytest.approx(24, abs=2)
        assert {each.payload.name for each in again.events} == {"component.failed", "part.retry"}
        assert len(again.told(ConfigFallback)) == 0

    def test_a_file_that_was_rolled_back(self, make: Make) -> None:
        """A file that was rolled back is not used at the next start either, until it changes."""
        node = make(FAN)
        node.clock.advance(11)
        node.reconfiguration._plug = lambda plan, ids: None
        assert node.reload(FAN + ROOM).result == "rolled_back"
        node.runtime.shutdown()
        again = make(FAN + ROOM)
        assert list(again.runtime.devices) == ["fan"]
        (told,) = again.told(ConfigFallback)
        assert "was rolled back" in told.problems[0]
        again.runtime.shutdown()
        last = make(FAN + ROOM + "# looked at\n")
        assert "room" in last.runtime.devices

    def test_a_remote_one_stays_until_the_file_changes(self, make: Make) -> None:
        """A remote configuration is used at the next start, unless the file is newer."""
        node = make(FAN)
        node.clock.advance(11)
        submit_remote(node, FAN + VENT)
        node.runtime.shutdown()
        again = make(FAN)
        assert again.config.show()["version"] == "7"
        assert sorted(again.runtime.devices) == ["fan", "vent"]
        assert again.reload(FAN).result == "rejected"
        assert again.reload(FAN + ROOM).result == "applied"
        again.runtime.shutdown()
        assert "vent" not in make(FAN + ROOM).runtime.devices

    def test_a_disk_that_fails_is_told(self, make: Make) -> None:
        """A last good configuration that cannot be kept is told; the node goes on."""
        node = make(FAN)
        (node.path.parent / "data").write_text("no folder")
        node.clock.advance(11)
        (told,) = node.told(ConfigKept)
        assert "data" in told.problem


def submit_remote(node: Changing, text: str) -> None:
    """Apply a configuration as one that came from afar."""
    from edgekernel.node.document import parse_toml
    from edgekernel.node.starting import read_document

    raw = parse_toml(HEAD + text, "remote")
    plan = read_document(node.path, raw, node.config.own)
    results: list[str] = []
    said = Proposal(lambda: plan, "7", "mqtt")
    node.config.submit(
        Wanted("remote", lambda: said, "abc", lambda verdict: results.append(verdict.result))
    )
    node.clock.advance(30)
    assert results == ["applied"]


def test_show_has_no_secrets(make: Make) -> None:
    """What the node says of its configuration has no password in it."""
    node = make(FAN + '[mqtt]\nhost = "h"\nusername = "u"\npassword = "hush"\n')
    shown = json.dumps(node.runtime.invoke("config.show"))
    assert "hush" not in shown
    assert '"***"' in shown

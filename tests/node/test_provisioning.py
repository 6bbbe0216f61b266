"""First boot: a configuration on the card becomes that of the node, all or nothing."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel.cli import image, main
from edgekernel.node import provisioning
from edgekernel.node.config_record import Kept, Record, RecordFile
from edgekernel.node.provisioning import provision, without_card
from edgekernel.node.starting import choose
from edgekernel.platform import card_folder, durable, erasing

NODE = '[node]\nname = "{name}"\nboard = "sim"\n[devices.pump]\ndriver = "relay"\npin = "GPIO17"\n'
SECRET = "s3cret"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Give the folder on the card."""
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "README.txt").write_text("Put the configuration here.")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Give the place of the configuration, empty."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "config"


def put(card: Path, name: str, text: str = NODE) -> None:
    """Put a configuration on the card, with a secret beside it."""
    (card / "node.toml").write_text(text.format(name=name))
    (card / "tls").mkdir(exist_ok=True)
    (card / "tls" / "node.key").write_text(SECRET)


def files(folder: Path) -> set[str]:
    """Return the names of all files below a folder."""
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def test_applied(card: Path, config: Path) -> None:
    """A good configuration is taken into use, for its owner alone, and is gone from the card,
    secrets included; the card says that it counts."""
    put(card, "first")
    done = provision(card, config)
    assert (done.outcome, done.plan and done.plan.name) == ("applied", "first")
    assert files(config) == {"node.toml", "tls/node.key"}
    assert all(each.stat().st_mode & 0o077 == 0 for each in [config, *config.rglob("*")])
    assert files(card) == {"README.txt", "APPLIED.txt"}
    assert "first runs with this configuration" in (card / "APPLIED.txt").read_text()


def test_nothing_new(card: Path, config: Path) -> None:
    """Without something new on the card everything stays; with nothing at all that is told."""
    assert provision(card, config).outcome == "empty"
    put(card, "first")
    provision(card, config)
    done = provision(card, config)
    assert (done.outcome, done.plan and done.plan.name) == ("unchanged", "first")


def test_refused(card: Path, config: Path) -> None:
    """A wrong one is left on the card with a file that says why, and the one before it goes on;
    mended, it is taken, and that file goes."""
    put(card, "first")
    provision(card, config)
    put(card, "second", NODE + 'pim = "GPIO18"\n')
    done = provision(card, config)
    assert (done.outcome, done.plan and done.plan.name) == ("refused", "first")
    assert any("pim" in each for each in done.problems)
    assert "pim" in (card / "PROBLEMS.txt").read_text()
    assert {"node.toml", "tls/node.key"} < files(card)
    put(card, "second")
    assert provision(card, config).outcome == "applied"
    assert files(card) == {"README.txt", "APPLIED.txt"}


def test_network_settings_are_not_the_nodes(card: Path, config: Path) -> None:
    """Network settings that were refused, in any spelling, stay on the card and do not come to the
    node, which is not to read their secret; a file of that name in a folder is the node's."""
    put(card, "first")
    (card / "Network.TOML").write_text(SECRET)
    (card / "NETWORK-PROBLEMS.txt").write_text("wrong")
    (card / "tls" / "README.txt").write_text("of the node")
    assert provision(card, config).outcome == "applied"
    assert files(config) == {"node.toml", "tls/node.key", "tls/README.txt"}
    assert files(card) == {"README.txt", "APPLIED.txt", "Network.TOML", "NETWORK-PROBLEMS.txt"}


def test_the_broker_is_not_the_nodes(card: Path, config: Path) -> None:
    """The folder of a broker that was refused, in any spelling, stays on the card and does not come
    to the node, which is not to read its secrets."""
    put(card, "first")
    (card / "Broker").mkdir()
    (card / "Broker" / "server.key").write_text(SECRET)
    (card / "BROKER-PROBLEMS.txt").write_text("wrong")
    assert provision(card, config).outcome == "applied"
    assert files(config) == {"node.toml", "tls/node.key"}
    assert files(card) == {
        "README.txt", "APPLIED.txt", "Broker/server.key", "BROKER-PROBLEMS.txt"
    }  # fmt: skip


def test_it_is_wrong_by_now(card: Path, config: Path) -> None:
    """A configuration that is in use already, and that this version refuses, is told as every other
    one that is wrong."""
    put(card, "first")
    provision(card, config)
    put(card, "first", NODE + 'pim = "GPIO18"\n')
    (config / "node.toml").write_text((card / "node.toml").read_text())
    done = provision(card, config)
    assert (done.outcome, done.plan) == ("refused", None)
    assert "pim" in (card / "PROBLEMS.txt").read_text()


def test_refused_at_first(card: Path, config: Path) -> None:
    """If the very first one is wrong there is no node, and it is told why."""
    put(card, "first", "[node\n")
    done = provision(card, config)
    assert (done.outcome, done.plan) == ("refused", None)
    assert not config.exists()


def test_nothing_is_left_on_the_card(card: Path, config: Path) -> None:
    """What was on the card is overwritten where it was, and not only unlinked: who has the card
    does not find a secret between the files of its file system."""
    put(card, "first")
    secret, node = card / "tls" / "node.key", card / "node.toml"
    sizes = (secret.stat().st_size, node.stat().st_size)
    with secret.open("rb") as key, node.open("rb") as text:
        provision(card, config)
        assert (key.read(), text.read()) == (bytes(sizes[0]), bytes(sizes[1]))


GOOD = NODE.format(name="proven").replace('board = "sim"', 'board = "sim"\ndata = "{data}"')


def remember(data: Path) -> None:
    """Let a node remember a configuration as its last good one."""
    data.mkdir(parents=True)
    text = GOOD.format(data=data)
    RecordFile(data).write(Record(Kept(tomllib.loads(text), "h", "file"), "d"))


DAMAGE = {
    "garbage": b"\x93\xff\0" * 50,
    "zeros": bytes(200),
    "empty": b"",
    "half": NODE.format(name="first").encode()[:40],
    "valid, and wrong": NODE.format(name="first").replace("relay", "no-such").encode(),
    "gone": None,
}


def damage(config: Path, data: bytes | None) -> None:
    """Let the node file that is kept be damaged."""
    if data is None:
        (config / "node.toml").unlink()
    else:
        (config / "node.toml").write_bytes(data)


class TestDamaged:
    """What is kept on the data partition is damaged: the last good configuration goes on."""

    @pytest.fixture(autouse=True)
    def taken(self, card: Path, config: Path) -> None:
        """Have a node that has taken its configuration, and has proven another one."""
        put(card, "first")
        provision(card, config)
        remember(config.with_name("state"))

    @pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE.keys())
    def test_the_last_good_one(self, card: Path, config: Path, data: bytes | None) -> None:
        """It is what the node starts with, and the card says that, and why."""
        damage(config, data)
        done = provision(card, config)
        assert (done.outcome, done.plan and done.plan.name) == ("damaged", "proven")
        assert done.last_good == config.with_name("state")
        assert "that is kept: " in done.problems[0]
        told = (card / "PROBLEMS.txt").read_text()
        assert "is damaged: put it here again" in told
        assert done.problems[0] in told
        put(card, "second")
        mended = provision(card, config)
        assert (mended.outcome, mended.last_good) == ("applied", None)
        assert not (card / "PROBLEMS.txt").exists()

    def test_where_the_file_says(self, card: Path, config: Path, tmp_path: Path) -> None:
        """A file that still says its data folder is believed."""
        remember(tmp_path / "elsewhere")
        damage(config, f'[node]\ndata = "{tmp_path / "elsewhere"}"\n[dev'.encode())
        assert provision(card, config).last_good == tmp_path / "elsewhere"

    def test_with_a_wrong_one_on_the_card(self, card: Path, config: Path) -> None:
        """A wrong one on the card changes nothing of that; both are told."""
        damage(config, DAMAGE["garbage"])
        put(card, "second", NODE + 'pim = "GPIO18"\n')
        done = provision(card, config)
        assert (done.outcome, done.plan and done.plan.name) == ("refused", "proven")
        told = (card / "PROBLEMS.txt").read_text()
        assert "pim" in told
        assert "that is kept: " in told

    def test_what_is_on_the_card_is_no_better(self, card: Path, config: Path) -> None:
        """If what is on the card is what is kept, and neither is right any more, that is told as a
        refusal, and the last good one goes on."""
        damage(config, DAMAGE["valid, and wrong"])
        (card / "node.toml").write_bytes((config / "node.toml").read_bytes())
        done = provision(card, config)
        assert (done.outcome, done.plan and done.plan.name) == ("refused", "proven")
        assert "no-such" in (card / "PROBLEMS.txt").read_text()
        assert (card / "node.toml").exists()

    def test_nothing_was_good(self, card: Path, config: Path) -> None:
        """Without a last good one there is no node, and it is told why."""
        RecordFile(config.with_name("state")).write(Record())
        damage(config, DAMAGE["garbage"])
        done = provision(card, config)
        assert (done.outcome, done.plan, done.last_good) == ("damaged", None, None)
        assert "that is kept: " in (card / "PROBLEMS.txt").read_text()

    def test_without_a_card(self, config: Path) -> None:
        """A card that cannot be read keeps the node neither from what is kept nor from the last
        good one."""
        failed = OSError(5, "Input/output error")
        done = without_card(config, failed)
        assert (done.outcome, done.plan and done.plan.name) == ("refused", "first")
        assert "Input/output error" in done.problems[0]
        damage(config, DAMAGE["garbage"])
        done = without_card(config, failed)
        assert (done.outcome, done.plan and done.plan.name) == ("refused", "proven")


class PowerCut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("call", range(1, 40))
def test_power_cut(card: Path, config: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power may go at every step: what counts then is the old or the new configuration, whole,
    and the next start brings the new one."""
    put(card, "first")
    provision(card, config)
    put(card, "second")
    steps, overwrite = 0, erasing.overwrite

    def half(path: object) -> None:
        assert isinstance(path, Path)
        data = path.read_bytes()
        path.write_bytes(bytes(len(data) // 2) + data[len(data) // 2 :])

    def cut(original: object) -> object:
        def step(*args: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps == call:
                if original is overwrite:
                    half(args[0])
                raise PowerCut
            assert callable(original)
            return original(*args, **options)

        return step

    with monkeypatch.context() as patched:
        for name in ("rename", "unlink", "mkdir", "rmdir"):
            patched.setattr(Path, name, cut(getattr(Path, name)))
        for module in (provisioning, card_folder):
            patched.setattr(module, "write_safely", cut(durable.write_safely))
            patched.setattr(module, "sync_folder", cut(durable.sync_folder))
        patched.setattr(erasing, "sync_folder", cut(durable.sync_folder))
        patched.setattr(erasing, "overwrite", cut(erasing.overwrite))
        try:
            provision(card, config)
        except PowerCut:
            pass
        else:
            assert steps < call  # all steps have been cut once
    done = provision(card, config)
    assert done.plan is not None
    assert done.plan.name == "second"
    assert files(config) == {"node.toml", "tls/node.key"}
    assert (config / "tls" / "node.key").read_text() == SECRET
    assert files(card) - {"APPLIED.txt", "PROBLEMS.txt"} == {"README.txt"}


def test_by_the_command(card: Path, config: Path, tmp_path: Path) -> None:
    """The command says what came of it, makes the unit of the node, and tells of a refusal by its
    exit code."""
    units = tmp_path / "units"
    arguments = ["--card", str(card), "--config", str(config), "--units", str(units)]
    empty = CliRunner().invoke(main, ["image", "provision", *arguments])
    assert (empty.exit_code, "no configuration yet" in empty.output) == (0, True)
    put(card, "broken", NODE + 'pim = "GPIO18"\n')
    refused = CliRunner().invoke(main, ["image", "provision", *arguments])
    assert (refused.exit_code, "pim" in refused.output) == (1, True)
    assert not (units / "edgekernel.service").exists()


def test_given_to_a_user(card: Path, config: Path, tmp_path: Path) -> None:
    """The configuration belongs to the user that the node runs as; one that is missing is told."""
    put(card, "first")
    user = pwd.getpwuid(os.getuid())
    places = ["--card", str(card), "--config", str(config), "--units", str(tmp_path)]
    nobody = CliRunner().invoke(main, ["image", "provision", *places, "--owner", "no-such-user"])
    assert (nobody.exit_code, "no user no-such-user" in nobody.output) == (1, True)
    if user.pw_uid == 0:
        user = pwd.getpwnam("nobody")
    CliRunner().invoke(main, ["image", "provision", *places, "--owner", user.pw_name])
    # What comes after that is refused here: a service has a /tmp of its own.
    owners = {(each.stat().st_uid, each.stat().st_gid) for each in (config, *config.rglob("*"))}
    assert owners == {(user.pw_uid, user.pw_gid)}


class TestUnit:
    """The unit that the command makes of it."""

    @pytest.fixture(autouse=True)
    def program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the command be where a service sees it, wherever these tests are."""
        monkeypatch.setattr(sys, "argv", ["/usr/bin/edgekernel"])

    @pytest.fixture
    def place(self) -> Iterator[Path]:
        """Give a folder that a service would see: it has a /tmp of its own."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            yield Path(folder)

    def provision(self, place: Path) -> str:
        """Provision by the command; return what it says."""
        places = [f"--{name}={place / name}" for name in ("card", "config", "units", "network")]
        return CliRunner().invoke(main, ["image", "provision", *places]).output

    def test_of_the_last_good_one(self, place: Path) -> None:
        """With a damaged file it is that of the last good one, told where that is; the agent of it
        starts with that, and the next right file takes it back."""
        (place / "card").mkdir()
        put(place / "card", "first")
        self.provision(place)
        unit = place / "units" / "edgekernel.service"
        told = place / "units" / "edgekernel.service.d" / "last-good.conf"
        assert ("node first" in unit.read_text(), told.exists()) == (True, False)
        remember(place / "state")
        damage(place / "config", DAMAGE["garbage"])
        said = self.provision(place)
        assert "starts with its last good configuration" in said
        assert "that is kept: " in said
        assert "node proven" in unit.read_text()
        assert f"ReadWritePaths=-{place / 'state'}" in unit.read_text()
        line = told.read_text().splitlines()[-1]
        name, _, value = line.removeprefix('Environment="').removesuffix('"').partition("=")
        start = choose(place / "config" / "node.toml", environ={name: value})
        assert (start.source, start.plan.name) == ("last good", "proven")
        put(place / "card", "second")
        self.provision(place)
        assert ("node second" in unit.read_text(), told.exists()) == (True, False)

    def test_the_led(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An LED that does not show how it went is told on the console; it changes nothing else."""
        led = place / "leds" / "ACT"
        led.mkdir(parents=True)
        (led / "trigger").symlink_to("/dev/null")
        (place / "card").mkdir()
        put(place / "card", "first")
        monkeypatch.setattr(image, "LED_CLASS", led.parent)
        said = self.provision(place)
        assert "edgekernel: the LED ACT does not show it: heartbeat was not taken\n" in said
        assert (place / "units" / "edgekernel.service").exists()

    def test_a_card_that_fails(self, place: Path) -> None:
        """A card that cannot be read leaves the unit of what is kept."""
        (place / "card").mkdir()
        put(place / "card", "first")
        self.provision(place)
        unit = place / "units" / "edgekernel.service"
        unit.unlink()
        put(place / "card", "second")
        (place / "card" / "app.py").symlink_to("/proc/self/mem")  # fails as a bad block does: EIO
        said = self.provision(place)
        assert "could not be taken: [Errno 5]" in said
        assert "node first" in unit.read_text()

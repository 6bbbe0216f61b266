"""First boot: a configuration on the card becomes that of the node, all or nothing."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekernel.cli import main
from edgekernel.node import provisioning
from edgekernel.node.provisioning import provision
from edgekernel.platform import card_folder, durable

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


class PowerCut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("call", range(1, 40))
def test_power_cut(card: Path, config: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power may go at every step: what counts then is the old or the new configuration, whole,
    and the next start brings the new one."""
    put(card, "first")
    provision(card, config)
    put(card, "second")
    steps = 0

    def cut(original: object) -> object:
        def step(*args: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps == call:
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
    assert "tls/node.key" not in files(card)


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

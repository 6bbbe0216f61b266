"""`edgekernel image`: what is to go to a card is checked on any computer."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel.cli import main
from edgekernel.mqtt.site import Site

NODE = '[node]\nname = "shed"\nboard = "sim"\n[devices.pump]\ndriver = "relay"\npin = "GPIO17"\n'
NETWORK = '[ethernet]\naddress = "192.168.1.20/24"\n'


def check(folder: Path) -> Result:
    """Check a folder."""
    return CliRunner().invoke(main, ["image", "check", str(folder)])


def test_checked(tmp_path: Path) -> None:
    """Both files are checked, or the one that is there."""
    (tmp_path / "network.toml").write_text(NETWORK)
    alone = check(tmp_path)
    assert (alone.exit_code, alone.output) == (0, "network.toml: nothing is wrong\n")
    (tmp_path / "node.toml").write_text(NODE)
    both = check(tmp_path)
    assert (both.exit_code, both.output) == (0, "node.toml and network.toml: nothing is wrong\n")


def test_mistakes_of_both(tmp_path: Path) -> None:
    """The mistakes of both files are told at once."""
    (tmp_path / "node.toml").write_text(NODE.replace("pin", "pim"))
    (tmp_path / "network.toml").write_text(NETWORK.replace("/24", ""))
    done = check(tmp_path)
    assert done.exit_code == 1
    assert "pim" in done.output
    assert 'network.toml: ethernet.address: "192.168.1.20"' in done.output


def test_a_broker(tmp_path: Path) -> None:
    """The folder of a broker is checked as well: it has to be for its place on the image."""
    site = Site.make(tmp_path / "site", ["localhost"], at="/data/broker")
    card = tmp_path / "card"
    shutil.copytree(site.broker_folder, card / "broker")
    (card / "network.toml").write_text(NETWORK)
    (card / "node.toml").write_text(NODE)
    done = check(card)
    assert done.output == "node.toml, network.toml and broker: nothing is wrong\n"
    site.rewrite("", at="/etc/site")
    shutil.copytree(site.broker_folder, card / "broker", dirs_exist_ok=True)
    (card / "node.toml").write_text(NODE.replace("pin", "pim"))
    wrong = check(card)
    assert wrong.exit_code == 1
    assert "pim" in wrong.output
    assert "/etc/site/acl, and not /data/broker/acl" in wrong.output


class Board:
    """The folders of a board that has an image, and what a start does with them."""

    def __init__(self, folder: Path) -> None:
        self.card, self.broker = folder / "card", folder / "data" / "broker"
        (self.card / "broker").mkdir(parents=True)
        self.broker.parent.mkdir()
        self.user = pwd.getpwnam("nobody" if os.geteuid() == 0 else pwd.getpwuid(os.getuid())[0])

    def put(self, site: Site) -> None:
        """Put the broker's part of a site on the card."""
        shutil.copytree(site.broker_folder, self.card / "broker", dirs_exist_ok=True)

    def start(self, owner: str = "") -> Result:
        """Take what is on the card, as at a start."""
        places = {
            "card": self.card,
            "config": self.broker.parent / "config",
            "units": self.card.parent / "units",
            "broker": self.broker,
            "broker-owner": owner or self.user.pw_name,
        }
        options = [f"--{name}={value}" for name, value in places.items()]
        return CliRunner().invoke(main, ["image", "provision", *options], env={"COLUMNS": "300"})


@pytest.fixture
def board(tmp_path: Path) -> Board:
    """Give a board that was never started."""
    return Board(tmp_path)


@pytest.fixture
def site(tmp_path: Path, board: Board) -> Site:
    """Give a site whose broker is to be on that board."""
    return Site.make(tmp_path / "site", ["localhost"], at=str(board.broker))


def test_a_broker_is_taken(board: Board, site: Site) -> None:
    """At a start the broker's files go to the data partition and belong to the broker alone, its
    memory too; no more of the site is there, and nothing on the card. So they do with new users."""
    board.put(site)
    done = board.start()
    assert (done.exit_code, "was taken into use" in done.output) == (0, True)
    assert list(board.card.iterdir()) == []
    site.add_user("alice", "operator")
    (board.card / "broker").mkdir()
    board.put(site)
    (board.broker / "data" / "mosquitto.db").write_text("retained")
    (board.broker / "data" / "trap").symlink_to(site.folder / "site.json")
    assert board.start().exit_code == 0
    assert "user alice" in (board.broker / "acl").read_text()
    assert (board.broker / "data" / "mosquitto.db").read_text() == "retained"
    everything = [board.broker, *board.broker.rglob("*")]
    owners = {(each.lstat().st_uid, each.lstat().st_gid) for each in everything}
    assert owners == {(board.user.pw_uid, board.user.pw_gid)}
    assert {each.name for each in board.broker.iterdir()} == {
        "ca.crt", "server.crt", "server.key", "revoked.crl", "acl", "passwords", "mosquitto.conf",
        "data",
    }  # fmt: skip
    assert (site.folder / "site.json").stat().st_uid == os.geteuid()  # the link was not followed
    key = (site.folder / "authority" / "ca.key").read_bytes()
    assert not [each for each in everything if each.is_file() and key in each.read_bytes()]


def test_a_broker_that_is_wrong(board: Board, site: Site) -> None:
    """A wrong one is told by the exit code, on the console and beside it, and what was before goes
    on; the node is taken all the same, without the broker's secrets."""
    board.put(site)
    board.start()
    shutil.copytree(site.folder, board.card / "broker")
    (board.card / "node.toml").write_text(NODE)
    done = board.start()
    assert done.exit_code == 1
    assert "broker/authority/ca.key: it is no file of the broker's" in done.output
    assert "whole site" in (board.card / "BROKER-PROBLEMS.txt").read_text()
    assert (board.broker / "mosquitto.conf").is_file()
    assert [each.name for each in (board.broker.parent / "config").iterdir()] == ["node.toml"]


def test_an_image_without_a_broker(board: Board, site: Site) -> None:
    """An image that has no mosquitto says so."""
    board.put(site)
    done = board.start(owner="no-such-user")
    assert done.exit_code == 1
    assert "there is no mosquitto on this image" in done.output
    assert not board.broker.exists()
    assert board.start().exit_code == 0


def test_a_card_that_fails(board: Board, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the card cannot be read that is told, and the node is started all the same."""
    board.put(site)
    (board.card / "node.toml").write_text(NODE)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("edgekernel.cli.image_broker.take_broker", fail)
    done = board.start()
    assert (done.exit_code, "broker/ could not be taken" in done.output) == (1, True)
    assert "the configuration in" in done.output


def test_nothing_to_check(tmp_path: Path) -> None:
    """A folder without either is refused, and what it lacks is named."""
    done = check(tmp_path)
    assert (
        done.exit_code,
        "neither node.toml nor network.toml nor a folder broker" in done.output,
    ) == (1, True)

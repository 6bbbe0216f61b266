"""With which configuration a node starts, and with which it may have ended."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edgekernel.core.errors import ConfigError
from edgekernel.node.config_record import Judged, Kept, Record, RecordFile, digest_of
from edgekernel.node.starting import choose, data_folder, plans_of_the_end
from tests.node.changing import FAN, HEAD, ROOM, VENT

LAMP = '[devices.lamp]\ndriver = "led"\npin = "GPIO22"\n'


def kept(text: str, source: str = "file", version: str = "") -> Kept:
    """Return a configuration that has proven itself."""
    return Kept(tomllib.loads(HEAD + text), "h", source, version)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a node file with a fan."""
    made = tmp_path / "node.toml"
    made.write_text(HEAD + FAN)
    return made


def remember(path: Path, record: Record) -> None:
    """Write what the node remembers."""
    RecordFile(path.parent / "data").write(record)


def test_the_file(path: Path) -> None:
    """Without anything else it is the file, whatever was good before."""
    remember(path, Record(kept(VENT), "another"))
    start = choose(path)
    assert (start.source, [each.id for each in start.plan.devices]) == ("file", ["fan"])


def test_a_remote_one_that_cannot_be_used_any_more(path: Path) -> None:
    """A remote configuration whose driver has been removed: the file is used, and it is told."""
    gone = kept(VENT.replace("relay", "gone"), "remote", "7")
    remember(path, Record(gone, digest_of(path.read_bytes())))
    start = choose(path)
    assert start.source == "file"
    assert "the remote configuration 7 cannot be used any more" in start.problems[0]


def test_nothing_is_good(path: Path) -> None:
    """Where neither the file nor what was kept is any good, both are told."""
    remember(path, Record(kept(FAN.replace("relay", "gone"))))
    path.write_text(HEAD + "[devices]\nfan = 3\n")
    with pytest.raises(ConfigError) as caught:
        choose(path)
    assert any("devices.fan" in each for each in caught.value.problems)
    assert caught.value.problems[-1].startswith("and the last good configuration: ")


def test_a_simulated_run_has_its_own(path: Path) -> None:
    """A simulated node does not see, and not touch, what the real one has kept."""
    remember(path, Record(kept(VENT, "remote", "7"), digest_of(path.read_bytes())))
    assert choose(path).source == "remote"
    assert choose(path, simulated=True).source == "file"


class TestTheEnd:
    """P8: after an end every output is found that may be on."""

    def ids(self, path: Path) -> list[list[str]]:
        """Return the devices of each plan."""
        return [[each.id for each in plan.devices] for plan in plans_of_the_end(path)]

    def test_only_the_file(self, path: Path) -> None:
        """If the node ran what the file says, no other device is looked at."""
        remember(path, Record(kept(FAN)))
        assert self.ids(path) == [["fan"], ["fan"], ["fan"]]

    def test_a_file_that_was_changed_and_not_applied(self, path: Path) -> None:
        """What the node ran is found though the file does not have it any more."""
        remember(path, Record(kept(FAN.replace("GPIO17", "GPIO5") + VENT + ROOM)))
        assert self.ids(path) == [["fan"], ["fan"], ["fan", "vent", "room"]]

    def test_what_was_on_trial(self, path: Path) -> None:
        """What was on trial when the agent was killed is found, beside what it ran before."""
        remote, trial = kept(VENT, "remote", "7"), tomllib.loads(HEAD + VENT + LAMP)
        tried = Judged("d", "trying", "8")
        digest = digest_of(path.read_bytes())
        remember(path, Record(remote, digest, desired=tried, trial=trial))
        assert self.ids(path) == [["vent"], ["fan"], ["vent"], ["vent", "lamp"]]

    def test_where_a_damaged_file_keeps_its_data(self, path: Path, tmp_path: Path) -> None:
        """The data folder is found as far as a damaged file can be read, else the service's; what
        the environment says counts first."""
        service = {"STATE_DIRECTORY": "/var/lib/edgekernel"}
        path.write_text('[node]\ndata = "kept"\n[devices')
        assert data_folder(path, service) == tmp_path / "kept"
        assert data_folder(path, {"EDGEKERNEL_NODE_DATA": "/srv/kept"}) == Path("/srv/kept")
        path.write_text("[devices")
        assert data_folder(path, service) == Path("/var/lib/edgekernel")
        assert data_folder(path, {}) is None

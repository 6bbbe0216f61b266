"""Network settings on the card are taken, all or nothing; wrong ones are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekernel.platform import durable, erasing, network_card
from edgekernel.platform.__main__ import main
from edgekernel.platform.network_card import kept_network, still_there, take_network
from edgekernel.platform.network_files import ETHERNET, SUPPLICANT

SECRET = "correct horse"
TEXT = '[wifi]\nssid = "{ssid}"\ncountry = "DE"\npassphrase = "correct horse"\n'


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """Give the folder on the card."""
    folder = tmp_path / "card"
    folder.mkdir()
    return folder


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Give the place where settings are kept, which is not there yet."""
    return tmp_path / "data" / "network"


def put(card: Path, ssid: str, text: str = TEXT) -> None:
    """Put settings on the card."""
    (card / "network.toml").write_text(text.format(ssid=ssid))


def ssid_of(kept: Path) -> str | None:
    """Return the network that counts."""
    network = kept_network(kept)
    return None if network is None or network.wifi is None else network.wifi.ssid


def names(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {each.name for each in folder.iterdir()}


def test_applied(card: Path, kept: Path) -> None:
    """Right ones are kept for root alone and are gone from the card, with their secret."""
    assert (take_network(card, kept).outcome, ssid_of(kept)) == ("empty", None)
    put(card, "plant")
    taken = take_network(card, kept)
    assert (taken.outcome, taken.problems, ssid_of(kept)) == ("applied", (), "plant")
    assert names(card) == set()
    assert names(kept) == {"network.toml"}
    assert [each.stat().st_mode & 0o077 for each in (kept, kept / "network.toml")] == [0, 0]
    assert take_network(card, kept).outcome == "unchanged"


def test_nothing_is_left_on_the_card(card: Path, kept: Path) -> None:
    """The passphrase is overwritten where it was, and not only unlinked."""
    put(card, "plant")
    with (card / "network.toml").open("rb") as file:
        take_network(card, kept)
        assert file.read() == bytes(len(TEXT.format(ssid="plant")))


def test_refused(card: Path, kept: Path) -> None:
    """Wrong ones stay on the card with a file that says why, and what was set before goes on;
    mended, they are taken, and that file goes."""
    put(card, "plant")
    take_network(card, kept)
    put(card, "other", TEXT.replace("DE", "Germany"))
    taken = take_network(card, kept)
    assert (taken.outcome, ssid_of(kept)) == ("refused", "plant")
    assert taken.network == kept_network(kept)
    told = (card / "NETWORK-PROBLEMS.txt").read_text()
    assert 'network.toml: wifi.country: "Germany": two capital letters' in told
    assert SECRET not in told
    put(card, "other")
    assert still_there(card)
    assert (take_network(card, kept).outcome, ssid_of(kept)) == ("applied", "other")
    assert not still_there(card)
    assert names(card) == set()


def test_what_is_kept_is_damaged(card: Path, kept: Path) -> None:
    """If what is kept cannot be read that is told, and nothing is set: Ethernet with DHCP."""
    kept.mkdir(parents=True)
    (kept / "network.toml").write_bytes(b"\0" * 100)
    taken = take_network(card, kept)
    assert (taken.outcome, taken.network) == ("refused", None)
    assert taken.problems


class PowerCut(BaseException):
    """The power is gone."""


@pytest.mark.parametrize("call", range(1, 14))
def test_power_cut(card: Path, kept: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power may go at every step, and while a file is written: what counts then is the old or
    the new one, whole, and the next start brings the new one."""
    put(card, "plant")
    take_network(card, kept)
    put(card, "wrong", TEXT.replace("DE", "Germany"))
    take_network(card, kept)
    put(card, "other")
    steps = 0

    def cut(original: object) -> object:
        def step(*args: object, **options: object) -> object:
            nonlocal steps
            steps += 1
            if steps == call:
                if original is durable.write_safely:
                    path, data = args
                    assert isinstance(path, Path)
                    assert isinstance(data, bytes)
                    path.write_bytes(data[: len(data) // 2])
                raise PowerCut
            assert callable(original)
            return original(*args, **options)

        return step

    with monkeypatch.context() as patched:
        for name in ("rename", "unlink", "mkdir"):
            patched.setattr(Path, name, cut(getattr(Path, name)))
        for name in ("write_safely", "sync_folder"):
            patched.setattr(network_card, name, cut(getattr(durable, name)))
        patched.setattr(erasing, "sync_folder", cut(durable.sync_folder))
        patched.setattr(erasing, "overwrite", cut(erasing.overwrite))
        try:
            take_network(card, kept)
        except PowerCut:
            pass
        else:
            assert steps == 10 < call  # all steps have been cut once
    assert ssid_of(kept) in ("plant", "other")
    assert take_network(card, kept).network == kept_network(kept)
    assert ssid_of(kept) == "other"
    assert names(card) == set()


def test_by_the_command(card: Path, kept: Path, tmp_path: Path) -> None:
    """At a start the settings are taken and written for networkd and wpa_supplicant, with a name of
    the computer if they have one; what is wrong is told by the exit code, and the rest goes on."""
    run = tmp_path / "run"
    command = ["--card", str(card), "--kept", str(kept), "--run", str(run)]
    assert main(["network", *command]) == 0
    assert not (run / ETHERNET).exists()
    put(card, "plant")
    assert main(["network", *command]) == 0
    assert (run / SUPPLICANT).exists()
    put(card, "other", TEXT.replace("DE", "Germany"))
    assert main(["network", *command]) == 1
    assert b"plant".hex() in (run / SUPPLICANT).read_text()


def test_a_card_that_fails(
    card: Path, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """If the card cannot be read or written, what is kept goes on, and that is told."""
    put(card, "plant")
    take_network(card, kept)
    put(card, "other")

    def fail(data: bytes) -> None:
        raise OSError(5, "Input/output error")

    run = tmp_path / "run"
    monkeypatch.setattr(network_card, "parse_network", fail)
    assert main(["network", "--card", str(card), "--kept", str(kept), "--run", str(run)]) == 1
    assert "could not be taken: [Errno 5]" in capsys.readouterr().err
    assert b"plant".hex() in (run / SUPPLICANT).read_text()


def test_it_imports_little() -> None:
    """The network waits for this command at every start: it imports neither the node nor its
    libraries."""
    heavy = {"click", "edgekernel.node", "pydantic", "rich", "asyncio", "ssl"}
    script = "import sys, edgekernel.platform.__main__; print(*sys.modules)"
    said = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert heavy & set(said.split()) == set()

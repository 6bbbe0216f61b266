"""`edgekernel image`: what is to go to a card is checked on any computer."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from edgekernel.cli import main

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


def test_nothing_to_check(tmp_path: Path) -> None:
    """A folder without either is refused, and what it lacks is named."""
    done = check(tmp_path)
    assert (done.exit_code, "neither node.toml nor network.toml" in done.output) == (1, True)

"""The network settings on the card become those of the computer, all or nothing.

`network.toml` beside the node file is checked, kept where root alone can read it, and erased from
the card. One that is wrong is left there with a file that says why, and what was set before goes
on; Ethernet with DHCP, if that was nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.erasing import erase
from edgekernel.platform.network import NETWORK_FILE, Network, load_network, parse_network

NETWORK_PROBLEMS = "NETWORK-PROBLEMS.txt"


@dataclass(frozen=True, slots=True)
class Taken:
    """What counts from now on, None for nothing; and what was wrong.

    `outcome` is "applied", "refused", "unchanged" (nothing new was on the card) or "empty" (and
    there is nothing from before).
    """

    outcome: str
    network: Network | None
    problems: tuple[str, ...] = ()


def take_network(card: Path, kept: Path) -> Taken:
    """Take `network.toml` from the folder `card` into the folder `kept`.

    What is kept is the old file or the new one, also if the power goes, and the next call finishes
    what it has interrupted. Raises OSError if the disk fails.
    """
    source = card / NETWORK_FILE
    if not source.is_file():
        erase(card)  # what a loss of power has left
        return _as_before(kept)
    data = source.read_bytes()
    try:
        network = parse_network(data)
    except ConfigError as error:
        write_safely(card / NETWORK_PROBLEMS, _explained(error.problems))
        return Taken("refused", _as_before(kept).network, error.problems)
    _keep(data, kept)
    (card / NETWORK_PROBLEMS).unlink(missing_ok=True)
    erase(card, [source])  # last: while it is there, all of this is done once more
    sync_folder(card)
    return Taken("applied", network)


def still_there(card: Path) -> bool:
    """Say whether network settings are on the card: after `take_network` these were refused."""
    return (card / NETWORK_FILE).exists()


def kept_network(kept: Path) -> Network | None:
    """Return the settings that are kept. Raises ConfigError if they are damaged, and OSError."""
    path = kept / NETWORK_FILE
    return load_network(path) if path.is_file() else None


def _as_before(kept: Path) -> Taken:
    try:
        network = kept_network(kept)
    except ConfigError as error:
        return Taken("refused", None, error.problems)
    return Taken("empty" if network is None else "unchanged", network)


def _keep(data: bytes, kept: Path) -> None:
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = kept / f"{NETWORK_FILE}.new"
    write_safely(new, data)
    new.rename(kept / NETWORK_FILE)
    sync_folder(kept)


def _explained(problems: tuple[str, ...]) -> bytes:
    head = (
        "These network settings were not taken; what was set before goes on, or Ethernet with\n"
        "DHCP if nothing was.\n"
    )
    return "\n".join([head, *problems, ""]).encode()

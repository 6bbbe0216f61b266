"""`python -m edgekernel.platform`: what the image does at each start, below the node.

    network     takes network.toml from the card, and writes what networkd and wpa_supplicant read
    grow PART   lets the partition PART, the last one of its disk, take the rest of it

These are no commands of `edgekernel`, which imports more than the network should wait for.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
from pathlib import Path

from edgekernel.platform.data_partition import TableError, grow_partition, place_of
from edgekernel.platform.network_card import Taken, kept_network, take_network
from edgekernel.platform.network_files import write_network_files

CARD = Path("/boot/firmware/edgekernel")
KEPT = Path("/data/network")
"""Root's alone: the agent may not set what root takes into use."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 1 if something on the card is wrong, or the disk fails."""
    parser = argparse.ArgumentParser(
        prog="python -m edgekernel.platform",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    network = commands.add_parser("network")
    network.add_argument("--card", type=Path, default=CARD)
    network.add_argument("--kept", type=Path, default=KEPT)
    network.add_argument("--run", type=Path, default=Path("/run"))
    grow = commands.add_parser("grow")
    grow.add_argument("partition", type=Path)
    given = parser.parse_args(arguments)
    if given.command == "grow":
        return _grow(given.partition)
    return _network(given.card, given.kept, given.run)


def _network(card: Path, kept: Path, run: Path) -> int:
    try:
        taken = take_network(card, kept)
    except OSError as error:  # the card fails: what is kept may still be right
        taken = _without_card(error, kept)
    write_network_files(taken.network, run)
    if taken.network is not None and taken.network.hostname is not None:
        socket.sethostname(taken.network.hostname)
    if taken.outcome == "applied":
        _tell(f"the network settings in {card} were taken into use")
    if taken.problems:
        _warn("\n".join(["network settings were refused:", *taken.problems]))
    return 1 if taken.problems else 0


def _without_card(error: OSError, kept: Path) -> Taken:
    problem = f"the network settings on the card could not be taken: {error}"
    try:
        return Taken("refused", kept_network(kept), (problem,))
    except (OSError, ValueError) as damaged:
        return Taken("refused", None, (problem, str(damaged)))


def _grow(partition: Path) -> int:
    try:
        disk, number = place_of(partition)
        grown = grow_partition(disk, number)
    except (OSError, TableError) as error:
        _warn(f"{partition} keeps its size: {error}")
        return 1
    if grown:
        # The table counts from the next start on if the kernel cannot be told now.
        told = subprocess.run(["partx", "--update", "--nr", str(number), str(disk)], check=False)
        if told.returncode:
            _warn(f"{disk} is grown at the next start")
        else:
            _tell(f"partition {number} of {disk} takes the rest of it now")
    return 0


def _tell(text: str) -> None:
    sys.stdout.write(f"edgekernel: {text}\n")


def _warn(text: str) -> None:
    sys.stderr.write(f"edgekernel: {text}\n")


if __name__ == "__main__":
    sys.exit(main())

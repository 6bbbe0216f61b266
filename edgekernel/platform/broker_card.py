"""The folder on the card that a broker on this computer gets its files from.

It is the folder `broker` of a site (`edgekernel broker init --at`), beside the node file, and is
taken all or nothing. One that is wrong is left on the card with a file that says why, and the
broker before it goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.platform.card_folder import finish_taking, remove_files, take_folder
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.erasing import erase

BROKER_FOLDER = "broker"
BROKER_PROBLEMS = "BROKER-PROBLEMS.txt"
BROKER_CONF = "mosquitto.conf"
BROKER_FILES = (
    "ca.crt", "server.crt", "server.key", "revoked.crl", "acl", "passwords", BROKER_CONF,
)  # fmt: skip
BROKER_MEMORY = "data"
"""What the broker itself writes, beside its files: it outlives them."""


@dataclass(frozen=True, slots=True)
class BrokerTaken:
    """What came of it, and what was wrong.

    `outcome` is "applied", "refused", "unchanged" (nothing new was on the card) or "empty" (and
    there is no broker from before).
    """

    outcome: str
    problems: tuple[str, ...] = ()


def take_broker(card: Path, kept: Path, check: Callable[[Path], object]) -> BrokerTaken:
    """Take the folder `broker` from the folder `card` into the folder `kept`.

    What is kept is the old one or the new one, also if the power goes, and the next call finishes
    what it has interrupted. `check` raises ConfigError for a folder that is wrong. Raises OSError
    if the disk fails.
    """
    finish_taking(kept, [BROKER_MEMORY])
    source = card / BROKER_FOLDER
    try:
        names = broker_files(source)
        if not names:
            erase(source)  # what a loss of power has left
            return BrokerTaken("unchanged" if (kept / BROKER_CONF).is_file() else "empty")
        take_folder(source, names, kept, check, [BROKER_MEMORY])
    except ConfigError as error:
        write_safely(card / BROKER_PROBLEMS, _explained(error.problems))
        return BrokerTaken("refused", error.problems)
    remove_files(source, names, Path(BROKER_CONF))
    shutil.rmtree(source)
    (card / BROKER_PROBLEMS).unlink(missing_ok=True)
    sync_folder(card)
    return BrokerTaken("applied")


def broker_files(folder: Path) -> list[Path]:
    """Return the names of the files in a folder `broker`, but for those that begin with a dot;
    none if there is no such folder.

    Raises ConfigError for files that are none of the broker's: they are not even copied.
    """
    files = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [name for name in files if not name.name.startswith(".")]
    problems = [
        f"{BROKER_FOLDER}/{name}: it is no file of the broker's"
        for name in names
        if str(name) not in BROKER_FILES
    ]
    if any(name.name in ("site.json", "ca.key") for name in names):
        problems.append(
            f"{BROKER_FOLDER}/: this is a whole site; only the folder {BROKER_FOLDER}/ in it goes "
            "to the card, and the key of its authority to no board"
        )
    if problems:
        raise ConfigError(*problems)
    return names


def _explained(problems: tuple[str, ...]) -> bytes:
    head = "This folder of a broker was not taken; the broker before it, if any, goes on.\n"
    return "\n".join([head, *problems, ""]).encode()

"""The broker on the image: its files come from the card, as those of the node do."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import click

from edgekernel.cli.console import out
from edgekernel.core.errors import ConfigError
from edgekernel.platform.broker_card import (
    BROKER_CONF,
    BROKER_FOLDER,
    BROKER_MEMORY,
    BrokerTaken,
    take_broker,
)

BROKER_PLACE = Path("/data/broker")
"""Where the image has the broker's files: what `edgekernel broker init --at` is to say."""
BROKER_USER = "mosquitto"


def check_broker(folder: Path, place: Path = BROKER_PLACE) -> None:
    """Check a folder for the card, which is to be the folder `place`.

    Raises ConfigError, and ImportError without the package cryptography.
    """
    from edgekernel.mqtt.site.broker_part import check_broker_part

    check_broker_part(folder, place)


def provision_broker(card: Path, place: Path, owner: str) -> bool:
    """Take the folder of the broker from the card, and say on the console what came of it.

    What is kept belongs to the user `owner` alone. Returns whether nothing was wrong.
    """
    try:
        taken = take_broker(card, place, lambda folder: _check(folder, place, owner))
        if (place / BROKER_CONF).is_file() and _is_user(owner):
            (place / BROKER_MEMORY).mkdir(mode=0o700, exist_ok=True)
            give(place, owner)
    except OSError as error:  # the card fails, and the broker from before may still be right
        taken = BrokerTaken("refused", (f"{BROKER_FOLDER}/ could not be taken: {error}",))
    if taken.outcome == "applied":
        out.print(f"edgekernel: the broker in {card / BROKER_FOLDER} was taken into use")
    if taken.problems:
        lines = ["edgekernel: the broker was refused:", *taken.problems]
        click.echo("\n".join(lines), err=True)
    return not taken.problems


def give(folder: Path, owner: str) -> None:
    """Give a folder to a user and its group, before whoever has to read it is started."""
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        raise OSError(f"there is no user {owner}") from None
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _check(folder: Path, place: Path, owner: str) -> None:
    if not _is_user(owner):
        raise ConfigError(
            f"{BROKER_FOLDER}/: there is no mosquitto on this image; build it with --with-broker"
        )
    check_broker(folder, place)


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True

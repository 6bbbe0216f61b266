"""`edgekernel image`: what the flashable image does with itself."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import click

from edgekernel.cli.console import fail, out
from edgekernel.cli.exits import Exit
from edgekernel.cli.image_broker import (
    BROKER_PLACE,
    BROKER_USER,
    check_broker,
    give,
    provision_broker,
)
from edgekernel.cli.image_trial import confirm
from edgekernel.cli.image_update import note_boot, update
from edgekernel.core.errors import ConfigError
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.provisioning import NODE_FILE, Provisioned, provision, without_card
from edgekernel.node.unit import Unit
from edgekernel.node.update_state import STATE_FILE
from edgekernel.platform.broker_card import BROKER_FOLDER
from edgekernel.platform.network import NETWORK_FILE, load_network
from edgekernel.platform.network_card import kept_network, still_there
from edgekernel.platform.status_led import LED_CLASS, show_led

_LAST_GOOD = """\
# Written by `edgekernel image provision`: the node file is damaged, and does not say where the last
# good configuration is.
[Service]
Environment="EDGEKERNEL_NODE_DATA={folder}"
"""


@click.group()
def image() -> None:
    """Do what the flashable image needs: it calls these itself."""


image.add_command(confirm)
image.add_command(update)


@image.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def check(folder: Path) -> None:
    """Check on any computer what is to go to the card: the files in FOLDER.

    Looks at node.toml, network.toml and the folder broker as the image will; one of them is enough.
    Exits with 1 if something is wrong.
    """
    checks: dict[str, Callable[[Path], object]] = {
        NODE_FILE: make_plan,
        NETWORK_FILE: load_network,
        BROKER_FOLDER: check_broker,
    }
    there = [name for name in (NODE_FILE, NETWORK_FILE) if (folder / name).is_file()]
    there += [BROKER_FOLDER] if (folder / BROKER_FOLDER).is_dir() else []
    if not there:
        files = f"neither {NODE_FILE} nor {NETWORK_FILE} nor a folder {BROKER_FOLDER}"
        fail(Exit.REFUSED, [f"{folder}: there is {files}"])
    problems: list[str] = []
    for name in there:
        try:
            checks[name](folder / name)
        except ConfigError as error:
            problems += error.problems
        except ImportError as error:
            problems.append(f"{name}: {error}")
    if problems:
        fail(Exit.REFUSED, problems)
    out.print(f"{', '.join(there[:-1])}{' and ' * (len(there) > 1)}{there[-1]}: nothing is wrong")


@image.command("provision")
@click.option("--card", type=click.Path(path_type=Path), default="/boot/firmware/edgekernel")
@click.option("--config", type=click.Path(path_type=Path), default="/data/edgekernel/config")
@click.option("--units", type=click.Path(path_type=Path), default="/run/systemd/system")
@click.option("--network", type=click.Path(path_type=Path), default="/data/network")
@click.option("--broker", type=click.Path(path_type=Path), default=BROKER_PLACE)
@click.option("--owner", help="Give the configuration to the user NAME.", metavar="NAME")
@click.option(
    "--broker-owner",
    help="Give the broker's files to the user NAME.",
    metavar="NAME",
    default=BROKER_USER,
    show_default=True,
)
@click.option("--start", is_flag=True, help="Let systemd start the node.")
@click.option("--updates", type=click.Path(path_type=Path), default=STATE_FILE)
def provision_(
    card: Path,
    config: Path,
    units: Path,
    network: Path,
    broker: Path,
    owner: str | None,
    broker_owner: str,
    start: bool,
    updates: Path,
) -> None:
    """Take the configuration on the card into use, and make the unit of the node.

    Exits with 1 if the configuration on the card was refused; the one before it goes on then, or
    the last good one if that is damaged. The network settings have been taken before, by `python -m
    edgekernel.platform network`; one that is still on the card was refused. The folder broker
    is taken by itself too, before the node, which may want that broker.
    """
    broker_is_good = provision_broker(card, broker, broker_owner)
    if start:  # this is the start of the computer, and the agent is to know why it starts
        note_boot(updates)
    try:
        done = provision(card, config)
    except OSError as error:
        done = without_card(config, error)
    try:
        if owner is not None and config.exists():
            give(config, owner)
    except OSError as error:
        _show(good=False)
        fail(Exit.REFUSED, [f"the configuration could not be given to {owner}: {error}"])
    _say(done, card)
    if done.plan is not None:
        _make_unit(done, done.plan, config, units)
        if start:
            _start(done.plan, network)
    is_good = not done.problems and broker_is_good
    _show(good=is_good and done.plan is not None and not still_there(card))
    if not is_good:
        raise click.exceptions.Exit(Exit.REFUSED)


def _say(done: Provisioned, card: Path) -> None:
    match done.outcome:
        case "applied":
            out.print(f"edgekernel: the configuration in {card} was taken into use")
        case "refused" | "damaged":
            verb = "was" if done.outcome == "refused" else "is"
            head = f"edgekernel: the configuration {verb} {done.outcome}:"
            click.echo("\n".join([head, *done.problems]), err=True)
        case "empty":
            out.print(
                f"edgekernel: no configuration yet; put {NODE_FILE} into {card.name}/ on the card"
            )
        case _:
            out.print("edgekernel: the configuration is as before")
    if done.last_good is not None:
        out.print("edgekernel: the node starts with its last good configuration")


def _make_unit(done: Provisioned, plan: Plan, config: Path, units: Path) -> None:
    from edgekernel.cli.standby import has_outputs  # loads what drives a board: here alone

    program = Path(sys.argv[0]).absolute()
    python, standby = Path(sys.executable).resolve(), has_outputs(plan)
    unit = Unit(plan, program, python, config / NODE_FILE, has_standby=standby)
    units.mkdir(parents=True, exist_ok=True)
    (units / f"{unit.name}.service").write_text(unit.service, encoding="utf-8")
    if standby:
        path = units / f"{unit.standby_name}.service"
        path.write_text(unit.standby_service, encoding="utf-8")
    own = units / f"{unit.name}.service.d" / "last-good.conf"
    own.unlink(missing_ok=True)
    if done.last_good is not None:
        own.parent.mkdir(exist_ok=True)
        folder = str(done.last_good).replace("%", "%%")
        own.write_text(_LAST_GOOD.format(folder=folder), encoding="utf-8")


def _start(plan: Plan, network: Path) -> None:
    with suppress(OSError):
        socket.sethostname(_host_name(network) or plan.name)
    subprocess.run(["systemctl", "daemon-reload"], check=False)
    subprocess.run(["systemctl", "start", "--no-block", "edgekernel.service"], check=False)


def _host_name(network: Path) -> str | None:
    """Return the name that the network settings give this computer, if they do."""
    try:
        kept = kept_network(network)
    except (ConfigError, OSError):  # told when the network was set up
        return None
    return None if kept is None else kept.hostname


def _show(*, good: bool) -> None:
    """Let the status LED say it; on the console, if it cannot."""
    if problem := show_led(good=good, leds=LED_CLASS):
        click.echo(f"edgekernel: {problem}", err=True)

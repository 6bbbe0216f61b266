"""`edgekernel image`: what the flashable image does with itself."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click

from edgekernel.cli.console import Exit, fail, out
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.provisioning import NODE_FILE, Provisioned, provision
from edgekernel.node.slot_trial import (
    HEALTHY_FOR_S,
    LIMIT_S,
    SHOWN,
    Slot,
    booted_slot,
    shown,
    watch,
)
from edgekernel.node.unit import Unit
from edgekernel.platform.durable import write_safely
from edgekernel.platform.network import NETWORK_FILE, load_network
from edgekernel.platform.network_card import kept_network, still_there

_LEDS = ("ACT", "led0", "default-on")
_LED_CLASS = Path("/sys/class/leds")
_PROGRAM_LIMIT_S = 60.0


@click.group()
def image() -> None:
    """Do what the flashable image needs: it calls these itself."""


@image.command("check")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def check(folder: Path) -> None:
    """Check on any computer what is to go to the card: the files in FOLDER.

    Looks at node.toml and network.toml as the image will; one of them is enough. Exits with 1 if
    something is wrong.
    """
    there = [name for name in (NODE_FILE, NETWORK_FILE) if (folder / name).is_file()]
    if not there:
        fail(Exit.REFUSED, [f"{folder}: there is neither {NODE_FILE} nor {NETWORK_FILE}"])
    problems: list[str] = []
    for name in there:
        try:
            if name == NODE_FILE:
                make_plan(folder / name)
            else:
                load_network(folder / name)
        except ConfigError as error:
            problems += error.problems
    if problems:
        fail(Exit.REFUSED, problems)
    out.print(f"{' and '.join(there)}: nothing is wrong")


@image.command("provision")
@click.option("--card", type=click.Path(path_type=Path), default="/boot/firmware/edgekernel")
@click.option("--config", type=click.Path(path_type=Path), default="/data/edgekernel/config")
@click.option("--units", type=click.Path(path_type=Path), default="/run/systemd/system")
@click.option("--network", type=click.Path(path_type=Path), default="/data/network")
@click.option("--owner", help="Give the configuration to the user NAME.", metavar="NAME")
@click.option("--start", is_flag=True, help="Let systemd start the node.")
def provision_(
    card: Path, config: Path, units: Path, network: Path, owner: str | None, start: bool
) -> None:
    """Take the configuration on the card into use, and make the unit of the node.

    Exits with 1 if the configuration on the card was refused; the one before it goes on then.
    The network settings have been taken before, by `python -m edgekernel.platform network`; one
    that is still on the card was refused.
    """
    try:
        done = provision(card, config)
        if owner is not None and done.plan is not None:
            _give(config, owner)
    except OSError as error:
        _show_led(good=False)
        fail(Exit.REFUSED, [f"the configuration on the card could not be taken: {error}"])
    _say(done, card)
    if done.plan is not None:
        _make_unit(done.plan, config, units)
        if start:
            _start(done.plan, network)
    _show_led(good=not done.problems and done.plan is not None and not still_there(card))
    if done.problems:
        raise click.exceptions.Exit(Exit.REFUSED)


@image.command("confirm")
@click.option("--config", type=click.Path(path_type=Path), default="/data/edgekernel/config")
@click.option(
    "--kept",
    type=click.Path(path_type=Path),
    default="/data/rauc/confirmed",
    help="Which update was confirmed last.",
)
@click.option(
    "--healthy-for",
    "healthy_for_s",
    type=click.FloatRange(0.1, 86400),
    default=HEALTHY_FOR_S,
    show_default=True,
    envvar="EDGEKERNEL_HEALTHY_FOR_S",
    metavar="SECONDS",
)
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(0.1, 86400),
    default=LIMIT_S,
    show_default=True,
    envvar="EDGEKERNEL_TRIAL_LIMIT_S",
    help="An update whose node was not healthy for that long after SECONDS is given up.",
    metavar="SECONDS",
)
def confirm(config: Path, kept: Path, healthy_for_s: float, limit_s: float) -> None:
    """Keep the slot that runs: at once, or an update once its node is healthy.

    Exits with 1 if the update on trial was given up: it is marked as bad, and a restart of the
    computer starts the other slot.
    """
    try:
        slot = booted_slot(_run("rauc", "status", "--detailed", "--output-format=json"))
    except (OSError, ValueError) as error:  # without RAUC the tries of U-Boot decide
        click.echo(f"edgekernel: the slots are not known: {error}", err=True)
        return
    confirmed = kept.read_text().strip() if kept.exists() else ""
    if not slot.primary:
        _tell(f"slot {slot.name} runs because the other one was given up")
    if slot.installed and slot.installed != confirmed and (config / NODE_FILE).exists():
        _try_out(slot, healthy_for_s, limit_s)
    try:
        _run("rauc", "status", "mark-good", "booted")
        if slot.installed and slot.installed != confirmed:
            write_safely(kept, slot.installed.encode())
    except OSError as error:  # the node works: that it cannot be noted is no reason to restart
        click.echo(
            f"edgekernel: slot {slot.name} is good, but that is not noted: {error}", err=True
        )
        return
    _tell(f"slot {slot.name} is good")


def _try_out(slot: Slot, healthy_for_s: float, limit_s: float) -> None:
    """Wait for the verdict on an update; end the command if it is bad."""
    ask = ("systemctl", "show", "edgekernel.service", *(f"--property={name}" for name in SHOWN))
    _tell(f"slot {slot.name} is on trial")
    verdict = watch(lambda: shown(_run(*ask)), SystemClock(), healthy_for_s, limit_s)
    _tell(f"slot {slot.name}: {verdict.reason}")
    if not verdict.good:
        _run("rauc", "status", "mark-bad", "booted")
        fail(Exit.REFUSED, [f"edgekernel: the update in slot {slot.name} is given up"])


def _tell(text: str) -> None:
    out.print(f"edgekernel: {text}", soft_wrap=True)


def _run(*command: str) -> str:
    """Return what a program has written. Raises OSError if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PROGRAM_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise OSError(f"{' '.join(command)} has failed ({done.returncode}): {said}")
    return done.stdout


def _give(config: Path, owner: str) -> None:
    """Give a folder to a user and its group, before the node that has to read it is started."""
    try:
        user = pwd.getpwnam(owner)
    except KeyError:
        raise OSError(f"there is no user {owner}") from None
    for path in (config, *config.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)


def _say(done: Provisioned, card: Path) -> None:
    match done.outcome:
        case "applied":
            out.print(f"edgekernel: the configuration in {card} was taken into use")
        case "refused":
            fail_lines = ["edgekernel: the configuration was refused:", *done.problems]
            click.echo("\n".join(fail_lines), err=True)
        case "empty":
            out.print(
                f"edgekernel: no configuration yet; put {NODE_FILE} into {card.name}/ on the card"
            )
        case _:
            out.print("edgekernel: the configuration is as before")


def _make_unit(plan: Plan, config: Path, units: Path) -> None:
    program = Path(sys.argv[0]).absolute()
    unit = Unit(plan, program, Path(sys.executable).resolve(), config / NODE_FILE)
    units.mkdir(parents=True, exist_ok=True)
    (units / "edgekernel.service").write_text(unit.service, encoding="utf-8")


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


def _show_led(*, good: bool) -> None:
    """Let the status LED beat slowly if all is well, and blink fast if not."""
    for name in _LEDS:
        trigger = _LED_CLASS / name / "trigger"
        with suppress(OSError):
            trigger.write_text("heartbeat" if good else "timer")
            return

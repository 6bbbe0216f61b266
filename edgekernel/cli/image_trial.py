"""`edgekernel image confirm`: the slot that runs is kept, an update only if its node is healthy."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from edgekernel.cli.console import fail
from edgekernel.cli.exits import Exit
from edgekernel.cli.image_update import tell
from edgekernel.core.clock import SystemClock
from edgekernel.core.errors import ConfigError
from edgekernel.node import rauc
from edgekernel.node.document import load_document
from edgekernel.node.provisioning import NODE_FILE
from edgekernel.node.restart import boot_id
from edgekernel.node.slot_trial import SHOWN, Slot, Terms, booted_slot, shown, watch
from edgekernel.node.update_state import STATE_FILE, UpdateState, read_state, write_state
from edgekernel.node.update_table import HEALTHY_FOR_S, LIMIT_S, UpdateTable
from edgekernel.node.witness import WITNESS_FILE, Witness, hear_witness
from edgekernel.platform.durable import write_safely

_STEPS = 20
"""How often, at most, a trial that goes well is told of."""
_LEAST_S, _MOST_S = 0.1, 86400.0
_SECONDS = click.FloatRange(_LEAST_S, _MOST_S)


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default="/data/edgekernel/config")
@click.option(
    "--kept",
    type=click.Path(path_type=Path),
    default="/data/rauc/confirmed",
    help="Which update was confirmed last.",
)
@click.option("--state", type=click.Path(path_type=Path), default=STATE_FILE)
@click.option(
    "--witness",
    type=click.Path(path_type=Path),
    default=WITNESS_FILE,
    help="What the agent says of itself.",
)
@click.option(
    "--healthy-for",
    "healthy_for_s",
    type=_SECONDS,
    show_default=f"{HEALTHY_FOR_S:g}, or update.healthy_for of the node file",
    metavar="SECONDS",
)
@click.option(
    "--limit",
    "limit_s",
    type=_SECONDS,
    show_default=f"{LIMIT_S:g}, or update.limit of the node file",
    help="An update whose node was not healthy for that long after SECONDS is given up.",
    metavar="SECONDS",
)
def confirm(
    config: Path,
    kept: Path,
    state: Path,
    witness: Path,
    healthy_for_s: float | None,
    limit_s: float | None,
) -> None:
    """Keep the slot that runs: at once, or an update once its node is healthy.

    Without --healthy-for and --limit, EDGEKERNEL_HEALTHY_FOR_S and EDGEKERNEL_TRIAL_LIMIT_S come
    before the node file.

    Exits with 1 if the update on trial was given up: it is marked as bad, and a restart of the
    computer starts the other slot.
    """
    try:
        slot = booted_slot(rauc.status())
    except (OSError, ValueError) as error:  # without RAUC the tries of U-Boot decide
        click.echo(f"edgekernel: the slots are not known: {error}", err=True)
        return
    confirmed = _confirmed(kept)
    if not slot.primary:
        tell(f"slot {slot.name} runs because the other one was given up")
    reason = ""
    if slot.installed and slot.installed != confirmed and os.path.exists(config / NODE_FILE):
        healthy_for_s = healthy_for_s or _seconds("EDGEKERNEL_HEALTHY_FOR_S")
        limit_s = limit_s or _seconds("EDGEKERNEL_TRIAL_LIMIT_S")
        terms = _terms(config / NODE_FILE, healthy_for_s, limit_s)
        reason = _try_out(slot, terms, _Kept(state, slot), witness)
    try:
        rauc.run("rauc", "status", "mark-good", "booted")
        if slot.installed and slot.installed != confirmed:
            write_safely(kept, slot.installed.encode())
    except OSError as error:  # the node works: that it cannot be noted is no reason to restart
        click.echo(
            f"edgekernel: slot {slot.name} is good, but that is not noted: {error}", err=True
        )
        return
    tell(f"slot {slot.name} is good")
    _Kept(state, slot).confirmed(reason)


def _confirmed(kept: Path) -> str:
    """Return which update was confirmed last; "" if there was none, or it cannot be known."""
    try:
        return kept.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:  # one that has been confirmed is tried out once more
        click.echo(f"edgekernel: which update was confirmed is not known: {error}", err=True)
        return ""


def _seconds(name: str) -> float | None:
    """Return what a variable of the environment says; a mistake in it is told, and says nothing:
    in a file of the data partition it would restart both slots, again and again."""
    text = os.environ.get(name, "")
    try:
        seconds = float(text or "nan")
    except ValueError:
        seconds = math.nan
    if _LEAST_S <= seconds <= _MOST_S:
        return seconds
    if text:
        click.echo(
            f"edgekernel: {name}={text!r} does not count: it takes {_LEAST_S:g} to {_MOST_S:g} s",
            err=True,
        )
    return None


def _terms(node: Path, healthy_for_s: float | None, limit_s: float | None) -> Terms:
    """Return what the trial asks for; a node file with mistakes says nothing."""
    try:
        table = load_document(node).update
    except ConfigError:
        table = UpdateTable()
    return Terms(healthy_for_s or table.healthy_for, limit_s or table.limit, table.max_starts)


def _try_out(slot: Slot, terms: Terms, kept: _Kept, witness: Path) -> str:
    """Wait for the verdict on an update and return its reason; end the command if it is bad."""
    tell(f"slot {slot.name} is on trial")
    verdict = watch(_unit, lambda: _said(witness), SystemClock(), terms, kept.on_trial)
    tell(f"slot {slot.name}: {verdict.reason}")
    if not verdict.good:
        kept.given_up(verdict.reason, verdict.unmet)
        rauc.run("rauc", "status", "mark-bad", "booted")
        fail(Exit.REFUSED, [f"edgekernel: the update in slot {slot.name} is given up"])
    return verdict.reason


def _unit() -> Mapping[str, str]:
    """Return what systemd says of the agent's unit; nothing if it does not answer."""
    ask = ("systemctl", "show", "edgekernel.service", *(f"--property={name}" for name in SHOWN))
    try:
        return shown(rauc.run(*ask))
    except OSError as error:
        click.echo(f"edgekernel: {error}", err=True)
        return {}


def _said(witness: Path) -> Witness | None:
    """Return what the agent has said last; None if there is nothing that can be understood."""
    try:
        return hear_witness(witness)
    except (OSError, ValueError):
        return None


class _Kept:
    """Keeps in the file of the update how its trial goes; that this fails is told, and no more."""

    def __init__(self, path: Path, slot: Slot) -> None:
        self._path = path
        self._slot = slot
        self._state = read_state(path) or UpdateState()
        self._fails = False

    def on_trial(self, passed: float, unmet: tuple[str, ...]) -> None:
        """Note what is not met, and how much of the time has passed; each that is new is told."""
        if self._state.phase != "trial":  # it was installed on the board itself
            self._state = UpdateState(slot=self._slot.name).moved("trial")
        for each in unmet:
            if each not in self._state.unmet:
                tell(f"slot {self._slot.name} is not confirmed yet: {each}")
        percent = int(passed * _STEPS) * 100 // _STEPS
        if (percent, unmet) != (self._state.percent, self._state.unmet):
            self._keep(replace(self._state, percent=percent, unmet=unmet), lasts=False)

    def given_up(self, reason: str, unmet: tuple[str, ...]) -> None:
        """Note why, for the slot that runs next."""
        self._keep(replace(self._state, reason=reason, unmet=unmet))

    def confirmed(self, reason: str) -> None:
        """Note that the update stays, if there was one on trial."""
        if self._state.phase == "trial" and self._state.slot == self._slot.name:
            self._keep(self._state.moved("confirmed", percent=100, reason=reason, unmet=()))

    def _keep(self, state: UpdateState, *, lasts: bool = True) -> None:
        self._state = state
        try:
            write_state(state, self._path, boot=boot_id(), lasts=lasts)
        except OSError as error:
            if not self._fails:
                click.echo(f"edgekernel: how the trial goes cannot be kept: {error}", err=True)
            self._fails = True

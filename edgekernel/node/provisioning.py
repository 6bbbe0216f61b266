"""First boot of an image: what somebody put on the card becomes the configuration of the node.

The card's first partition can be written on any computer, and so can be read on any: what is on
it is checked, moved to the data partition, and taken away there. A configuration that is wrong is
left where it is, with a file that says why, and the one before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.node.fingerprint import fingerprint
from edgekernel.node.plan import Plan, make_plan
from edgekernel.node.starting import choose
from edgekernel.platform.broker_card import BROKER_FOLDER, BROKER_PROBLEMS
from edgekernel.platform.card_folder import finish_taking, remove_files, take_folder
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.erasing import erase, is_being_erased
from edgekernel.platform.network import NETWORK_FILE
from edgekernel.platform.network_card import NETWORK_PROBLEMS

NODE_FILE = "node.toml"
PROBLEMS = "PROBLEMS.txt"
APPLIED = "APPLIED.txt"
DATA = "state"
"""The data folder on the image, beside the configuration."""
_README = "README.txt"
_NOT_CONFIGURATION = tuple(
    name.casefold()
    for name in (PROBLEMS, APPLIED, _README, NETWORK_FILE, NETWORK_PROBLEMS, BROKER_PROBLEMS)
)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of it: the plan that counts from now on, if there is one.

    `outcome` is "applied", "refused", "unchanged" (nothing new was on the card), "damaged" (and
    what there was before is no good any more) or "empty" (and there was nothing).
    """

    outcome: str
    plan: Plan | None = None
    problems: list[str] = field(default_factory=list)
    last_good: Path | None = None
    """If `plan` is the last good one since the file is damaged: the data folder that has it."""


def provision(card: Path, config: Path) -> Provisioned:
    """Take what is new in the folder `card` into the folder `config`.

    All or nothing, also if the power goes: `config` is the old one or the new one. Files may hold
    passwords and keys, so they are for their owner alone, and are erased from the card when they
    are safe. Raises OSError if the disk fails.
    """
    done = _take(card, config)
    erase(card)  # what a loss of power has left
    return done


def without_card(config: Path, error: OSError) -> Provisioned:
    """Return what counts if `provision` fails: a card that does not work keeps no node from what it
    has."""
    before = _as_before(config)
    problem = f"the configuration on the card could not be taken: {error}"
    return replace(before, outcome="refused", problems=[problem, *before.problems])


def _take(card: Path, config: Path) -> Provisioned:
    finish_taking(config)
    if not (card / NODE_FILE).is_file():
        before = _as_before(config)
        if before.outcome == "damaged" and card.is_dir():
            write_safely(card / PROBLEMS, _explained(_DAMAGED, before.problems))
        return before
    names = list(_names(card))
    try:
        take_folder(card, names, config, lambda new: make_plan(new / NODE_FILE))
        plan = make_plan(config / NODE_FILE)
    except ConfigError as error:
        before = _as_before(config)
        problems = [*error.problems, *before.problems]
        write_safely(card / PROBLEMS, _explained(_REFUSED, problems))
        return replace(before, outcome="refused", problems=problems)
    _clear(card, names, plan)
    return Provisioned("applied", plan)


def _as_before(config: Path) -> Provisioned:
    """Return what counts with nothing new: what is kept; if that is damaged, the last good one."""
    node = config / NODE_FILE
    try:
        return Provisioned("unchanged", make_plan(node))
    except ConfigError as error:
        problems = error.problems
    try:
        start = choose(node, environ={"STATE_DIRECTORY": str(config.with_name(DATA))})
    except ConfigError as error:
        if not config.exists():
            return Provisioned("empty")
        return Provisioned("damaged", None, _kept_is_wrong(error.problems))
    assert start.file is not None, "the last good one is from there"
    return Provisioned("damaged", start.plan, _kept_is_wrong(problems), start.file.folder)


def _kept_is_wrong(problems: tuple[str, ...]) -> list[str]:
    return [f"the configuration that is kept: {each}" for each in problems]


def _names(card: Path) -> Iterator[Path]:
    for path in sorted(card.rglob("*")):
        name = path.relative_to(card)
        if path.is_file() and not _is_ours(name) and not is_being_erased(name):
            yield name


def _is_ours(name: Path) -> bool:
    """Say whether something on the card is not the node's; FAT knows no upper and lower case."""
    first = name.parts[0].casefold()
    return first == BROKER_FOLDER or (len(name.parts) == 1 and first in _NOT_CONFIGURATION)


def _clear(card: Path, names: list[Path], plan: Plan) -> None:
    """Take the configuration off the card, and say that it counts now."""
    remove_files(card, names, Path(NODE_FILE))
    for folder in sorted((p for p in card.rglob("*") if p.is_dir()), reverse=True):
        if not _is_ours(folder.relative_to(card)):
            folder.rmdir()
    (card / PROBLEMS).unlink(missing_ok=True)
    text = f"{plan.name} runs with this configuration: {fingerprint(plan.document)}\n"
    write_safely(card / APPLIED, text.encode())
    sync_folder(card)


def _explained(head: str, problems: list[str]) -> bytes:
    return "\n".join([head, "", *problems, ""]).encode()


_REFUSED = "This configuration was not taken; the one before it, if any, goes on."
_DAMAGED = (
    "The configuration that this node keeps is damaged: put it here again. Until then the last\n"
    "good one goes on, if there is one."
)

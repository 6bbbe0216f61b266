"""First boot of an image: what somebody put on the card becomes the configuration of the node.

The card's first partition can be written on any computer, and so can be read on any: what is on
it is checked, moved to the data partition, and taken away there. A configuration that is wrong is
left where it is, with a file that says why, and the one before it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.node.fingerprint import fingerprint
from edgekernel.node.plan import Plan, make_plan
from edgekernel.platform.broker_card import BROKER_FOLDER, BROKER_PROBLEMS
from edgekernel.platform.card_folder import finish_taking, remove_files, take_folder
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.network import NETWORK_FILE
from edgekernel.platform.network_card import NETWORK_PROBLEMS

NODE_FILE = "node.toml"
PROBLEMS = "PROBLEMS.txt"
APPLIED = "APPLIED.txt"
_README = "README.txt"
_NOT_CONFIGURATION = tuple(
    name.casefold()
    for name in (PROBLEMS, APPLIED, _README, NETWORK_FILE, NETWORK_PROBLEMS, BROKER_PROBLEMS)
)


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of it: the plan that counts from now on, if there is one.

    `outcome` is "applied", "refused", "unchanged" (nothing new was on the card) or "empty" (and
    there is nothing from before).
    """

    outcome: str
    plan: Plan | None = None
    problems: list[str] = field(default_factory=list)


def provision(card: Path, config: Path) -> Provisioned:
    """Take what is new in the folder `card` into the folder `config`.

    All or nothing, also if the power goes: `config` is the old one or the new one. Files may hold
    passwords and keys, so they are for their owner alone, and are removed from the card when they
    are safe. Raises OSError if the disk fails.
    """
    finish_taking(config)
    if not (card / NODE_FILE).is_file():
        return _as_before(config)
    names = list(_names(card))
    try:
        take_folder(card, names, config, lambda new: make_plan(new / NODE_FILE))
        plan = make_plan(config / NODE_FILE)
    except ConfigError as error:
        write_safely(card / PROBLEMS, _explained(error.problems))
        before = _as_before(config)
        return Provisioned("refused", before.plan, list(error.problems))
    _clear(card, names, plan)
    return Provisioned("applied", plan)


def _as_before(config: Path) -> Provisioned:
    if not (config / NODE_FILE).is_file():
        return Provisioned("empty")
    try:
        return Provisioned("unchanged", make_plan(config / NODE_FILE))
    except ConfigError as error:
        return Provisioned("refused", None, list(error.problems))


def _names(card: Path) -> Iterator[Path]:
    for path in sorted(card.rglob("*")):
        name = path.relative_to(card)
        if path.is_file() and not _is_ours(name):
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


def _explained(problems: tuple[str, ...]) -> bytes:
    lines = ["This configuration was not taken; the one before it, if any, goes on.", ""]
    return "\n".join([*lines, *problems, ""]).encode()

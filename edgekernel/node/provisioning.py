"""First boot of an image: what somebody put on the card becomes the configuration of the node.

The card's first partition can be written on any computer, and so can be read on any: what is on
it is checked, moved to the data partition, and taken away there. A configuration that is wrong is
left where it is, with a file that says why, and the one before it goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.node.fingerprint import fingerprint
from edgekernel.node.plan import Plan, make_plan
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.erasing import erase, is_being_erased
from edgekernel.platform.network import NETWORK_FILE
from edgekernel.platform.network_card import NETWORK_PROBLEMS

NODE_FILE = "node.toml"
PROBLEMS = "PROBLEMS.txt"
APPLIED = "APPLIED.txt"
_README = "README.txt"
_NOT_CONFIGURATION = tuple(
    name.casefold() for name in (PROBLEMS, APPLIED, _README, NETWORK_FILE, NETWORK_PROBLEMS)
)
"""Names on the card that are not the node's; FAT knows no upper and lower case."""


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
    passwords and keys, so they are for their owner alone, and are erased from the card when they
    are safe. Raises OSError if the disk fails.
    """
    done = _take(card, config)
    erase(card)  # what a loss of power has left
    return done


def _take(card: Path, config: Path) -> Provisioned:
    new = _beside(config, "new")
    _finish(card, config)
    if not (card / NODE_FILE).is_file():
        return _as_before(config)
    if _is_in(card, config):  # the power went before all of it was off the card
        plan = make_plan(config / NODE_FILE)
        _clear(card, plan)
        return Provisioned("applied", plan)
    shutil.rmtree(new, ignore_errors=True)
    try:
        _copy(card, new)
        make_plan(new / NODE_FILE)
    except ConfigError as error:
        shutil.rmtree(new, ignore_errors=True)
        write_safely(card / PROBLEMS, _explained(error.problems))
        before = _as_before(config)
        return Provisioned("refused", before.plan, list(error.problems))
    _exchange(new, config)
    plan = make_plan(config / NODE_FILE)
    _clear(card, plan)
    return Provisioned("applied", plan)


def _as_before(config: Path) -> Provisioned:
    if not (config / NODE_FILE).is_file():
        return Provisioned("empty")
    try:
        return Provisioned("unchanged", make_plan(config / NODE_FILE))
    except ConfigError as error:
        return Provisioned("refused", None, list(error.problems))


def _finish(card: Path, config: Path) -> None:
    """Finish what a loss of power has interrupted."""
    old = _beside(config, "old")
    if old.exists() and not config.exists():
        old.rename(config)
    shutil.rmtree(old, ignore_errors=True)


def _copy(card: Path, new: Path) -> None:
    new.mkdir(mode=0o700, parents=True)
    for path in _files(card):
        target = new / path.relative_to(card)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_safely(target, path.read_bytes())


def _is_in(card: Path, config: Path) -> bool:
    """Say whether all that is on the card is in the configuration already."""
    for path in _files(card):
        known = config / path.relative_to(card)
        if not known.is_file() or known.read_bytes() != path.read_bytes():
            return False
    return True


def _files(card: Path) -> Iterator[Path]:
    for path in sorted(card.rglob("*")):
        ours = path.parent == card and path.name.casefold() in _NOT_CONFIGURATION
        if path.is_file() and not ours and not is_being_erased(path):
            yield path


def _exchange(new: Path, config: Path) -> None:
    sync_folder(new)
    old = _beside(config, "old")
    if config.exists():
        config.rename(old)
    new.rename(config)
    sync_folder(config.parent)
    shutil.rmtree(old, ignore_errors=True)


def _clear(card: Path, plan: Plan) -> None:
    """Take the configuration off the card, and say that it counts now."""
    # The node file last: while it is there, the rest is looked at.
    erase(card, sorted(_files(card), key=lambda path: path == card / NODE_FILE))
    for folder in sorted((p for p in card.rglob("*") if p.is_dir()), reverse=True):
        folder.rmdir()
    (card / PROBLEMS).unlink(missing_ok=True)
    text = f"{plan.name} runs with this configuration: {fingerprint(plan.document)}\n"
    write_safely(card / APPLIED, text.encode())
    sync_folder(card)


def _beside(config: Path, kind: str) -> Path:
    return config.with_name(f"{config.name}.{kind}")


def _explained(problems: tuple[str, ...]) -> bytes:
    lines = ["This configuration was not taken; the one before it, if any, goes on.", ""]
    return "\n".join([*lines, *problems, ""]).encode()

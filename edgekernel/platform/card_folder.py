"""A folder on the card becomes one on the data partition, all or nothing.

The card's first partition can be written on any computer, and so can be read on any: what is on it
is checked, moved, and taken away there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from edgekernel.core.errors import ConfigError
from edgekernel.platform.durable import sync_folder, write_safely
from edgekernel.platform.erasing import erase


def finish_taking(place: Path, keep: Collection[str] = ()) -> None:
    """Finish what a loss of power has interrupted, before `take_folder` is called."""
    old = _beside(place, "old")
    if old.exists() and not place.exists():
        old.rename(place)
    _forget(old, place, keep)


def take_folder(
    card: Path,
    names: Collection[Path],
    place: Path,
    check: Callable[[Path], object],
    keep: Collection[str] = (),
) -> None:
    """Let the files `names` of the folder `card` be what is in the folder `place`.

    All or nothing, also if the power goes: `place` is the old one or the new one, to which what is
    named by `keep` goes over. Files may hold passwords and keys, so they are for their owner
    alone. `check` looks at the new one, unless all of it is in `place` already, and raises
    ConfigError if it is wrong: then nothing has changed. Raises OSError if the disk fails.
    """
    if _are_in(card, names, place):  # the power went before all of it was off the card
        return
    new = _beside(place, "new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        _copy(card, names, new)
        check(new)
    except ConfigError:
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync_folder(new)
    old = _beside(place, "old")
    if place.exists():
        place.rename(old)
    new.rename(place)
    sync_folder(place.parent)
    _forget(old, place, keep)


def remove_files(card: Path, names: Collection[Path], last: Path) -> None:
    """Erase files from the card, `last` after all others: while it is there, all of them are
    looked at once more."""
    erase(card, [card / name for name in sorted(names, key=lambda name: name == last)])


def _copy(card: Path, names: Collection[Path], new: Path) -> None:
    new.mkdir(mode=0o700, parents=True)
    for name in names:
        target = new / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_safely(target, (card / name).read_bytes())


def _are_in(card: Path, names: Collection[Path], place: Path) -> bool:
    return all(
        (place / name).is_file() and (place / name).read_bytes() == (card / name).read_bytes()
        for name in names
    )


def _forget(old: Path, place: Path, keep: Collection[str]) -> None:
    """Remove the folder from before, when what is kept has gone over to the new one."""
    for name in keep:
        if (old / name).exists() and not (place / name).exists():
            (old / name).rename(place / name)
            sync_folder(place)
    shutil.rmtree(old, ignore_errors=True)


def _beside(place: Path, kind: str) -> Path:
    return place.with_name(f"{place.name}.{kind}")

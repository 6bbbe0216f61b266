"""Packs: installed packages that bring drivers or boards, found by entry point.

The entry point names a package. In a driver pack every module is a driver of that name; in a
board pack every `<vendor>/<board>.toml` is a board.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import ModuleType

from edgekernel.core.device import Device
from edgekernel.core.errors import ConfigError
from edgekernel.node.board import Board, parse_board
from edgekernel.node.problems import did_you_mean
from edgekernel.node.signature import parameters_of

DRIVERS = "edgekernel.devices"
BOARDS = "edgekernel.boards"


@cache
def _packages(group: str) -> tuple[ModuleType, ...]:
    """Import the packages of a group. One that cannot be imported is a ConfigError."""
    found = []
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            found.append(importlib.import_module(entry.value))
        except Exception as error:
            raise ConfigError(
                f"pack {entry.name!r} ({entry.value}, entry point group {group}): cannot be "
                f"imported: {type(error).__name__}: {error}"
            ) from error
    return tuple(found)


@cache
def driver_names() -> dict[str, str]:
    """Return the module of every installed driver, by driver name, sorted."""
    found: dict[str, str] = {}
    for package in _packages(DRIVERS):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.startswith("_"):
                continue
            full = f"{package.__name__}.{module.name}"
            if module.name in found:
                raise ConfigError(
                    f"driver {module.name!r} is in two packs: {found[module.name]} and {full}; "
                    "uninstall one of them"
                )
            found[module.name] = full
    return dict(sorted(found.items()))


@cache
def load_driver(name: str) -> type[Device]:
    """Import a driver and return its Device class.

    Raises ConfigError if there is none of that name, or it cannot be imported.
    """
    names = driver_names()
    if name not in names:
        raise ConfigError(f"unknown driver {name!r}; {did_you_mean(name, names)}")
    try:
        module = importlib.import_module(names[name])
    except ImportError as error:
        raise ConfigError(f"driver {name!r} ({names[name]}) needs: {error}") from error
    except Exception as error:
        raise ConfigError(
            f"driver {name!r} ({names[name]}): cannot be imported: {type(error).__name__}: {error}"
        ) from error
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Device)
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    ]
    if len(classes) != 1:
        raise ConfigError(
            f"driver {name!r} ({names[name]}): a driver module holds exactly one public Device "
            f"class; this one holds {len(classes)}"
        )
    try:
        parameters_of(classes[0].__init__)
    except Exception as error:  # an annotation that means nothing, or **keys
        raise ConfigError(
            f"driver {name!r} ({names[name]}): its settings cannot be known: "
            f"{type(error).__name__}: {error}"
        ) from error
    return classes[0]


@cache
def board_names() -> dict[str, Traversable]:
    """Return the file of every installed board, by board name, sorted."""
    found: dict[str, Traversable] = {}
    for package in _packages(BOARDS):
        for name, file in _board_files(files(package), ""):
            if name in found:
                raise ConfigError(f"board {name!r} is in two packs: {found[name]} and {file}")
            found[name] = file
    return dict(sorted(found.items()))


@cache
def load_board(name: str) -> Board:
    """Read a board by name. Raises ConfigError if there is none, or its file is wrong."""
    names = board_names()
    if name not in names:
        raise ConfigError(f"unknown board {name!r}; {did_you_mean(name, ['auto', *names])}")
    return parse_board(name, names[name].read_text(encoding="utf-8"), str(names[name]))


def find_board(compatible: tuple[str, ...]) -> Board:
    """Return the board that a machine with these device-tree `compatible` strings is."""
    for wanted in compatible:
        for name in board_names():
            board = load_board(name)
            if wanted in board.compatible:
                return board
    said = ", ".join(compatible) or "no device tree"
    raise ConfigError(
        f'board "auto": no installed board matches this machine ({said}); '
        f"name one of: {', '.join(board_names())}"
    )


def _board_files(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _board_files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".toml"):
            yield prefix + entry.name.removesuffix(".toml"), entry

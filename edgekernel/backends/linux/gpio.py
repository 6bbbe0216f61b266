"""GPIO chips of Linux, found by label: numbers change with kernel and board, labels do not."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgekernel.backends.linux.permission import no_permission
from edgekernel.core.errors import BrokenError
from edgekernel.hal.address import LineAddress

if TYPE_CHECKING:
    from edgekernel.backends.linux.lgpio_pins import ChipFactory, LinePin


class Chips:
    """The GPIO chips of this machine, opened as their lines are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, ChipFactory] = {}

    def pin(self, line: LineAddress) -> LinePin:
        """Return the pin of a line, unclaimed. Raises BrokenError if its chip cannot be had."""
        known = self._open.get(line.chip)
        if known is not None and not known.is_there:
            del self._open[line.chip]
            known.close()
        if line.chip not in self._open:
            import_lgpio(line.name)
            file = self._find(line)
            from edgekernel.backends.linux.lgpio_pins import ChipFactory

            self._open[line.chip] = ChipFactory(_number(file), file)
        return self._open[line.chip].line_pin(line)

    def close(self) -> None:
        """Close every chip that is open."""
        with ExitStack() as closing:
            while self._open:
                closing.callback(self._open.popitem()[1].close)

    def found(self) -> tuple[dict[str, list[Path]], dict[Path, str]]:
        """Return the chips' device files by label, and why those that cannot be opened cannot.

        Raises BrokenError if lgpio cannot be imported.
        """
        lgpio: Any = import_lgpio("GPIO")
        files: dict[str, list[Path]] = {}
        refused: dict[Path, str] = {}
        for file in self._files():
            try:
                handle = lgpio.gpiochip_open(_number(file))
            except lgpio.error:
                refused[file] = _reason(file)
                continue
            try:
                label = lgpio.gpio_get_chip_info(handle)[3]
            finally:
                lgpio.gpiochip_close(handle)
            files.setdefault(label, []).append(file)
        return files, refused

    def _find(self, line: LineAddress) -> Path:
        files, refused = self.found()
        found = files.get(line.chip, [])
        if len(found) == 1:
            return found[0]
        raise BrokenError(f"{line.name}: {self._why_not(line.chip, files, refused)}")

    def _files(self) -> list[Path]:
        """Return a device file of each chip, in the order of their numbers.

        Raspberry Pi OS links an old number to the same chip, and a container may be given a chip
        under two numbers.
        """
        files: dict[tuple[int, int], Path] = {}
        for file in sorted(self._folder.glob("gpiochip[0-9]*"), key=_number):
            if not file.is_symlink():
                files.setdefault(_device(file), file)
        return list(files.values())

    def _why_not(self, label: str, files: dict[str, list[Path]], refused: dict[Path, str]) -> str:
        if not files and not refused:
            return (
                f"this machine has no GPIO chip ({self._folder}/gpiochip*); "
                "run on the board, or simulate it"
            )
        if label in files:
            return (
                f"several GPIO chips are called {label!r} "
                f"({', '.join(map(str, files[label]))}), so the line cannot be told apart"
            )
        labels = ", ".join(sorted(files)) or "none"
        reasons = "".join(f"; {file} cannot be opened: {why}" for file, why in refused.items())
        wrong = "" if reasons else "; is this the board that the node file names?"
        return f"no GPIO chip is called {label!r}; found: {labels}{reasons}{wrong}"


def import_lgpio(wanted_by: str) -> ModuleType:
    """Import lgpio, leaving working directory, environment and disk as they were.

    On import lgpio changes into the directory LG_WD and makes a named pipe there, which it holds
    open and needs no name for. Raises BrokenError if it cannot be imported.
    """
    loaded = sys.modules.get("lgpio")  # None is Python's mark of what cannot be imported
    if loaded is not None:
        return loaded
    with ExitStack() as undo, tempfile.TemporaryDirectory(prefix="edgekernel-lgpio-") as folder:
        here = os.open(".", os.O_PATH | os.O_CLOEXEC)
        undo.callback(os.close, here)
        before = os.environ.get("LG_WD")
        os.environ["LG_WD"] = folder
        try:
            import lgpio
        except ImportError as error:
            raise BrokenError(
                f"{wanted_by}: the Python package lgpio cannot be imported ({error}); "
                "install it into the same virtual environment: pip install 'edgekernel[pi]'"
            ) from error
        finally:
            os.fchdir(here)
            if before is None:
                del os.environ["LG_WD"]
            else:
                os.environ["LG_WD"] = before
    return lgpio  # type: ignore[no-any-return]


def _number(file: Path) -> int:
    return int(file.name.removeprefix("gpiochip"))


def _device(file: Path) -> tuple[int, int]:
    """Return what tells a device from others, whatever its files are called."""
    status = file.stat()
    if stat.S_ISCHR(status.st_mode):
        return os.major(status.st_rdev), os.minor(status.st_rdev)
    return status.st_dev, status.st_ino


def _reason(file: Path) -> str:
    """Say why a chip cannot be opened: lgpio does not."""
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return no_permission(file, "gpio")
    except OSError as error:
        return str(error.strerror)
    return "lgpio refuses it"

"""What went wrong, for one line of a log: the place in the application, from a traceback."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

_FRAME = re.compile(r'File "(.+)", line (\d+), in (.+)')
_OWN = re.compile(
    r"(^|/)edgekernel/((backends|cli|core|hal|journal|mqtt|node|platform|sim|testing)/|\w+\.py$)"
)
_INSTALLED = re.compile(
    r"^<|(^|/)(site-packages|dist-packages|lib/python\d\.\d+|edgekernel_devices)/"
)
"""The standard library and packages, in the folders that Python installs them to, and drivers."""


class Place(NamedTuple):
    """A line of a program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        """Return it as people look it up: "app.py, line 8, in control"."""
        return f"{self.file.rpartition('/')[2]}, line {self.line}, in {self.function}"


def place(trace: str) -> Place | None:
    """Return the innermost line of the application in a traceback, of this or another computer.

    Without a line of the application it is one of a driver or a library, and else the last one;
    None if the text is no traceback.
    """
    frames = [Place(file, int(line), name) for file, line, name in _FRAME.findall(trace)]
    outside = [frame for frame in frames if not _OWN.search(frame.file)]
    ours = [frame for frame in outside if not _is_installed(frame.file)]
    return next((found[-1] for found in (ours, outside, frames) if found), None)


def one_line(text: str) -> str:
    """Return a text without line ends and control characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _is_installed(file: str) -> bool:
    """Say whether a file is none of the application; in a journal it stands as Python finds it."""
    module = file.partition("/")[0].removesuffix(".py")
    return module in sys.stdlib_module_names or _INSTALLED.search(file) is not None

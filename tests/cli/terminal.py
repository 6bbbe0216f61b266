"""`edgekernel` as a process on a terminal of a size."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.cli.conftest import LIMIT_S, command

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def plain(drawn: str) -> str:
    """Return what was drawn without control sequences."""
    return _CONTROL.sub("", drawn)


class Terminal:
    """A process whose only output is a terminal, as a person has it. A context manager."""

    def __init__(self, columns: int, lines: int, *args: str | Path) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            command(*args),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env | {"TERM": "xterm-256color"},
        )
        os.close(theirs)
        self._ours = os.fdopen(ours, "rb", 0)
        self._said = b""
        self._seen = 0

    @property
    def drawn(self) -> str:
        """All that was drawn, with its control sequences."""
        return self._said.decode("utf-8", "replace")

    def until(self, pattern: str) -> str:
        """Read until what was drawn since the last call matches; return the match.

        In the pattern "." is every character.
        """
        while True:
            found = re.search(pattern, plain(self.drawn[self._seen :]), re.DOTALL)
            if found is not None:
                self._seen = len(self.drawn)
                return found[0]
            assert self._read(), f"it ended without {pattern!r}:\n{plain(self.drawn)}"

    def end(self, how: signal.Signals | None = None) -> int:
        """Send it a signal if one is given, read on to its end, and return its exit code."""
        if how is not None:
            self.process.send_signal(how)
        while self._read():
            pass
        return self.process.wait(LIMIT_S)

    def _read(self) -> bool:
        chunk = b""
        with suppress(OSError):  # EIO is its end
            chunk = self._ours.read(65536) or b""
        self._said += chunk
        return bool(chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LIMIT_S)
        self._ours.close()

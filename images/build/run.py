"""Programs that the build runs, on this computer and in the tools root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

EPOCH = 1_767_225_600  # 2026-01-01: every time in the image, so that two builds are the same
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "PYTHONHASHSEED": "0",
}


class BuildError(Exception):
    """A step of the build has failed; the text says which and why."""


def run(
    command: Sequence[str | Path], log: Path, *, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end; what it says goes to a file. Raises BuildError with its end."""
    words = [str(word) for word in command]
    with log.open("ab") as file:
        file.write(f"+ {' '.join(words)}\n".encode())
        file.flush()
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
            env={**os.environ, **ENVIRONMENT} if environment is None else dict(environment),
        )
    if done.returncode:
        last = log.read_text(errors="replace").splitlines()[-25:]
        raise BuildError(
            f"{words[0]} has failed ({done.returncode}), see {log}:\n" + "\n".join(last)
        )


class Tools:
    """The tools root: programs of one Debian release, whatever this computer runs."""

    def __init__(self, root: Path, folders: Mapping[str, Path], log: Path) -> None:
        """`folders` are seen inside by their keys, such as "/build"."""
        self.root = root
        self._folders = folders
        self._log = log

    def run(self, *command: str | Path) -> None:
        """Run a program of the tools root, in mounts of its own. Raises BuildError."""
        self.shell(" ".join(_quoted(str(word)) for word in command))

    def shell(self, script: str) -> None:
        """Run shell text in the tools root. Raises BuildError."""
        root = _quoted(str(self.root))
        lines = [f"mkdir -p {root}{name} && mount --bind {path} {root}{name}"
                 for name, path in self._folders.items()]  # fmt: skip
        outside = "\n".join(
            [
                "set -e",
                f"mount -t proc proc {root}/proc",
                f"mount --rbind /dev {root}/dev",
                f"mount -t sysfs sysfs {root}/sys",
                *lines,
                f"exec chroot {root} sh -euc {_quoted(script)}",
            ]
        )
        run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", outside],
            self._log,
            environment=ENVIRONMENT,
        )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

"""RAUC as a program: what runs, what a bundle is, and its installation, step by step.

What it prints is that of RAUC 1.13 (rauc(8)): `status` and `info` as JSON, `install` a line with a
percentage for each step, and "LastError: ..." where it has failed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

PROGRAM_LIMIT_S = 60.0
INFO_LIMIT_S = 120.0
"""A bundle behind an address is looked at over the network."""

WRITING = "Updating slots"
"""How the step begins in which a slot is written; those before it look at the bundle."""

_STEP = re.compile(r"\s*(\d{1,3})% (.*)")
_LAST_ERROR = re.compile(r"LastError: (.*)")
_STAMP = re.compile(r"^\(?rauc[^:]*?-\w+ ?\*{0,2}: \d\d:\d\d:\d\d\.\d+: ")
_NOISE = ("rauc-Message", "rauc-INFO")


class RaucError(OSError):
    """RAUC refuses something or has failed; the text is its own."""


def run(*command: str, limit_s: float = PROGRAM_LIMIT_S) -> str:
    """Return what a program has written. Raises OSError if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{' '.join(command)}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise OSError(f"{' '.join(command)} has failed ({done.returncode}): {said}")
    return done.stdout


def status() -> str:
    """Return what RAUC says of the slots, as JSON. Raises OSError."""
    return run("rauc", "status", "--detailed", "--output-format=json")


def other_slot(status: str) -> str:
    """Return the boot name of the slot that an update goes to. Raises ValueError if RAUC does not
    say."""
    told: dict[str, Any] = json.loads(status)
    booted = told.get("booted")
    names = [
        str(slot["bootname"])
        for named in told.get("slots", ())
        for name, slot in named.items()
        if slot.get("bootname") and booted not in (name, slot["bootname"])
    ]
    if booted is None or len(names) != 1:
        raise ValueError(f"RAUC names no other slot than {booted!r}: {', '.join(names) or 'none'}")
    return names[0]


def version_of(bundle: str) -> str:
    """Return the version that a bundle brings, its signature verified. Raises RaucError."""
    command = ("rauc", "info", "--output-format=json", bundle)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INFO_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RaucError(f"{bundle} could not be read within {INFO_LIMIT_S:g} s") from None
    if done.returncode:
        raise RaucError(last_words(done.stderr or done.stdout))
    try:
        return str(json.loads(done.stdout)["version"] or "")
    except (ValueError, KeyError, TypeError):
        raise RaucError(f"RAUC says of {bundle} what cannot be read") from None


def install(bundle: str, told: Callable[[int, str], object]) -> None:
    """Write a bundle into the other slot; `told` is given how far it is, in percent, and what RAUC
    does. Raises RaucError with its own words."""
    command = ("rauc", "install", bundle)
    last_error = ""
    lines: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines = [*lines[-20:], line]
            if step := _STEP.fullmatch(line.rstrip()):
                told(min(100, int(step[1])), step[2])
            elif failed := _LAST_ERROR.match(line.strip()):
                last_error = failed[1]
    if process.returncode:
        raise RaucError(last_error or last_words("".join(lines)))


def last_words(said: str) -> str:
    """Return the last line of a program that is no mere message, without its time stamp."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    wrong = [line for line in lines if not line.startswith(_NOISE)] or lines
    return _STAMP.sub("", wrong[-1]) if wrong else "RAUC has failed and says nothing"

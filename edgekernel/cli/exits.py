"""How a subcommand ends, as a number for scripts: one table, which `--help` shows."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """The exit codes of every subcommand, with what they mean."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    DONE = 0, "done"
    REFUSED = 1, "refused, or wrong: a name that is not there, a value, a file"
    USAGE = 2, "the command line is wrong; nothing was done"  # click ends with it
    NO_ANSWER = 3, "no answer: no broker, a node that is offline or silent; nothing to replay"
    FAILED = 4, "the node failed"
    CHANGES = 5, "there is something to do, where that was asked for"
    FELL_BACK = 6, "an update was given up, and the system before it runs again"


def exit_codes(*codes: Exit) -> str:
    """Return the table of these exit codes, for the end of a help text."""
    rows = (f"  {code.value}  {code.meaning}" for code in codes)
    return "\n".join(["\b", "Exit codes:", *rows])

"""The place of an error: the line of the application, whatever it has called and who called it."""

from __future__ import annotations

import pytest

from edgekernel.core.tracebacks import one_line, place


def trace(*files: str) -> str:
    """Return a traceback through these files, in lines 1, 2, and so on."""
    frames = "".join(
        f'  File "{file}", line {number}, in f{number}\n    call()\n'
        for number, file in enumerate(files, 1)
    )
    return f"Traceback (most recent call last):\n{frames}ValueError: no\n"


VENV = "/opt/edgekernel/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["/home/me/edgekernel/core/turns.py", "/home/me/app.py"], "app.py, line 2, in f2"),
        (["/srv/app.py", "/usr/lib/python3.11/json/decoder.py"], "app.py, line 1, in f1"),
        (["/srv/app.py", f"{VENV}/edgekernel/core/signals.py"], "app.py, line 1, in f1"),
        (["/srv/app.py", f"{VENV}/edgekernel_devices/relay.py"], "app.py, line 1, in f1"),
        ([f"{VENV}/edgekernel/core/poller.py", f"{VENV}/edgekernel_devices/lm75.py",
          f"{VENV}/edgekernel/hal/i2c.py"], "lm75.py, line 2, in f2"),
        (["edgekernel/core/turns.py", "app.py", "json/decoder.py"], "app.py, line 2, in f2"),
        (["/home/me/edgekernel/examples/greenhouse/app.py"], "app.py, line 1, in f1"),
        ([f"{VENV}/edgekernel/core/turns.py", "<string>"], "<string>, line 2, in f2"),
        ([f"{VENV}/edgekernel/core/turns.py"], "turns.py, line 1, in f1"),
    ],
)  # fmt: skip
def test_place(files: list[str], found: str) -> None:
    """It is the innermost line of the application, else of a driver or library, else the last; of
    another computer, and in a journal, where files stand as Python finds them, too."""
    assert str(place(trace(*files))) == found


def test_no_traceback() -> None:
    """A text that is no traceback has no place."""
    assert place("went wrong") is None


def test_one_line() -> None:
    """Line ends and control characters become spaces; all else stays."""
    assert one_line("a\n\tb\x1b[31m °C") == "a  b [31m °C"

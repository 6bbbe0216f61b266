"""What is said where a file may not be opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgekernel.backends.linux.permission import no_permission


def _status(monkeypatch: pytest.MonkeyPatch, mode: int, group: int) -> None:
    real = os.stat_result((0o020000 | mode, 0, 0, 1, 0, group, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda self: real)


def test_group_that_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a group may write it, the text says how to get into that group, also in a container."""
    _status(monkeypatch, 0o660, 54_321)
    assert no_permission(Path("/dev/gpiochip0"), "gpio") == (
        "no permission: it belongs to root:54321 (crw-rw----). Add the user to the group 54321 "
        "(sudo usermod -aG 54321 $USER) and log in again; in a container, start it with "
        "--group-add 54321"
    )


@pytest.mark.parametrize(("mode", "group"), [(0o660, 0), (0o600, 54_321), (0o640, 54_321)])
def test_no_group_may(monkeypatch: pytest.MonkeyPatch, mode: int, group: int) -> None:
    """If only root may write it, the text asks for a udev rule."""
    _status(monkeypatch, mode, group)
    text = no_permission(Path("/dev/gpiochip0"), "pwm")
    assert text.startswith("no permission: it belongs to root:")
    assert "a udev rule for the subsystem pwm" in text

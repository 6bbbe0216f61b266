"""An attempt of a device to reach its hardware: its steps, its end, and who goes on with it."""

from __future__ import annotations

import pytest

from edgekernel import SystemClock
from edgekernel.core.attempt import CONNECT, Attempt, run_here
from tests.core.parts import Steps


def attempt_of(steps: Steps, *, failing: bool = False) -> Attempt:
    """Make an attempt of two steps, of which the first may fail."""

    def connect() -> None:
        steps("connect")
        if failing:
            raise OSError("no answer")

    def let_go(error: BaseException | None) -> None:
        steps(f"let go: {error}")

    first_write = ("first write of lamp.power", lambda: steps("write"))
    return Attempt("lamp", 10.0, SystemClock(), [(CONNECT, connect), first_write], let_go)


def test_carried_out(steps: Steps) -> None:
    """P5: its steps come in order, and then there is nothing more to do."""
    attempt = attempt_of(steps)
    assert not attempt.has_ended
    run_here(attempt)
    assert steps.all == ["connect", "write"]
    assert (attempt.has_ended, attempt.is_over) == (True, False)


def test_failed(steps: Steps) -> None:
    """P5: after a step that raises the device lets go, once, and the error is told once."""
    attempt = attempt_of(steps, failing=True)
    with pytest.raises(OSError, match="no answer"):
        run_here(attempt)
    attempt.give_up()
    attempt.raise_error()
    assert steps.all == ["connect", "let go: no answer"]
    assert (attempt.has_ended, attempt.is_over) == (True, True)


def test_nobody_waits(steps: Steps) -> None:
    """P5: it stops after the step in which the last one has ceased to wait; later it goes on."""
    attempt = attempt_of(steps)
    attempt.run()
    assert steps.all == []
    assert not attempt.has_ended
    run_here(attempt)
    assert steps.all == ["connect", "write"]


def test_given_up(steps: Steps) -> None:
    """P12: given up in between, it has let go and takes no further step."""
    attempt = attempt_of(steps)
    attempt.give_up()
    run_here(attempt)
    assert steps.all == ["let go: None"]


def test_what_it_says(steps: Steps) -> None:
    """P5: it says which step hangs; only a connect keeps the device from being there."""
    attempt = attempt_of(steps)
    run_here(attempt)
    text = str(attempt.stays_away())
    assert text.startswith("lamp: its first write of lamp.power has not returned for ")
    assert text.endswith(" s; it goes on in the background")
    assert not attempt.hangs_connecting

"""What the tests of races share: threads that run beside the test, stopped at a certain place."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import pytest

LONG_S = 10.0


class Beside:
    """Runs a function in a thread, in a copy of the context of who asks for it."""

    def __init__(self, function: Callable[[], object]) -> None:
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=lambda: context.run(function))
        self._thread.start()

    def end(self) -> None:
        """Wait until it has returned."""
        self._thread.join(LONG_S)
        assert not self._thread.is_alive()


class Place:
    """A call in the engine at which other threads may get their turn; here the test does it.

    Several threads may come by: it is done at the first call from `arm` on, and only at that.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool = False
    ) -> None:
        self._do: list[Callable[[], object]] = []
        passing = getattr(owner, name)

        def stopping(*args: Any, **named: Any) -> Any:
            if after:
                result = passing(*args, **named)
                self._pass()
                return result
            self._pass()
            return passing(*args, **named)

        patch.setattr(owner, name, stopping)

    def arm(self, do: Callable[[], object]) -> None:
        """Do it once, at the next call."""
        self._do.append(do)

    def _pass(self) -> None:
        if self._do:
            self._do.pop()()

"""Turns: what runs one at a time, a handler round, an effect or a call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgekernel.core.errors import of_user_code

if TYPE_CHECKING:
    from edgekernel.core.control import Holder


class Turn(ABC):
    """Something to run. Subclasses say what; `label` names it in reports."""

    if not TYPE_CHECKING:  # mypy takes these for all the slots there are
        __slots__ = ()  # the slots are in the subclasses: two bases cannot both have some

    _submitter: object
    """The flow that has submitted it."""
    _cause: Cause | None
    """The turn during which it was submitted, what caused that, and so on; None while it does not
    wait or run."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What this turn is called in reports."""

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits for its end; then a full queue has room for it."""
        return False

    @property
    def running(self) -> str:
        """Which part of this turn runs now, for reports."""
        return ""

    def slowest(self, begin_ns: int, end_ns: int) -> str:
        """Return which part of this turn, which has just ended, took the longest, for reports.

        Of an event with several handlers all are named at the first time; from then on each
        handler of such messages is timed, and the one that was slow is named.
        """
        return self.label

    @property
    def component(self) -> str:
        """The name of the component whose code runs now, "" where that is not known."""
        return ""

    @property
    def holder(self) -> Holder | None:
        """Who sets what is set now; None where nobody answers for it."""
        return None

    @abstractmethod
    def step(self) -> None:
        """Do the work. What it raises is reported by the queue as a failure of the turn."""

    def cut(self) -> None:
        """Hear that it will not run: it was cut out of a feedback loop."""


Cause = tuple[Turn, str, int, "Cause | None"]
"""What has caused a turn: the turn during which it was submitted; the handler of that turn that
did so, where it is known; how many turns have caused one another up to there; and what has caused
that turn. A tuple, because one is made for each turn that another causes."""


class CallTurn(Turn):
    """Runs a function as a turn and keeps what came of it for the one who waits."""

    __slots__ = (
        "_cause", "_function", "_label", "_on_done", "_submitter", "abandoned", "error", "result",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[[], object],
        label: str,
        on_done: Callable[[], object] | None = None,
    ) -> None:
        self._function = function
        self._label = label
        self._on_done = on_done
        self.abandoned = False
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def label(self) -> str:
        return self._label

    @property
    def is_waited_for(self) -> bool:
        return self._on_done is not None

    def step(self) -> None:
        if self.abandoned:
            return
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error
            if self._on_done is None:
                raise
            of_user_code(error)
        finally:
            if self._on_done is not None:
                self._on_done()

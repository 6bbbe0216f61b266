"""A turn that is never dropped: where others bound how many there are, a full queue has room."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.turn import CallTurn


def _nothing() -> None:
    pass


class AdmittedTurn(CallTurn):
    """A call that has its turn however many others wait, unless it is cut out of a feedback loop.

    What it raises is reported by the queue.
    """

    __slots__ = ("_when_cut",)

    def __init__(
        self,
        function: Callable[[], object],
        label: str,
        when_cut: Callable[[], object] = _nothing,
    ) -> None:
        """Prepare; `when_cut` is called instead of the function if that will not run."""
        super().__init__(function, label)
        self._when_cut = when_cut

    @property
    def is_waited_for(self) -> bool:
        return True

    def cut(self) -> None:
        self._when_cut()

"""The first start of a service that takes another one's place: on its own thread, waited for."""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError
from edgekernel.core.lifecycle import Lifecycle
from edgekernel.core.unit import Unit

START_LIMIT_S = 10.0
"""Seconds that each step has: the old service's last tick, the new one's `start`, the exchange."""


class FirstStart:
    """Waits for the outcome of a service's first start."""

    def __init__(
        self, runtime: Host, lifecycle: Lifecycle, unit: Unit, tell: Callable[[Unit], object]
    ) -> None:
        self._lifecycle = lifecycle
        self._unit = unit
        self._tell = tell
        self._caller = runtime.clock.flow()
        self._done = runtime.clock.Event()
        self._error: BaseException | None = None
        self._given_up = False
        self._critical = unit.part.critical
        unit.part.critical = False  # a new version that fails is no end: the old one goes on

    def begin(self) -> None:
        """Start the service; the first time it is told what the old one knew."""
        if self._done.is_set():
            self._unit.begin()
        else:
            self._attempt(self._begin)

    def _begin(self) -> None:
        with self._lifecycle.gate.shared(self._caller):
            self._unit.begin()
            self._tell(self._unit)
        if self._given_up:
            raise LifecycleError(f"{self._unit.name}: it has started too late")

    def enter(self) -> None:
        """Let its handlers, effects and commands be called: with that it has started."""
        self._attempt(self._unit.enter)
        self.give_back()
        self._done.set()

    def give_back(self) -> None:
        """Let the service be as critical as it says."""
        self._unit.part.critical = self._critical

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except BaseException as error:
            if not self._done.is_set() and self._unit.supervised is not None:
                self._error = error
                self._unit.supervised.cancel()  # not to be tried again: the old one goes on
                self._done.set()
            raise

    def wait(self) -> None:
        """Return when it has started; raises what it raised."""
        if not self._done.wait(START_LIMIT_S):
            self._given_up = True
            raise LifecycleError(f"{self._unit.name}: not started within {START_LIMIT_S:g} s")
        if self._error is not None:
            raise self._error

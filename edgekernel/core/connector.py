"""Connector: lets devices reach their hardware on a thread that nobody has to wait for for ever.

A driver may be kept by its hardware as long as that likes: by a read in the kernel, by a vendor's
library. Its attempt runs beside whoever starts the device, who waits for a limited time. After
that the attempt is left alone: the step that hangs keeps its thread, no second one is begun, and
when it ends the device is started in its turn, from where it was, or lets go if nobody wants it.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.attempt import Attempt
from edgekernel.core.clock import NANOSECONDS
from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError
from edgekernel.core.gate import Gate
from edgekernel.core.phase import Phase

BOOT_PATIENCE_S = 30.0
"""Seconds that a boot waits altogether for optional devices that hang; then a second for each."""
_LEAST_S = 1.0
_ADVICE = "if the device is optional, the rest starts without it"
_MOMENT_S = 0.1
"""After which time it is looked again at an attempt that is in the middle of a further change."""


class Connector:
    """Carries out attempts, each on a thread of its own, and waits for them."""

    def __init__(self, runtime: Host, gate: Gate) -> None:
        """Let what an attempt asks for belong to the change that waits for it, in `gate`."""
        self._runtime = runtime
        self._clock = runtime.clock
        self._gate = gate
        self._lock = self._clock.Lock()  # around all below and the attempts' flags
        self._waited: list[Attempt] = []  # those that somebody waits for
        self._left: list[Attempt] = []  # those nobody waits for, which have yet to be taken up
        self._is_closed = False
        self._lost_ns = 0  # what those that hang have cost the boot

    def carry_out(
        self, attempt: Attempt, when_late: Callable[[], object], *, optional: bool = False
    ) -> None:
        """Take the steps of an attempt that are left, and wait for it within its limit.

        Raises what a step has raised; StillConnectingError if it takes longer, or goes on from an
        earlier time: then `when_late` is called once it has ended; and LifecycleError if the
        runtime is stopping. An attempt that fails, or is dropped, has let go of the hardware.
        """
        with self._lock:
            if self._is_closed:
                raise self._is_stopping(attempt)
            attempt.when_late, attempt.is_dropped = when_late, False
            if attempt.is_running:
                raise attempt.stays_away()
            if attempt in self._left:
                self._left.remove(attempt)
            if begins := not attempt.has_ended:
                attempt.reason, attempt.flow = "", None
                attempt.is_running = attempt.is_waited_for = True
                attempt.moved.clear()
                self._waited.append(attempt)
        if begins:
            self._run(attempt, optional)
        attempt.raise_error()

    def close(self) -> None:
        """Begin no more; who waits is sent away, and what hangs lets go when it has ended."""
        with self._lock:
            self._is_closed = True
            for attempt in self._left:
                attempt.is_dropped = True
            for attempt in self._waited:
                attempt.moved.set()

    def give_back(self, only: Attempt | None = None) -> tuple[list[Attempt], list[Attempt]]:
        """Return what was left alone, of one device or of all: what hangs, and what has ended.

        What hangs lets go when it has ended; what has ended is the caller's, to be given up.
        """
        with self._lock:
            concerned = [each for each in self._left if only is None or each is only]
            for attempt in concerned:
                attempt.is_dropped = True
            hanging = [attempt for attempt in concerned if attempt.is_running]
            ended = [attempt for attempt in concerned if attempt not in hanging]
            self._left = [attempt for attempt in self._left if attempt not in ended]
        return hanging, ended

    @property
    def _is_booting(self) -> bool:
        return self._runtime.phase is Phase.BOOTING

    def _patience_ns(self, attempt: Attempt, optional: bool) -> int:
        limit_ns = int(attempt.limit_s * NANOSECONDS)
        if not (optional and self._is_booting):
            return limit_ns
        left_ns = int(BOOT_PATIENCE_S * NANOSECONDS) - self._lost_ns
        return min(limit_ns, max(int(_LEAST_S * NANOSECONDS), left_ns))

    def _is_stopping(self, attempt: Attempt) -> LifecycleError:
        phase = self._runtime.phase
        return LifecycleError(f"{attempt.device}: not started: the runtime is {phase}")

    def _run(self, attempt: Attempt, optional: bool) -> None:
        """Let an attempt run on a thread of its own, and wait for it."""
        caller, limit_ns = self._clock.flow(), self._patience_ns(attempt, optional)
        end_ns = self._clock.monotonic_ns() + limit_ns
        attempt.thread = f"{self._runtime.name}:connect {attempt.device}"
        thread = self._clock.Thread(lambda: self._live(attempt, caller), attempt.thread)
        try:
            self._clock.hand_over(thread, attempt.moved, limit_ns / NANOSECONDS)
            while self._goes_on(attempt, end_ns, optional):
                left_ns = end_ns - self._clock.monotonic_ns()
                attempt.moved.wait(left_ns / NANOSECONDS if left_ns > 0 else _MOMENT_S)
        finally:
            with self._lock:
                self._waited.remove(attempt)
                if attempt.is_running and attempt.is_waited_for:  # Ctrl-C, or no more threads
                    if thread.is_alive():
                        self._leave(attempt)
                    else:
                        attempt.is_running = attempt.is_waited_for = False

    def _goes_on(self, attempt: Attempt, end_ns: int, optional: bool) -> bool:
        """Say whether it is still to be waited for; raises, and leaves it, if it takes too long."""
        with self._lock:
            if not attempt.is_running:
                return False
            left_ns = end_ns - self._clock.monotonic_ns()
            if not self._is_closed and (left_ns > 0 or not self._gate.dismiss(attempt.flow)):
                return True
            self._leave(attempt)
            if self._is_closed:
                raise self._is_stopping(attempt)
            if optional or not self._is_booting:
                self._lost_ns += self._patience_ns(attempt, optional)
                raise attempt.stays_away()
            raise attempt.stays_away(_ADVICE)

    def _leave(self, attempt: Attempt) -> None:
        self._gate.dismiss(attempt.flow)
        attempt.is_waited_for = False
        attempt.is_dropped = self._is_closed
        self._left.append(attempt)

    # On the thread of an attempt

    def _live(self, attempt: Attempt, caller: object) -> None:
        with self._gate.shared(caller):
            with self._lock:
                attempt.flow = self._clock.flow()
                if not attempt.is_waited_for:  # not any more
                    self._gate.dismiss(attempt.flow)
            self._runtime.turns.within(attempt.run)
        with self._lock:
            attempt.is_running, attempt.reason = False, ""
            if attempt.is_waited_for:
                attempt.moved.set()
                return
            if attempt.is_dropped:
                self._left.remove(attempt)
        if attempt.is_dropped:
            attempt.give_up()
        else:
            attempt.when_late()

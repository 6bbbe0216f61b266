"""Connector: lets devices reach their hardware on a thread that nobody has to wait for for ever.

A driver may be kept by its hardware as long as that likes: by a read in the kernel, by a vendor's
library. Its attempt runs beside whoever starts the device, who waits for a limited time. After
that the attempt is left alone: the step that hangs keeps its thread, no second one is begun, and
when it ends the device is started in its turn, from where it was, or lets go if nobody wants it.
"""

from __future__ import annotations

from collections.abc import Callable

from edgekernel.core.attempt import Attempt
from edgekernel.core.clock import NANOSECONDS, ThreadLike
from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError
from edgekernel.core.gate import Gate

BOOT_PATIENCE_S = 30.0
"""Seconds that a boot waits altogether for optional devices that hang; then a second for each."""
_LEAST_S = 1.0
_ADVICE = "if the device is optional, the rest starts without it"
_MOMENT_NS = NANOSECONDS // 10
"""After which time it is looked again at an attempt that is in the middle of a further change."""

_Job = tuple[Attempt, object]
"""An attempt, and the flow that waits for it."""


class Connector:
    """Carries out attempts, one after the other, and waits for each.

    During a boot one thread serves all devices that do not hang; at other times each has its own.
    """

    def __init__(self, runtime: Host, gate: Gate) -> None:
        """Let what an attempt asks for belong to the change that waits for it, in `gate`."""
        self._runtime = runtime
        self._clock = runtime.clock
        self._gate = gate
        self._moved = self._clock.Condition()  # around all below and the attempts' flags
        self._left: list[Attempt] = []  # those nobody waits for, which have yet to be taken up
        self._next: _Job | None = None
        self._idle: ThreadLike | None = None  # waits for the next one
        self._is_booting = self._is_closed = False
        self._lost_ns = 0

    def begin_boot(self) -> None:
        """Keep a thread from one device to the next, and count what those that hang cost."""
        self._is_booting, self._lost_ns = True, 0

    def end_boot(self) -> None:
        """Keep no thread."""
        with self._moved:
            self._is_booting, self._idle = False, None
            self._moved.notify_all()

    def carry_out(
        self, attempt: Attempt, when_late: Callable[[], object], *, optional: bool = False
    ) -> None:
        """Take the steps of an attempt that are left, and wait for it within its limit.

        Raises what a step has raised; StillConnectingError if it takes longer, or goes on from an
        earlier time: then `when_late` is called once it has ended; and LifecycleError if the
        runtime is stopping. An attempt that fails, or is dropped, has let go of the hardware.
        """
        with self._moved:
            if self._is_closed:
                raise self._is_stopping(attempt)
            attempt.when_late, attempt.is_dropped = when_late, False
            if attempt.is_running:
                raise attempt.stays_away()
            if attempt in self._left:
                self._left.remove(attempt)
            thread = None if attempt.has_ended else self._hand_over(attempt)
        if thread is not None:
            self._begin(thread, attempt)
        self._wait(attempt, optional or not self._is_booting)
        attempt.raise_error()

    def close(self) -> None:
        """Begin no more; who waits is sent away, and what hangs lets go when it has ended."""
        with self._moved:
            self._is_closed = True
            self._is_booting, self._idle = False, None
            for attempt in self._left:
                attempt.is_dropped = True
            self._moved.notify_all()

    def give_back(self, only: Attempt | None = None) -> tuple[list[Attempt], list[Attempt]]:
        """Return what was left alone, of one device or of all: what hangs, and what has ended.

        What hangs lets go when it has ended; what has ended is the caller's, to be given up.
        """
        with self._moved:
            concerned = [each for each in self._left if only is None or each is only]
            for attempt in concerned:
                attempt.is_dropped = True
            hanging = [attempt for attempt in concerned if attempt.is_running]
            ended = [attempt for attempt in concerned if attempt not in hanging]
            self._left = [attempt for attempt in self._left if attempt not in ended]
        return hanging, ended

    def _patience_ns(self, attempt: Attempt, dispensable: bool) -> int:
        limit_ns = int(attempt.limit_s * NANOSECONDS)
        if not (dispensable and self._is_booting):
            return limit_ns
        left_ns = int(BOOT_PATIENCE_S * NANOSECONDS) - self._lost_ns
        return min(limit_ns, max(int(_LEAST_S * NANOSECONDS), left_ns))

    def _is_stopping(self, attempt: Attempt) -> LifecycleError:
        phase = self._runtime.phase
        return LifecycleError(f"{attempt.device}: not started: the runtime is {phase}")

    def _wait(self, attempt: Attempt, dispensable: bool) -> None:
        """Wait for an attempt; one that is not `dispensable` ends the boot if it hangs."""
        now_ns = self._clock.monotonic_ns
        limit_ns = self._patience_ns(attempt, dispensable)
        end_ns = now_ns() + limit_ns
        with self._moved:
            try:
                while attempt.is_running and not self._is_closed:
                    left_ns = end_ns - now_ns()
                    if left_ns <= 0 and self._gate.dismiss(attempt.flow):
                        self._lost_ns += limit_ns
                        raise attempt.stays_away() if dispensable else attempt.stays_away(_ADVICE)
                    self._moved.wait((left_ns if left_ns > 0 else _MOMENT_NS) / NANOSECONDS)
                if attempt.is_running:
                    raise self._is_stopping(attempt)
            finally:
                if attempt.is_running:  # also when Ctrl-C has ended the wait
                    self._leave(attempt)

    def _leave(self, attempt: Attempt) -> None:
        self._gate.dismiss(attempt.flow)
        attempt.is_waited_for = False
        attempt.is_dropped = self._is_closed
        self._left.append(attempt)

    # The threads

    def _hand_over(self, attempt: Attempt) -> ThreadLike | None:
        """Let an attempt run on the thread that waits for one; return a new one if none does."""
        attempt.reason, attempt.flow = "", None
        attempt.is_running = attempt.is_waited_for = True
        attempt.thread = f"{self._runtime.name}:connect {attempt.device}"
        job = attempt, self._clock.flow()
        thread, self._idle = self._idle, None
        if thread is None:
            made = self._clock.Thread(lambda: self._live(made, job), attempt.thread)
            return made
        thread.name, self._next = attempt.thread, job
        self._moved.notify_all()
        return None

    def _begin(self, thread: ThreadLike, attempt: Attempt) -> None:
        try:
            thread.start()
        except BaseException:  # such as no more threads: it has not begun
            attempt.is_running = attempt.is_waited_for = False
            raise

    def _live(self, thread: ThreadLike, job: _Job | None) -> None:
        while job is not None:
            attempt, caller = job
            with self._gate.shared(caller):
                self._note_flow(attempt)
                self._runtime.turns.within(attempt.run)
            job = self._next_after(attempt, thread)

    def _note_flow(self, attempt: Attempt) -> None:
        with self._moved:
            attempt.flow = self._clock.flow()
            if not attempt.is_waited_for:  # not any more
                self._gate.dismiss(attempt.flow)

    def _next_after(self, attempt: Attempt, thread: ThreadLike) -> _Job | None:
        """Note that an attempt has ended; return the next one, None if this thread is to end."""
        with self._moved:
            attempt.is_running, attempt.reason = False, ""
            if attempt.is_waited_for:
                self._moved.notify_all()
                return self._wait_for_next(thread)
            if attempt.is_dropped:
                self._left.remove(attempt)
        if attempt.is_dropped:
            attempt.give_up()
        else:
            attempt.when_late()
        return None

    def _wait_for_next(self, thread: ThreadLike) -> _Job | None:
        if self._idle is not None or not self._is_booting:
            return None
        self._idle = thread
        while self._idle is thread:
            self._moved.wait()
        job, self._next = self._next, None
        return job

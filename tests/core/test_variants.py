"""The variants of the runtime: on a thread of its own, and as a program that hears signals."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from edgekernel import (
    Context,
    Event,
    Message,
    Process,
    SignalRuntime,
    ThreadedRuntime,
    message,
    on,
)
from edgekernel.core.errors import BootError, LifecycleError
from tests.core.parts import LONG_S, NotingProcess, Steps, Tick, messages_of


class TestThreadedRuntime:
    def test_runs_beside_the_caller(self) -> None:
        """`start` returns when booted; `run` in another thread ends with the shutdown."""
        runtime = ThreadedRuntime(shutdown_limit_s=5.0)
        handled = messages_of(runtime, Tick)
        runtime.start()
        assert runtime.phase == "running"
        runtime.emit(Tick(n=1))
        runtime.shutdown()
        assert runtime.phase == "stopped"
        assert handled == [Tick(n=1)]

    def test_run_blocks_until_the_shutdown(self) -> None:
        """`run` returns after a shutdown from anywhere."""
        runtime = ThreadedRuntime(shutdown_limit_s=5.0)
        booted = threading.Event()
        runtime.subscribe(message.RuntimeBooted, lambda _: booted.set())
        thread = threading.Thread(target=runtime.run)
        thread.start()
        assert booted.wait(LONG_S)
        runtime.shutdown()
        thread.join(LONG_S)
        assert not thread.is_alive()

    def test_start_raises_what_boot_raises(self) -> None:
        """P5: a failed boot is the caller's error."""

        class Failing(Process):
            name = "failing"

            def start(self, ctx: Context) -> None:
                raise OSError("no")

        runtime = ThreadedRuntime(shutdown_limit_s=5.0)
        runtime.register(Failing())
        with pytest.raises(BootError):
            runtime.start()

    def test_start_raises_whatever_boot_raises(self) -> None:
        """P5: an error of any class in a part ends the boot, and `start`, with an error."""

        class Failing(Process):
            name = "failing"

            def start(self, ctx: Context) -> None:
                raise KeyboardInterrupt

        runtime = ThreadedRuntime(shutdown_limit_s=5.0)
        runtime.register(Failing())
        with pytest.raises(BootError) as caught:
            runtime.start()
        assert "its start ended with KeyboardInterrupt" in str(caught.value.exceptions[0])


class TestSignalRuntime:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_sigint_and_sigterm_shut_down(self, number: signal.Signals) -> None:
        """P6: SIGINT and SIGTERM, twice too, end `run`; the handlers before are restored."""
        runtime = SignalRuntime(shutdown_limit_s=5.0)
        reasons: list[str] = []
        before = signal.getsignal(number)

        class Killing(Process):
            name = "killing"

            @on(message.RuntimeBooted)
            def kill(self, event: Event) -> None:
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)

            @on(message.RuntimeShuttingDown)
            def note(self, event: Event) -> None:
                reasons.append(event.payload.reason)  # type: ignore[attr-defined]

        runtime.register(Killing())
        runtime.run()
        assert runtime.phase == "stopped"
        assert reasons == [number.name]
        assert signal.getsignal(number) is before

    def test_only_in_the_main_thread(self) -> None:
        """A10.17: run in another thread it says what to do, and nothing has started (F14b)."""
        runtime, errors = SignalRuntime(), list[str]()

        def run() -> None:
            try:
                runtime.run()
            except LifecycleError as error:
                errors.append(str(error))

        running = threading.Thread(target=run)
        running.start()
        running.join(LONG_S)
        assert runtime.phase == "created"
        assert errors[0].startswith("edgekernel: only the main thread hears signals")

    def test_other_signals_become_messages(self) -> None:
        """SIGHUP, SIGUSR1 and SIGUSR2 are messages."""
        runtime = SignalRuntime(shutdown_limit_s=5.0)
        seen: list[Message] = []

        class Killing(Process):
            name = "killing"

            @on(message.RuntimeBooted)
            def kill(self, event: Event) -> None:
                for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
                    os.kill(os.getpid(), number)

            @on(message.SystemReload, message.SystemSignal)
            def note(self, event: Event) -> None:
                seen.append(event.payload)
                if len(seen) == 3:
                    self.ctx.runtime.shutdown("enough")

        runtime.register(Killing())
        runtime.run()
        assert set(seen) == {
            message.SystemReload(),
            message.SystemSignal(signal.SIGUSR1, "user1"),
            message.SystemSignal(signal.SIGUSR2, "user2"),
        }

    def test_a_signal_before_the_boot(self, steps: Steps) -> None:
        """P6: SIGTERM that comes before anything starts is not lost: nothing starts."""

        class Early(SignalRuntime):
            def boot(self) -> None:
                os.kill(os.getpid(), signal.SIGTERM)
                self.wait_until_stopped()
                super().boot()

        runtime = Early(shutdown_limit_s=5.0)
        runtime.register(NotingProcess("process", steps))
        runtime.run()
        assert runtime.phase == "stopped"
        assert steps.all == []

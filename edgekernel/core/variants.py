"""Variants of the runtime: on a thread of its own, or as a program that hears signals."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from edgekernel.core import message
from edgekernel.core.errors import LifecycleError, unless_unwound
from edgekernel.core.runtime import Runtime

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_STOPPED = 0  # no signal has this number


class ThreadedRuntime(Runtime):
    """A runtime whose life runs on a thread of its own, beside the caller's."""

    def start(self) -> None:
        """Boot on a thread of its own and return when booted; raises what `boot` raises."""
        failure: list[BaseException] = []
        booted = self.clock.Event()

        def live() -> None:
            try:
                self.boot()
            except BaseException as error:  # whatever it is, the caller waits to be told
                failure.append(unless_unwound(error))
            finally:
                booted.set()
            if not failure:
                self._lifecycle.stopped.wait()

        self.clock.Thread(live, f"{self.name}:runtime").start()
        booted.wait()
        if failure:
            raise failure[0]

    def run(self) -> None:
        """Start, and block until something shuts the runtime down; Ctrl-C does."""
        self.start()
        self.wait_until_stopped()


class SignalRuntime(Runtime):
    """A runtime for a program of its own: POSIX signals become shutdown and messages.

    SIGINT and SIGTERM shut down, a second one is harmless; SIGHUP is the message SystemReload,
    SIGUSR1 and SIGUSR2 are SystemSignal with action "user1" and "user2". `run` must be called
    in the main thread.
    """

    def run(self) -> None:
        """Boot, and serve signals from the first moment until the shutdown is complete.

        Raises LifecycleError, before anything starts, in another thread than the main one.
        """
        if threading.current_thread() is not threading.main_thread():
            raise LifecycleError(
                f"{self.name}: only the main thread hears signals: call run() there, or use "
                "ThreadedRuntime"
            )
        arrived, told = os.pipe()
        os.set_blocking(told, False)
        # A handler alone may run too late: the interpreter runs it when this thread wakes, and a
        # signal that comes just before it goes to sleep does not wake it. A byte in a pipe does.
        # The pipe comes first: what a handler swallows without it is lost.
        before = signal.set_wakeup_fd(told)
        earlier: dict[int, Any] = {}
        failures: list[BaseException] = []
        try:
            for each in _SIGNALS:
                earlier[each] = signal.signal(each, lambda *_: None)
            self._serve_until_stopped(arrived, told, failures)
        finally:
            for caught, handler in earlier.items():
                signal.signal(caught, handler)
            signal.set_wakeup_fd(before)
            os.close(arrived)
            os.close(told)
        if failures:
            raise failures[0]

    def _serve_until_stopped(self, arrived: int, told: int, failures: list[BaseException]) -> None:
        stopping = False

        def live() -> None:  # on a thread of its own, so that signals are served meanwhile
            try:
                self.boot()
            except BaseException as error:
                if not (stopping and isinstance(error, LifecycleError)):
                    failures.append(error)

        booting = self.clock.Thread(live, f"{self.name}:boot")
        booting.start()
        self._lifecycle.when_stopped(lambda: os.write(told, bytes([_STOPPED])))
        while True:
            for number in os.read(arrived, 64):
                if number == _STOPPED:
                    booting.join(1.0)  # it has yet to say why it failed
                    return
                stopping = stopping or number in (signal.SIGINT, signal.SIGTERM)
                self._serve(number)

    def _serve(self, number: int) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self.clock.Thread(
                lambda: self.shutdown(signal.Signals(number).name), f"{self.name}:signal"
            ).start()
        elif number == signal.SIGHUP:
            self.post(message.SystemReload())
        else:
            action = "user1" if number == signal.SIGUSR1 else "user2"
            self.post(message.SystemSignal(number, action))

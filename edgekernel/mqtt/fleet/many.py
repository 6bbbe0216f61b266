"""The same on many nodes, so many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from edgekernel.core.clock import Clock
from edgekernel.core.errors import EdgekernelError
from edgekernel.mqtt.fleet.results import Outcome

T = TypeVar("T")


def each_of(
    clock: Clock, nodes: Iterable[str], action: Callable[[str], T], at_once: int
) -> Generator[Outcome[T], None, None]:
    """Do something with each node, and yield what has come of it, as it comes.

    At most `at_once` run at a time. An EdgekernelError is the outcome of its node, any other error
    is raised. Whoever stops early waits for those that run, but not at Ctrl-C; the others are not
    begun.
    """
    names = deque(dict.fromkeys(nodes))
    count = len(names)
    done = clock.Queue()

    def work() -> None:
        while True:
            try:
                name = names.popleft()
            except IndexError:
                return
            done.put(_attempt(name, action))

    threads = [clock.Thread(work, f"fleet:{number}") for number in range(min(at_once, count))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    except KeyboardInterrupt:
        threads.clear()  # they may wait for an hour, as for an update
        raise
    finally:
        names.clear()
        for thread in threads:
            thread.join()


def _attempt(name: str, action: Callable[[str], T]) -> Outcome[T] | BaseException:
    try:
        return Outcome(name, action(name))
    except EdgekernelError as error:
        return Outcome(name, error=error)
    except BaseException as error:
        return error

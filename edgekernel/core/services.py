"""Services: the services of a runtime by name, and the control of them while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel.core.context import Host
from edgekernel.core.errors import LifecycleError, UnknownTargetError, nearest
from edgekernel.core.service import Service
from edgekernel.core.watchdog import Watchdog

if TYPE_CHECKING:
    from edgekernel.core.supervised import Supervised

_STOP_LIMIT_S = 5.0


class ServiceUnit(Protocol):
    """A part of the runtime, a service or not."""

    @property
    def name(self) -> str:
        """Its name in the runtime."""
        ...

    @property
    def part(self) -> Any:
        """The instance."""
        ...

    @property
    def supervised(self) -> Supervised | None:
        """Its supervision, once it is attached, if it is a service."""
        ...


class Services(Mapping[str, Service]):
    """The services by name, in the order of registering.

    All of it may be called from any thread, handlers and the services themselves included, and
    raises UnknownTargetError for a name that is none. What stops a service waits for that at
    most `timeout_s` seconds and returns whether it has stopped; it only asks, and returns at
    once, where waiting could not end: in the service itself, and in handlers and effects.
    """

    def __init__(
        self,
        runtime: Host,
        running: Callable[[], bool],
        units: Callable[[], Iterable[ServiceUnit]],
    ) -> None:
        """Show the services among `units`; `running` says whether they may be started."""
        self._running = running
        self._units = units
        self.watchdog = Watchdog(runtime)

    def __getitem__(self, name: str) -> Service:
        services = self._services()
        if name not in services:
            raise KeyError(f"no service {name!r}{nearest(name, services)}")
        return services[name]

    def __contains__(self, name: object) -> bool:
        return name in self._services()

    def __iter__(self) -> Iterator[str]:
        return iter(self._services())

    def __len__(self) -> int:
        return len(self._services())

    def start(self, name: str) -> None:
        """Start a service, now if it waits for a restart; one that runs goes on.

        Raises LifecycleError if it is disabled, or unless the runtime is running.
        """
        if not self._of(name).start():
            raise LifecycleError(f"{name}: the service is disabled, or the runtime is stopping")

    def stop(self, name: str, timeout_s: float = _STOP_LIMIT_S) -> bool:
        """Stop a service until it is started again. A tick that runs comes to its end first."""
        supervised = self._find(name)
        return supervised is None or supervised.stop(timeout_s)

    def restart(self, name: str, timeout_s: float = _STOP_LIMIT_S) -> bool:
        """Stop a service and start it anew, as soon as it has stopped.

        Raises LifecycleError if it is disabled, or unless the runtime is running.
        """
        supervised = self._of(name)
        if not supervised.service.enabled:
            raise LifecycleError(f"{name}: the service is disabled; enable it first")
        return supervised.restart(timeout_s)

    def enable(self, name: str) -> None:
        """Allow a service to run, and start it if the runtime runs."""
        supervised = self._find(name)
        self[name].enabled = True
        if supervised is not None and self._running():
            supervised.start()

    def disable(self, name: str, timeout_s: float = _STOP_LIMIT_S) -> bool:
        """Stop a service; nothing starts it, not even a later boot, until it is enabled."""
        supervised = self._find(name)
        self[name].enabled = False
        return supervised is None or supervised.stop(timeout_s)

    def status(self, name: str) -> dict[str, Any]:
        """Return how a service is: its state in one word, counts, times in seconds, last error.

        Empty before the boot.
        """
        supervised = self._find(name)
        return {} if supervised is None else supervised.status()

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Return the status of every service by name; empty before the boot."""
        return {name: each.status() for name, each in self._supervised().items()}

    def running(self) -> list[str]:
        """Return the names of those whose handlers and ticks are live."""
        return [name for name, each in self._supervised().items() if each.running]

    def names(self) -> list[str]:
        """Return all names."""
        return list(self._services())

    def _find(self, name: str) -> Supervised | None:
        services = self._services()
        if name not in services:
            raise UnknownTargetError(f"no service {name!r}{nearest(name, services)}")
        return self._supervised().get(name)

    def _of(self, name: str) -> Supervised:
        supervised = self._find(name)
        if supervised is None or not self._running():
            raise LifecycleError(f"{name}: services start only while the runtime is running")
        return supervised

    def _services(self) -> dict[str, Service]:
        return {unit.name: unit.part for unit in self._units() if isinstance(unit.part, Service)}

    def _supervised(self) -> dict[str, Supervised]:
        return {unit.name: unit.supervised for unit in self._units() if unit.supervised}

"""The runtime as its parts see it: the Host, and the Context that each part is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from edgekernel.core.busy import BusyLock, BusyLocks
from edgekernel.core.call import Call
from edgekernel.core.clock import Clock
from edgekernel.core.invocation import Commands
from edgekernel.core.messages import Message
from edgekernel.core.outputs import Outputs
from edgekernel.core.phase import Phase
from edgekernel.core.record import dataclass
from edgekernel.core.registry import Registry
from edgekernel.core.routes import RoutingTable
from edgekernel.core.state import StateStore
from edgekernel.core.tasks import Tasks
from edgekernel.core.timers import Timers
from edgekernel.core.turns import TurnQueue

if TYPE_CHECKING:
    from edgekernel.core.services import Services


class Host(Protocol):
    """What a Runtime offers to its parts."""

    name: str
    clock: Clock
    turns: TurnQueue
    routes: RoutingTable
    registry: Registry
    state: StateStore
    commands: Commands
    tasks: Tasks
    timers: Timers
    outputs: Outputs
    busy: BusyLocks

    @property
    def phase(self) -> Phase:
        """Where the runtime is between created and stopped."""
        ...

    @property
    def devices(self) -> Mapping[str, Any]:
        """The devices by id."""
        ...

    @property
    def services(self) -> Services:
        """The services by name, and the control of them."""
        ...

    def emit(self, payload: Message, source: str = "") -> None:
        """Give a message its place in the order and take it to its handlers."""
        ...

    def post(self, payload: Message, source: str = "") -> None:
        """Give a message its place in the order and return at once, whoever handles it when."""
        ...

    def invoke(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        principal: str = "",
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
        dry_run: bool = False,
    ) -> Any:
        """Carry out a command and return its result."""
        ...

    def invoke_nowait(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        principal: str = "",
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
    ) -> Call:
        """Begin to carry out a command and return at once."""
        ...

    def hot_add(self, part: Any, name: str = "") -> Any:
        """Add a part; see `Runtime.hot_add`."""
        ...

    def hot_remove(self, name: str, *, force: bool = False) -> None:
        """Take a part out; see `Runtime.hot_remove`."""
        ...

    def hot_update(self, part: Any) -> list[Any]:
        """Replace a part; see `Runtime.hot_update`."""
        ...

    def spawn(
        self, parent: str, part: Any, name: str, properties: Mapping[str, object] | None
    ) -> Any:
        """Add a child of a part; see `Context.spawn`."""
        ...

    def fault(self, name: str, error: BaseException) -> None:
        """Let the supervisor of a part, if it has one, know of a failure."""
        ...

    def shutdown(self, reason: str = "requested") -> None:
        """Make the outputs safe, then stop everything."""
        ...

    def status(self) -> dict[str, Any]:
        """Return the state of the runtime and of every part."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a part may use of its runtime; `source` is the part's name on what it emits."""

    runtime: Host
    source: str

    @property
    def clock(self) -> Clock:
        """The runtime's clock: wait on it, never on `time`."""
        return self.runtime.clock

    @property
    def devices(self) -> Mapping[str, Any]:
        """The devices by id."""
        return self.runtime.devices

    @property
    def state(self) -> StateStore:
        """The runtime's coordination state, by dot paths."""
        return self.runtime.state

    @property
    def registry(self) -> Registry:
        """Who provides what."""
        return self.runtime.registry

    def emit(self, message: Message) -> None:
        """Say that something has happened; see `Runtime.emit`."""
        self.runtime.emit(message, self.source)

    def busy(self, reason: str, for_s: float) -> BusyLock:
        """Say "not now": an update, a pushed configuration and a restart from afar wait.

            with ctx.busy("firing the kiln", for_s=4 * 3600):
                ...

        It ends with its block, by `release`, when the part stops, and after `for_s` seconds at the
        latest, a week at most; a restart of the agent ends it too. Raises InvalidValueError for
        another time, and for a reason that is empty or longer than 200 characters.
        """
        return self.runtime.busy.hold(self.source, reason, for_s)

    def spawn(
        self, part: Any, name: str = "", properties: Mapping[str, object] | None = None
    ) -> Any:
        """Add a child: a part (instance or class) that is stopped when this part is.

        Returns it when it has started; inside a handler, effect or command it returns at once
        and the child is started beside it. A child of that name that this part has already is
        returned as it is. See `Runtime.hot_add` for what is raised.
        """
        return self.runtime.spawn(self.source, part, name, properties)

    def invoke(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
        dry_run: bool = False,
    ) -> Any:
        """Carry out a command as the principal `component:<name>`; see `Runtime.invoke`."""
        return self.runtime.invoke(
            name, args, self._principal, timeout, target=target, key=key, dry_run=dry_run
        )

    def invoke_nowait(
        self,
        name: str,
        args: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        *,
        target: str = "",
        key: str = "",
    ) -> Call:
        """Begin a command as the principal `component:<name>`; see `Runtime.invoke_nowait`."""
        return self.runtime.invoke_nowait(
            name, args, self._principal, timeout, target=target, key=key
        )

    @property
    def _principal(self) -> str:
        return f"component:{self.source}"

"""How a run has ended: why, and whether its outputs are known to be safe."""

from __future__ import annotations

from edgekernel.core import message
from edgekernel.core.messages import Event
from edgekernel.core.runtime import Runtime

_SETTLE_S = 1.0
_SAFE_STEP = "safe state of "


class Ending:
    """Listens to a runtime from before its start to after its end."""

    def __init__(self, runtime: Runtime) -> None:
        """Begin to listen."""
        self._runtime = runtime
        self._reasons: list[str] = []
        self._given_up: set[str] = set()
        self._failed: dict[str, str] = {}
        self._shut_down = False
        runtime.subscribe(message.RuntimeShuttingDown, self._stopping)
        runtime.subscribe(message.RuntimeShutdown, self._stopped)
        runtime.subscribe(message.ServiceFailure, self._service_failed)
        runtime.subscribe(message.ShutdownStepFailed, self._step_failed)
        runtime.subscribe(message.DeviceFailed, self._device_failed)

    @property
    def reason(self) -> str:
        """Why it stopped."""
        return "; ".join(self._reasons)

    @property
    def by_critical_service(self) -> bool:
        """Whether a critical service was given up."""
        services = self._runtime.services
        return any(services[name].critical for name in self._given_up if name in services)

    def unsafe(self) -> list[str]:
        """Return, after the end, what keeps the outputs from being known to be safe."""
        self._runtime.turns.wait_idle(_SETTLE_S)  # messages may still be on their way to us
        problems = [f"{what}: {error}" for what, error in self._failed.items()]
        left = sorted(self._runtime.outputs.left_unsafe)
        problems += [f"{label}: its device is gone, and it was not made safe" for label in left]
        if not self._shut_down:
            problems.append("a handler hangs: what failed during the shutdown was not told")
        return problems

    def _stopping(self, event: Event) -> None:
        assert isinstance(event.payload, message.RuntimeShuttingDown)
        self._reasons.append(event.payload.reason)

    def _stopped(self, event: Event) -> None:
        self._shut_down = True

    def _service_failed(self, event: Event) -> None:
        assert isinstance(event.payload, message.ServiceFailure)
        self._given_up.add(event.payload.service)

    def _step_failed(self, event: Event) -> None:
        assert isinstance(event.payload, message.ShutdownStepFailed)
        if event.payload.step.startswith(_SAFE_STEP):
            self._failed[event.payload.step] = event.payload.error

    def _device_failed(self, event: Event) -> None:
        assert isinstance(event.payload, message.DeviceFailed)
        if self._reasons:  # before the shutdown a failure, such as of a poll, says nothing of it
            self._failed[f"end of {event.payload.device}"] = event.payload.error

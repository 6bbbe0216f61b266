"""edgekernel: the hardware control runtime for single-board computers."""

import typing

from edgekernel.core import message
from edgekernel.core.clock import Clock, SystemClock
from edgekernel.core.computed import Computed
from edgekernel.core.context import Context
from edgekernel.core.device import Device
from edgekernel.core.effect import Effect, is_stale
from edgekernel.core.errors import (
    BadReadingError,
    BootError,
    ConfigError,
    EdgekernelError,
    InvalidValueError,
    RefusedError,
    UnavailableError,
)
from edgekernel.core.graph import untracked
from edgekernel.core.injection import prop, requires
from edgekernel.core.interface import Interface
from edgekernel.core.markers import (
    command,
    component,
    computed,
    effect,
    expose,
    kind,
    lifecycle,
    on,
    provides,
    skill,
)
from edgekernel.core.masking import Secret
from edgekernel.core.messages import Event, Message, Severity
from edgekernel.core.output import Output
from edgekernel.core.output_declaration import output
from edgekernel.core.policy import Policy
from edgekernel.core.process import Process
from edgekernel.core.reading import Reading, ReadingSettings, reading
from edgekernel.core.runtime import Runtime
from edgekernel.core.sample import Quality, Sample
from edgekernel.core.service import Service
from edgekernel.core.signals import Signal, batch
from edgekernel.core.state import StateStore
from edgekernel.core.version import VERSION as __version__

if typing.TYPE_CHECKING:
    from edgekernel.core import filters
    from edgekernel.core.output_limits import Limits
    from edgekernel.core.plugins import PluginLoader
    from edgekernel.core.variants import SignalRuntime, ThreadedRuntime

__all__ = [
    "BadReadingError",
    "BootError",
    "Clock",
    "Computed",
    "ConfigError",
    "Context",
    "Device",
    "EdgekernelError",
    "Effect",
    "Event",
    "Interface",
    "InvalidValueError",
    "Limits",
    "Message",
    "Output",
    "PluginLoader",
    "Policy",
    "Process",
    "Quality",
    "Reading",
    "ReadingSettings",
    "RefusedError",
    "Runtime",
    "Sample",
    "Secret",
    "Service",
    "Severity",
    "Signal",
    "SignalRuntime",
    "StateStore",
    "SystemClock",
    "ThreadedRuntime",
    "UnavailableError",
    "__version__",
    "batch",
    "command",
    "component",
    "computed",
    "effect",
    "expose",
    "filters",
    "is_stale",
    "kind",
    "lifecycle",
    "message",
    "on",
    "output",
    "prop",
    "provides",
    "reading",
    "requires",
    "skill",
    "untracked",
]

# Not every program needs these: each is loaded when somebody asks for it by name.
_LATER = {
    "Limits": "edgekernel.core.output_limits",
    "PluginLoader": "edgekernel.core.plugins",
    "SignalRuntime": "edgekernel.core.variants",
    "ThreadedRuntime": "edgekernel.core.variants",
    "filters": "edgekernel.core.filters",
}

if not typing.TYPE_CHECKING:  # with a `__getattr__` every name would be fine to type checkers

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_LATER[name])
        value = globals()[name] = getattr(module, name, module)  # or the module itself
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATER})

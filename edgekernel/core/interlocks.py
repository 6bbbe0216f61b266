"""Interlocks: outputs that are never both away from their safe values."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edgekernel.core.errors import InterlockedError, nearest

if TYPE_CHECKING:
    from edgekernel.core.context import Host
    from edgekernel.core.device import Device


class Interlocks:
    """Who excludes whom in one runtime, and who is away from its safe value, by label.

    An output *claims* before its driver is called with another value than the safe one, and is
    *free* again when the driver has reported the safe value. So one that failed, or hangs, or was
    detached while it could not be made safe, counts as on. Of two that claim at once one is first.
    """

    def __init__(self) -> None:
        """Begin with nobody excluded."""
        self._lock = threading.Lock()  # around the fields; never while a driver is called
        self._declared: dict[str, tuple[str, ...]] = {}
        self._away: dict[str, object] = {}
        self._needs: dict[str, tuple[Callable[[str], object], ...]] = {}

    def require(self, label: str, check: Callable[[str], object]) -> None:
        """Let an output leave its safe value only if `check`, given what is wanted, does not raise.

        To be called before its device is attached; it holds for every device of that id.
        """
        with self._lock:
            self._needs[label] = (*self._needs.get(label, ()), check)

    def declare(self, label: str, others: Sequence[str]) -> None:
        """Let an output and each of the others exclude one another."""
        with self._lock:
            self._declared[label] = tuple(others)

    def withdraw(self, label: str) -> None:
        """Forget what an output has declared; what others have declared of it still counts."""
        with self._lock:
            self._declared.pop(label, None)

    def concern(self, label: str) -> bool:
        """Say whether an output excludes another one, or is excluded by one."""
        with self._lock:
            known = label in self._declared or label in self._needs
            return known or any(label in each for each in self._declared.values())

    def check(self, label: str, value: object) -> None:
        """Raise InterlockedError if the output must not leave its safe value now, and what one
        of the checks raises that it has to pass."""
        self._check_needs(label, value)
        with self._lock:
            self._check(label, value)

    def claim(self, label: str, value: object) -> None:
        """Note that the output leaves its safe value; raise as `check` if it must not."""
        self._check_needs(label, value)
        with self._lock:
            self._check(label, value)
            self._away[label] = value

    def free(self, label: str) -> None:
        """Note that the output is at its safe value."""
        with self._lock:
            self._away.pop(label, None)

    def _check_needs(self, label: str, value: object) -> None:
        for check in self._needs.get(label, ()):
            check(f"{label}: not set to {value!r}")

    def _check(self, label: str, value: object) -> None:
        for other, at in self._away.items():
            excluded = other in self._declared.get(label, ()) or label in self._declared.get(
                other, ()
            )
            if excluded and other != label:
                state = ("on" if at else "off") if isinstance(at, bool) else f"at {at!r}"
                raise InterlockedError(
                    f"{label}: not set to {value!r}: {other} is {state} (interlock)", other
                )


def exclude(label: str, names: Sequence[str], host: Host) -> None:
    """Let an output and the outputs of these names, which are there, exclude one another."""
    interlocks = host.outputs.join_interlocks()
    interlocks.declare(label, names)
    for name in names:
        device, _, output = name.partition(".")
        host.devices[device].outputs[output].join(interlocks)


def wrong_names(names: Sequence[str], devices: Mapping[str, Device]) -> Iterator[str]:
    """Say for which of these names there is no output, or one without a safe value."""
    for name in names:
        id, _, output = name.partition(".")
        if id not in devices:
            yield f"{name!r}: no device {id!r}{nearest(id, list(devices))}"
            continue
        outputs = devices[id].outputs
        if output not in outputs:
            yield f"{name!r}: {id} has no output {output!r}{nearest(output, outputs)}"
        elif outputs[output].safe is None:
            yield f"{name!r}: that output has no safe value"

"""Policies: who may call which commands, changeable while the runtime runs."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from edgekernel.core.errors import ForbiddenError
from edgekernel.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Which commands a principal may call, beside the roles that they need.

    `allow` and `deny` are exact command names or patterns as in a shell ("cooling.*"); deny wins.
    Without `destructive` no command that is marked so may be called. Without `audit` the calls
    that are carried out are counted only; refusals are always recorded.
    """

    allow: tuple[str, ...] = ("*",)
    deny: tuple[str, ...] = ()
    destructive: bool = True
    audit: bool = True

    def __post_init__(self) -> None:
        for field in ("allow", "deny"):
            if isinstance(getattr(self, field), str):  # its letters would be taken for patterns
                raise TypeError(
                    f"Policy: {field} is a list of names; write [{getattr(self, field)!r}]"
                )

    def objection(self, names: Iterable[str], destructive: bool) -> str:
        """Say why a command, by all the names it has, may not be called; "" if it may."""
        names = list(names)
        for pattern in self.deny:
            if any(_fits(name, pattern) for name in names):
                return f"denied by {pattern!r}"
        if not any(_fits(name, pattern) for name in names for pattern in self.allow):
            return f"not among those allowed: {', '.join(self.allow) or 'none'}"
        return "it is destructive" if destructive and not self.destructive else ""


class Policies:
    """The policies of a runtime, by principal; what is set counts from the next call on.

    A key is a principal ("anna", "mqtt", "component:cooling") or a pattern ("component:*", "*").
    A call must be allowed by every policy whose key fits its principal; without any it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._policies: dict[str, Policy] = {}

    def set(self, principal: str, policy: Policy) -> None:
        """Set the policy of a principal or pattern, in place of an earlier one."""
        with self._lock:
            self._policies = {**self._policies, principal: policy}

    def remove(self, principal: str) -> None:
        """Take the policy of a principal or pattern away, if there is one."""
        with self._lock:
            self._policies = {key: p for key, p in self._policies.items() if key != principal}

    def all(self) -> dict[str, Policy]:
        """Return the policies by key."""
        return dict(self._policies)

    def check(self, principals: Iterable[str], names: Iterable[str], destructive: bool) -> None:
        """Raise ForbiddenError if a policy of any of the principals objects to a command."""
        names = list(names)
        for principal in principals:
            for key, policy in self._of(principal):
                if objection := policy.objection(names, destructive):
                    raise ForbiddenError(
                        f"{names[0]} may not be called by {principal or 'nobody'!r}: {objection} "
                        f"(policy {key!r})"
                    )

    def audits(self, principals: Iterable[str]) -> bool:
        """Say whether what the principals have carried out is to be recorded."""
        return all(policy.audit for name in principals for _, policy in self._of(name))

    def _of(self, principal: str) -> list[tuple[str, Policy]]:
        return [item for item in self._policies.items() if _fits(principal, item[0])]


def _fits(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase  # needed by few

    return fnmatchcase(name, pattern)

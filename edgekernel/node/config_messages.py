"""What a node says about its configuration."""

from __future__ import annotations

from edgekernel.core.messages import Message, Severity

__all__ = ["ConfigApplied", "ConfigFallback", "ConfigKept", "ConfigRejected", "ConfigRolledBack"]


class ConfigApplied(Message):
    """A new configuration was applied while the node ran, and has proven itself.

    `source` is "file" or "remote"; `version` and `principal`, who has signed it or "mqtt", are
    those of a remote one; `keys` are those that changed.
    """

    source: str
    version: str
    principal: str
    hash: str
    keys: tuple[str, ...]


class ConfigRejected(Message):
    """A new configuration was refused; nothing was touched."""

    severity = Severity.WARNING
    source: str
    version: str
    principal: str
    problems: tuple[str, ...]


class ConfigRolledBack(Message):
    """A new configuration could not be applied, or the node was not well with it: the one before
    it runs again."""

    name = "config.rolled_back"
    severity = Severity.ERROR
    source: str
    version: str
    principal: str
    problems: tuple[str, ...]


class ConfigFallback(Message):
    """The node has not started with what it should have: `source` is "last good" if the node file
    is no good, and "file" if what was applied from afar cannot be used any more."""

    severity = Severity.ERROR
    source: str
    hash: str
    problems: tuple[str, ...]


class ConfigKept(Message):
    """What the node runs has proven itself and is kept as the last good configuration; or could
    not be kept, if there is a `problem`."""

    hash: str
    problem: str

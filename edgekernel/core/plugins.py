"""Plugins: components in the Python files of a directory, loaded and followed as they change.

What is in the directory runs with the rights of the runtime: only its owner may be able to write
there. A file that others can write to is not loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from edgekernel.core import message
from edgekernel.core.component import describe_class
from edgekernel.core.context import Context
from edgekernel.core.errors import ConfigError, describe, unless_unwound
from edgekernel.core.markers import command, own_component_note
from edgekernel.core.messages import Event
from edgekernel.core.role import Role
from edgekernel.core.service import Service

_WRITABLE_BY_ALL = 0o002


class PluginLoader(Service):
    """Keeps the runtime's components in step with the `*.py` files of a directory.

    Every `interval` seconds, on SIGHUP and on the command `scan`, files that are new or have
    other contents than before are loaded: their components are added, replaced all or nothing
    (see `Runtime.hot_update`) or, if they are no longer there, removed. A file that cannot be
    loaded leaves what it brought before at work; the reason is in `status` and in the message
    PluginFailed. What could not be added or replaced is tried again when another file has changed.
    Files whose name begins with `_` or `.` are not looked at.
    """

    name = "plugins"
    interval = 5.0

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        """Follow `directory`; raises ConfigError if there is none."""
        self.directory = os.fspath(directory)
        if not os.path.isdir(self.directory):
            raise ConfigError(f"{self.name}: there is no directory {self.directory}")
        self._files: dict[str, _File] = {}

    def tick(self, ctx: Context) -> None:
        """Look for what has changed."""
        self._scan(ctx)

    def handle_event(self, ctx: Context, evt: Event) -> None:
        """Look again when the operator asks for a reload."""
        if isinstance(evt.payload, message.SystemReload):
            self.wake()

    def woken(self, deadline_ns: int) -> int:
        """Look again at once."""
        return 0

    @command(role="admin")
    def scan(self) -> None:
        """Look for changed files now; what comes of it is in `status`."""
        self.wake()

    @command
    def status(self) -> dict[str, Any]:
        """Return each file with the components it has brought and what is wrong with it."""
        return {
            os.path.basename(path): {"components": sorted(file.parts), "problem": file.problem}
            for path, file in sorted(self._files.items())
        }

    def _scan(self, ctx: Context) -> None:
        found = {
            os.path.join(self.directory, name)
            for name in os.listdir(self.directory)
            if name.endswith(".py") and not name.startswith(("_", "."))
        }
        gone = [path for path in self._files if path not in found]
        for path in gone:
            file = self._files.pop(path)
            file.classes = {}
            self._settle(ctx, file)
            self._tell(ctx, path, file)
        changed = [self._load(path) for path in sorted(found)]
        if gone or any(changed):
            self._settle_all(ctx)
        for path, file in sorted(self._files.items()):
            self._tell(ctx, path, file)

    def _load(self, path: str) -> bool:
        """Run a file that is new or has other contents; say whether its classes are others."""
        file = self._files.setdefault(path, _File())
        before, file.contents = file.contents, None  # what cannot be read is tried again
        try:
            file.contents = _read(path)
            if file.contents == before:
                return False
            file.told, file.unsettled = "", False
            file.classes = _components(_run(path, file.contents))
        except BaseException as error:
            file.problem, file.trace = describe(unless_unwound(error))
            return False
        file.unsettled, file.problem = True, ""
        return True

    def _settle_all(self, ctx: Context) -> None:
        """Bring in what files have, as long as that succeeds: one may need what another brings."""
        progress = True
        while progress:
            unsettled = [file for _, file in sorted(self._files.items()) if file.unsettled]
            settled = [self._settle(ctx, file) for file in unsettled]
            progress = any(settled)

    def _settle(self, ctx: Context, file: _File) -> bool:
        """Bring the runtime in step with what a file has now; say whether anything succeeded."""
        runtime, done = ctx.runtime, False
        file.unsettled, file.problem = False, ""
        for name in [known for known in file.parts if known not in file.classes]:
            self._try(file, partial(runtime.hot_remove, name, force=True))
            file.parts.pop(name)
        for name, cls in file.classes.items():
            if file.parts.get(name) is cls:
                continue
            change = runtime.hot_update if name in file.parts else runtime.hot_add
            if self._try(file, partial(change, cls)):
                file.parts[name] = cls
                done = True
            else:
                file.unsettled = True
        return done

    @staticmethod
    def _try(file: _File, change: Callable[[], object]) -> bool:
        try:
            change()
        except BaseException as error:
            file.problem, file.trace = describe(unless_unwound(error))
            return False
        return True

    @staticmethod
    def _tell(ctx: Context, path: str, file: _File) -> None:
        """Report what is wrong with a file, once."""
        if file.problem and file.problem != file.told:
            ctx.emit(message.PluginFailed(path, file.problem, file.trace))
        file.told = file.problem


class _File:
    """What is known of one file."""

    def __init__(self) -> None:
        self.contents: bytes | None = None
        self.classes: dict[str, type] = {}
        """What it has now, by name."""
        self.parts: dict[str, type] = {}
        """What it has brought into the runtime."""
        self.unsettled = False
        """Whether it has what could not be brought in."""
        self.problem = self.trace = self.told = ""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _run(path: str, contents: bytes) -> ModuleType:
    """Run a file as a module of its own; the one it was before stays if that fails."""
    for checked in (path, os.path.dirname(path)):
        if os.stat(checked).st_mode & _WRITABLE_BY_ALL:
            raise ConfigError(f"{checked} can be written to by everybody: chmod o-w {checked}")
    module = ModuleType(f"edgekernel_plugin_{os.path.basename(path).removesuffix('.py')}")
    module.__file__ = path
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        exec(compile(contents, path, "exec"), module.__dict__)  # noqa: S102 (what the loader is for)
    except BaseException:
        del sys.modules[module.__name__]
        if before is not None:
            sys.modules[module.__name__] = before
        raise
    return module


def _components(module: ModuleType) -> dict[str, type]:
    """Return the component classes that a module defines, by the name they will have."""
    found: dict[str, type] = {}
    for cls in vars(module).values():
        if not isinstance(cls, type) or cls.__module__ != module.__name__:
            continue
        if own_component_note(cls) is not None:
            found[describe_class(cls).name] = cls
        elif issubclass(cls, Role) and cls.name:
            found[cls.name] = cls
    return found

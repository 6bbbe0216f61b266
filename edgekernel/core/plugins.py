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
from edgekernel.core.errors import ConfigError, describe
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
    PluginFailed. Files whose name begins with `_` are not looked at.
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
            path: _read(path)
            for name in sorted(os.listdir(self.directory))
            for path in [os.path.join(self.directory, name)]
            if name.endswith(".py") and not name.startswith("_")
        }
        for path in [known for known in self._files if known not in found]:
            file = self._files.pop(path)
            self._settle(ctx, path, file, {})
        for path, contents in found.items():
            known = self._files.setdefault(path, _File())
            if contents != known.contents:
                known.contents = contents
                self._load(ctx, path, known)

    def _load(self, ctx: Context, path: str, file: _File) -> None:
        file.problem = ""
        try:
            classes = _components(_run(path, file.contents or b""))
        except Exception as error:
            self._failed(ctx, path, file, error)
            return
        self._settle(ctx, path, file, classes)

    def _settle(self, ctx: Context, path: str, file: _File, classes: dict[str, type]) -> None:
        """Bring the runtime in step with what a file has now; each component by itself."""
        runtime = ctx.runtime
        for name in [known for known in file.parts if known not in classes]:
            self._try(ctx, path, file, partial(runtime.hot_remove, name, force=True))
            file.parts.discard(name)
        for name, cls in classes.items():
            if name in file.parts:
                self._try(ctx, path, file, partial(runtime.hot_update, cls))
            elif self._try(ctx, path, file, partial(runtime.hot_add, cls)):
                file.parts.add(name)

    def _try(self, ctx: Context, path: str, file: _File, change: Callable[[], object]) -> bool:
        try:
            change()
        except Exception as error:
            self._failed(ctx, path, file, error)
            return False
        return True

    @staticmethod
    def _failed(ctx: Context, path: str, file: _File, error: Exception) -> None:
        file.problem, trace = describe(error)
        ctx.emit(message.PluginFailed(path, file.problem, trace))


class _File:
    """What is known of one file."""

    def __init__(self) -> None:
        self.contents: bytes | None = None
        self.parts: set[str] = set()
        self.problem = ""


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

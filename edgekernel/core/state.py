"""StateStore: coordination state of a runtime, by dot paths, each path readable as a signal.

The whole state is one tree of dicts that are never changed: a write copies the dicts along its
path and puts the new root in place of the old one. So whoever reads sees one moment. The root is
a signal, and each path that somebody follows is a computed over the one above it, which changes
only when its own part of the tree does; it goes when nobody follows it any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from operator import is_
from typing import Any, cast
from weakref import WeakValueDictionary

from edgekernel.core import tree
from edgekernel.core.computed import Computed
from edgekernel.core.effect import Effect
from edgekernel.core.errors import StateConflictError
from edgekernel.core.graph import untracked
from edgekernel.core.signals import Signal, batch
from edgekernel.core.tree import MISSING, Branch, Path

_MOST_ROUNDS = 1000


class StateStore:
    """Values by dot path, such as "system.clock.uptime"; safe to use from any thread.

    A mapping that is set becomes a branch: set "room" to {"light": 1} and "room.light" is 1.
    Everything else is a leaf. Mappings, lists and all that can be changed are copied on the way
    in and on the way out, so that the store changes only through its own methods. There is no
    schema and no persistence.

    A path has names between dots, at most 100 of them; "" stands for everything where
    something is read. Raises StateError (a ValueError) for a path that is none or a value that
    cannot be kept, StateConflictError (a TypeError) for a path that leads through a leaf.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        """Hold `values`, given as nested mappings."""
        root = cast(Branch, tree.taken(values or {}, ()))
        self._root: Signal[Branch] = Signal(root, equals=is_, name="state")
        self._lock = threading.Lock()  # around exchanges; never while user code runs
        self._signals: WeakValueDictionary[str, StateSignal] = WeakValueDictionary()

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value (a branch as nested dicts), or `default` where there is none.

        Inside a computed or effect, depend on it.
        """
        value = self.signal(path).raw()
        return default if value is MISSING else tree.given(value)

    def peek(self, path: str, default: Any = None) -> Any:
        """Return a value, or `default` where there is none, without depending on it."""
        value = tree.found(self._root.peek(), tree.split(path))
        return default if value is MISSING else tree.given(value)

    def set(self, path: str, value: Any) -> None:
        """Store a value, then run the effects it concerns (inside a batch: at its end).

        What was at or below the path is replaced; missing branches are made. A value that is
        equal to the stored one, and of the same type, changes nothing.
        """
        names = tree.split(path, empty=False)
        new = tree.taken(value, names)
        while not self._exchange(root := self._root.peek(), tree.planted(root, names, new)):
            pass

    def update(self, path: str, function: Callable[[Any], Any]) -> Any:
        """Set a path to `function(its value)` and return the new value; None where none is.

        No lock is held meanwhile. If another thread changes the value while `function` runs,
        it is called again with the newer value: it should do nothing else than compute.
        Raises StateConflictError when that was so 1000 times: then it writes the path itself.
        """
        names = tree.split(path, empty=False)
        for _ in range(_MOST_ROUNDS):
            seen = tree.found(self._root.peek(), names)
            value = function(None if seen is MISSING else tree.given(seen))
            new = tree.taken(value, names)
            while tree.found(root := self._root.peek(), names) is seen:
                if self._exchange(root, tree.planted(root, names, new)):
                    return tree.given(new)
        raise StateConflictError(
            f"{path!r} changes whenever its update computes a new value: the function must return "
            "it, and not set it"
        )

    def delete(self, path: str) -> bool:
        """Remove a path and all below it; say whether there was anything."""
        names = tree.split(path, empty=False)
        while tree.found(root := self._root.peek(), names) is not MISSING:
            if self._exchange(root, tree.planted(root, names, MISSING)):
                return True
        return False

    def snapshot(self, path: str = "") -> Snapshot:
        """Return a branch as it is at this moment, whatever its size at no cost.

        It is empty where there is nothing. Raises StateConflictError if a leaf is there.
        """
        names = tree.split(path)
        branch = tree.found(self._root.peek(), names)
        if branch is MISSING:
            return Snapshot({})
        if type(branch) is not dict:
            raise StateConflictError(
                f"{path!r} holds a value ({tree.kind(branch)}) and is no branch"
            )
        return Snapshot(branch)

    def signal(self, path: str) -> StateSignal:
        """Return a path as a signal to read, whether or not there is a value yet."""
        names = tree.split(path)
        with self._lock:
            known = self._signals.get(path)
            return known if known is not None else self._follow(names)

    def _follow(self, names: Path) -> StateSignal:
        """Return the signal of a path, made on those of the branches above it."""
        above: Computed[Any] | Signal[Branch] = self._root
        path = ""
        found: StateSignal | None = None if names else self._signals.get("")
        for name in names:
            path = f"{path}.{name}" if path else name
            found = self._signals.get(path)
            if found is None:
                found = self._signals[path] = StateSignal(self, path, above, name)
            above = found
        if found is None:
            found = self._signals[path] = StateSignal(self, path, above, None)
        return found

    def subscribe(self, path: str, callback: Callable[[str, Any], object]) -> StateSubscription:
        """Call `callback(path, new value)` when something at or below a path has changed.

        It runs as a turn, with the latest value, None for a path that is gone; changes that
        come before its turn are told together. What it raises is reported like the error of
        an effect. Made inside an effect, the subscription goes with the effect's run.
        """
        return StateSubscription(self.signal(path), callback)

    def _exchange(self, old: Branch, new: Branch) -> bool:
        """Put a tree in place of another one; False if that is outdated."""
        with batch(), self._lock:  # effects run when the batch ends, after the lock
            if self._root.peek() is not old:
                return False
            self._root.set(new)
        return True

    def __repr__(self) -> str:
        return f"<StateStore {', '.join(self._root.peek()) or 'empty'}>"


class StateSignal(Computed[Any]):
    """One path of a StateStore, to read; None while there is no value."""

    __slots__ = ("_store", "path")

    def __init__(
        self, store: StateStore, path: str, above: Computed[Any] | Signal[Branch], name: str | None
    ) -> None:
        def choose() -> Any:
            value = above.raw() if isinstance(above, StateSignal) else above.get()
            return value if name is None else tree.below(value, name)

        super().__init__(choose, equals=_equal, name=f"state {path!r}")
        self._store = store
        self.path = path

    def get(self) -> Any:
        """Return the value; inside a computed or effect, depend on it."""
        value = super().get()
        return None if value is MISSING else tree.given(value)

    def raw(self) -> Any:
        """Return the value as it is stored: not to be changed; MISSING if there is none."""
        return super().get()

    def peek(self) -> Any:
        """Return the value without depending on it."""
        return self._store.peek(self.path)

    def __repr__(self) -> str:
        return f"<StateSignal {self.path} = {self.peek()!r}>"


def _equal(old: Any, new: Any) -> bool:
    """Say whether two parts of trees hold the same, also when they were made anew."""
    return tree.merged(old, new) is old


class StateSubscription:
    """Who is called when a path changes, until `cancel`."""

    def __init__(self, signal: StateSignal, callback: Callable[[str, Any], object]) -> None:
        self._signal = signal
        self._callback = callback
        with untracked():
            self._told = signal.raw()
        name = getattr(callback, "__qualname__", repr(callback))
        self._effect = Effect(self._tell, name=f"{name} of state {signal.path!r}")

    def cancel(self) -> None:
        """Call it no more. Cancelling twice is harmless."""
        self._effect.dispose()

    def _tell(self) -> None:
        raw = self._signal.raw()
        if raw is self._told:
            return
        self._told = raw
        with untracked():
            self._callback(self._signal.path, None if raw is MISSING else tree.given(raw))


class Snapshot(Mapping[str, Any]):
    """A branch of a StateStore at one moment. It never changes; `dict` of it is a plain copy."""

    __slots__ = ("_branch",)

    def __init__(self, branch: Branch) -> None:
        self._branch = branch

    def __getitem__(self, name: str) -> Any:
        value = self._branch[name]
        return Snapshot(value) if type(value) is dict else tree.given(value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._branch)

    def __len__(self) -> int:
        return len(self._branch)

    def __repr__(self) -> str:
        return f"<Snapshot {tree.given(self._branch)!r}>"

"""StateStore: coordination state of a runtime, by dot paths, each path readable as a signal.

The whole state is one tree of dicts that are never changed: a write copies the dicts along its
path and puts the new root in place of the old one. So whoever reads sees one moment, and no lock
is held longer than that exchange. A node of the signal graph exists only for the paths that
somebody follows, and goes when nobody does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from weakref import ref

from edgekernel.core import tree
from edgekernel.core.effect import Effect, queue
from edgekernel.core.errors import StateConflictError
from edgekernel.core.graph import (
    Reacting,
    Source,
    changes,
    current,
    guard,
    mark_observers,
    stamps,
    untracked,
)
from edgekernel.core.signals import _current_batch
from edgekernel.core.tree import MISSING, Branch, Path


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
        self._root: Branch = cast(Branch, tree.taken(values or {}, ()))
        self._top = StateSignal(self, None, "")
        self._gone: deque[_Link] = deque()

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value (a branch as nested dicts), or `default` where there is none.

        Inside a computed or effect, depend on it.
        """
        tracker = current.get()
        if tracker is not None and tracker.consumer is not None:
            self.signal(path)._tracked()
        return self.peek(path, default)

    def peek(self, path: str, default: Any = None) -> Any:
        """Return a value, or `default` where there is none, without depending on it."""
        value = tree.found(self._root, tree.split(path))
        return default if value is MISSING else tree.given(value)

    def set(self, path: str, value: Any) -> None:
        """Store a value, then run the effects it concerns (inside a batch: at its end).

        What was at or below the path is replaced; missing branches are made. A value that is
        equal to the stored one, and of the same type, changes nothing.
        """
        names = tree.split(path, empty=False)
        new = tree.taken(value, names)
        while not self._exchange(root := self._root, tree.planted(root, names, new), names):
            pass

    def update(self, path: str, function: Callable[[Any], Any]) -> Any:
        """Set a path to `function(its value)` and return the new value; None where none is.

        No lock is held meanwhile. If another thread changes the value while `function` runs,
        it is called again with the newer value: it should do nothing else than compute.
        """
        names = tree.split(path, empty=False)
        while True:
            seen = tree.found(self._root, names)
            value = function(None if seen is MISSING else tree.given(seen))
            new = tree.taken(value, names)
            while tree.found(root := self._root, names) is seen:
                if self._exchange(root, tree.planted(root, names, new), names):
                    return tree.given(new)

    def delete(self, path: str) -> bool:
        """Remove a path and all below it; say whether there was anything."""
        names = tree.split(path, empty=False)
        while tree.found(root := self._root, names) is not MISSING:
            if self._exchange(root, tree.planted(root, names, MISSING), names):
                return True
        return False

    def snapshot(self, path: str = "") -> Snapshot:
        """Return a branch as it is at this moment, whatever its size at no cost.

        It is empty where there is nothing. Raises StateConflictError if a leaf is there.
        """
        names = tree.split(path)
        branch = tree.found(self._root, names)
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
        with guard:
            self._forget_unused()
            node = self._top
            for name in names:
                node = node._child(name) or node._grow(name)
        return node

    def subscribe(self, path: str, callback: Callable[[str, Any], object]) -> StateSubscription:
        """Call `callback(path, new value)` when something at or below a path has changed.

        It runs as a turn, with the latest value, None for a path that is gone; changes that
        come before its turn are told together. What it raises is reported like the error of
        an effect. Made inside an effect, the subscription goes with the effect's run.
        """
        return StateSubscription(self.signal(path), callback)

    def _exchange(self, old: Branch, new: Branch, names: Path) -> bool:
        """Put a tree in place of another one, changed at `names`; False if that is outdated."""
        if new is old:
            return self._root is old
        opened = _current_batch()
        effects: dict[Reacting, None] = {}
        with guard:
            if self._root is not old or (opened is not None and opened.closed):
                return False
            affected = list(self._top._affected(old, new, names))
            self._root = new  # value first: who reads in between sees the old version
            changes.writes += 1
            for node, before in affected:
                if opened is not None:
                    cast(Any, opened.before).setdefault(node, (before, node._version))
                    changes.open[opened] = None
                node._version = next(stamps)
            for node, _ in affected if opened is None else ():
                effects.update(dict.fromkeys(mark_observers(node)))
        if effects:
            queue(effects)
        return True

    def _forget_unused(self) -> None:
        """Drop what is left of nodes that are gone; under the guard."""
        while self._gone:
            link = self._gone.popleft()
            if link.siblings.get(link.name) is link:
                del link.siblings[link.name]

    def __repr__(self) -> str:
        return f"<StateStore {', '.join(self._root) or 'empty'}>"


class StateSignal(Source):
    """One path of a StateStore, to read; None while there is no value."""

    __slots__ = ("__weakref__", "_children", "_parent", "_store", "path")

    def __init__(self, store: StateStore, parent: StateSignal | None, path: str) -> None:
        super().__init__()
        self._store = store
        self._parent = parent  # keeps it in place: changes are found from the top down
        self._children: dict[str, _Link] = {}
        self.path = path

    def get(self) -> Any:
        """Return the value; inside a computed or effect, depend on it."""
        self._tracked()
        return self.peek()

    def peek(self) -> Any:
        """Return the value without depending on it."""
        return self._store.peek(self.path)

    @property
    def value(self) -> Any:
        """The value; the same as `get`."""
        return self.get()

    def _raw(self) -> Any:
        return tree.found(self._store._root, tree.split(self.path))

    def _child(self, name: str) -> StateSignal | None:
        link = self._children.get(name)
        return None if link is None else link()

    def _grow(self, name: str) -> StateSignal:
        node = StateSignal(self._store, self, f"{self.path}.{name}" if self.path else name)
        self._children[name] = _Link(node, name, self._children)
        return node

    def _affected(self, old: Any, new: Any, names: Path) -> Iterator[tuple[StateSignal, Any]]:
        """Yield the nodes whose value changes, each with its value before."""
        node: StateSignal | None = self
        for name in names:
            assert node is not None
            yield node, old
            node, old, new = node._child(name), tree.below(old, name), tree.below(new, name)
            if node is None:
                return
        work = [(cast(StateSignal, node), old, new)]
        while work:
            node, old, new = work.pop()
            if old is new:
                continue
            yield node, old
            for name, link in node._children.items():
                child = link()
                if child is not None:
                    work.append((child, tree.below(old, name), tree.below(new, name)))

    def _versioned(self) -> tuple[Any, int]:
        with guard:
            return self._raw(), self._version

    def _differs(self, old: Any, new: Any) -> bool:
        return tree.merged(old, new) is not old

    def __repr__(self) -> str:
        return f"<StateSignal {self.path} = {self.peek()!r}>"


class _Link(ref[StateSignal]):
    """A node seen from its parent: kept only by those who use it, and by what observes it.

    The link holds the node's observers and the links below it, and an effect among them holds
    its node and the nodes above; without effects nothing here holds a node.
    """

    __slots__ = ("children", "name", "observers", "siblings")

    def __new__(cls, node: StateSignal, name: str, siblings: dict[str, _Link]) -> _Link:
        # Only queued: a node may go in the middle of anything, and the guard may be held.
        return super().__new__(cls, node, node._store._gone.append)

    def __init__(self, node: StateSignal, name: str, siblings: dict[str, _Link]) -> None:
        self.name = name
        self.children = node._children
        self.observers = node._observers
        self.siblings = siblings


class StateSubscription:
    """Who is called when a path changes, until `cancel`."""

    def __init__(self, signal: StateSignal, callback: Callable[[str, Any], object]) -> None:
        self._signal = signal
        self._callback = callback
        self._told = signal._raw()
        name = getattr(callback, "__qualname__", repr(callback))
        self._effect = Effect(self._tell, name=f"{name} of state {signal.path!r}")

    def cancel(self) -> None:
        """Call it no more. Cancelling twice is harmless."""
        self._effect.dispose()

    def _tell(self) -> None:
        self._signal._tracked()
        raw = self._signal._raw()
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

"""The state store: dot paths, each one a signal."""

from __future__ import annotations

import contextlib
import copy
import gc
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekernel import Computed, Effect, Message, Runtime, StateStore, batch, message
from edgekernel.core.errors import EdgekernelError, StateConflictError, StateError


class Parked(Message):
    place: str


def test_holds_values_by_dot_path() -> None:
    """A path that was set gives its value, a path above it nested dicts, any other the default."""
    store = StateStore({"system": {"name": "n1"}})
    store.set("system.clock.uptime", 42)
    assert store.get("system.clock.uptime") == 42
    assert store.get("system") == {"name": "n1", "clock": {"uptime": 42}}
    assert store.get("") == {"system": {"name": "n1", "clock": {"uptime": 42}}}
    assert store.get("system.clock.uptime.seconds", "none") == "none"
    assert store.get("nowhere") is None
    store.set("system.name", None)
    assert store.get("system.name", "a default") is None


def test_setting_replaces_what_is_there() -> None:
    """A set takes the place of all that was at and below its path, not of what is beside it."""
    store = StateStore({"a": {"b": 1, "c": 2}, "d": 3})
    store.set("a", {"e": {}})
    assert store.get("") == {"a": {"e": {}}, "d": 3}
    store.set("a", 7)
    assert store.get("") == {"a": 7, "d": 3}


def test_deleting() -> None:
    """Deleting takes a path with all below it away, and says whether there was anything."""
    store = StateStore({"a": {"b": {"c": 1}, "d": 2}})
    assert store.delete("a.b")
    assert store.get("") == {"a": {"d": 2}}
    assert not store.delete("a.b")
    assert not store.delete("a.d.e")


@pytest.mark.parametrize("path", ["a.b", "a.b.c"])
def test_a_path_through_a_value_is_refused(path: str) -> None:
    """Nothing can be set below a value; the TypeError names both paths and changes nothing."""
    store = StateStore({"a": 5})
    with pytest.raises(StateConflictError, match=f"'{path}'.* 'a' holds a value .int") as caught:
        store.set(path, 1)
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, EdgekernelError)
    with pytest.raises(TypeError):
        store.update(path, lambda _: 1)
    assert store.get("") == {"a": 5}


@pytest.mark.parametrize(
    "path", [".", "a.", ".a", "a..b", " ", "a. .b", 5, None, ".".join("a" * 101)]
)
def test_what_is_no_path_is_refused(path: Any) -> None:
    """An empty name in a path, too many names, or something else than a text is an error."""
    store = StateStore()
    for use in (
        store.get,
        store.peek,
        store.delete,
        store.signal,
        store.snapshot,
        lambda path: store.set(path, 1),
        lambda path: store.update(path, lambda _: 1),
        lambda path: store.subscribe(path, print),
    ):
        with pytest.raises(StateError):
            use(path)
    assert store.get("") == {}


def test_the_whole_can_be_read_but_not_written() -> None:
    """The empty path stands for everything where something is read, and is refused elsewhere."""
    store = StateStore({"a": 1})
    assert store.get("") == store.signal("").get() == {"a": 1}
    for use in (lambda: store.set("", {}), lambda: store.delete(""), lambda: store.update("", id)):
        with pytest.raises(ValueError, match="is no path"):
            use()


@pytest.mark.parametrize("name", ["b.c", "", 7])
def test_a_mapping_with_names_that_no_path_reaches_is_refused(name: object) -> None:
    """The names in a mapping are names of paths."""
    with pytest.raises(StateError, match=r"'a': .* cannot be a name"):
        StateStore().set("a", {name: 1})


def test_a_value_that_cannot_be_copied_is_refused() -> None:
    """What cannot be copied cannot be kept apart from its owner; a mapping in itself neither."""
    store = StateStore()
    with pytest.raises(StateError, match=r"'a\.b': a value \(lock\) that cannot be copied"):
        store.set("a", {"b": threading.Lock()})
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(StateError, match="deeper than 100"):
        store.set("a", endless)


@pytest.mark.parametrize(
    "value",
    [
        [1, [2]], {3}, (4, [5]), b"six", 7.5, True, Parked("hall"),
        datetime(2026, 1, 2, tzinfo=UTC), {"deep": [{"er": 1}]},
    ],
)  # fmt: skip
def test_gives_back_what_was_put_in(value: object) -> None:
    """A value comes back equal and of its type."""
    store = StateStore()
    store.set("x.y", value)
    assert store.get("x.y") == value
    assert type(store.get("x.y")) is type(value)
    assert store.get("x") == {"y": value}


def test_no_live_internals() -> None:
    """Changing what was given or what was got does not change the store."""
    mine: dict[str, Any] = {"list": [1], "branch": {"leaf": 1}}
    store = StateStore()
    store.set("a", mine)
    seen: list[Any] = []
    store.update("b", lambda _: seen)

    mine["list"].append(2)
    mine["branch"]["leaf"] = 2
    store.get("a")["list"].append(2)
    store.get("a.list").append(2)
    store.signal("a").get()["branch"]["leaf"] = 2
    store.snapshot("a")["list"].append(2)
    store.update("a.list", lambda value: [*value])[:] = []
    seen.append(1)
    store.subscribe("a", lambda path, value: value.clear())
    store.set("a.more", True)

    assert store.get("a") == {"list": [1], "branch": {"leaf": 1}, "more": True}
    assert store.get("b") == []


def test_a_mapping_of_any_class_is_a_branch() -> None:
    """A read-only mapping and a snapshot can be set as well."""
    store = StateStore()
    store.set("a", MappingProxyType({"b": 1}))
    store.set("c", store.snapshot())
    assert store.get("c.a.b") == 1


def test_a_snapshot_stays() -> None:
    """A snapshot shows one moment, reads like nested dicts, and cannot be written."""
    store = StateStore({"a": {"b": 1}})
    before = store.snapshot()
    store.set("a.b", 2)
    assert before == {"a": {"b": 1}}
    assert before["a"]["b"] == 1
    assert store.snapshot("a") == {"b": 2}
    assert (len(before), list(before)) == (1, ["a"])
    assert store.snapshot("nowhere") == {}
    assert not hasattr(before, "__setitem__")
    with pytest.raises(StateConflictError, match=r"'a\.b' holds a value"):
        store.snapshot("a.b")


def runs_of(read: Callable[[], object]) -> list[object]:
    """What an effect has read, run by run."""
    seen: list[object] = []
    Effect(lambda: seen.append(read()))  # nothing but the store keeps it
    return seen


def test_every_path_is_a_signal() -> None:
    """A change re-runs those who read the path, one above or one below it, and nobody else."""
    store = StateStore({"a": {"b": {"c": 1}, "x": 1}, "y": 1})
    seen = {
        path: runs_of(lambda path=path: store.get(path))  # type: ignore[misc]
        for path in ("", "a", "a.b", "a.b.c", "a.x", "y", "a.b.c.d", "z")
    }

    def news(change: Callable[[], object]) -> set[str]:
        for values in seen.values():
            values.clear()
        change()
        assert all(len(values) <= 1 for values in seen.values())
        return {path for path, values in seen.items() if values}

    above = {"", "a", "a.b"}
    assert news(lambda: store.set("a.b.c", 2)) == {*above, "a.b.c"}
    assert seen["a"] == [{"b": {"c": 2}, "x": 1}]
    assert news(lambda: store.set("a.b.c", 2)) == set()
    assert news(lambda: store.set("a", {"b": {"c": 3}, "x": 1})) == {*above, "a.b.c"}
    assert news(lambda: store.set("a.b", {"c": {"d": 1}})) == {*above, "a.b.c", "a.b.c.d"}
    assert news(lambda: store.delete("a.b")) == {*above, "a.b.c", "a.b.c.d"}
    assert (seen["a.b"], seen["a.b.c"]) == ([None], [None])
    assert news(lambda: store.set("z", 1)) == {"", "z"}
    assert news(lambda: store.set("a.x", True)) == {"", "a", "a.x"}


def test_signals_and_computeds() -> None:
    """A path's signal and a `get` in a computed are followed; `peek` is not."""
    store = StateStore({"a": {"b": 1, "c": 1}})
    doubled = Computed(lambda: store.signal("a.b").value * 2)
    peeked = Computed(lambda: store.peek("a.c") + store.signal("a.c").peek())
    seen, quiet = runs_of(doubled), runs_of(peeked)
    store.set("a.b", 2)
    store.set("a.c", 2)
    assert (seen, quiet) == ([2, 4], [2])
    assert doubled.get() == 4
    assert store.signal("a").get() == {"b": 2, "c": 2}
    assert not hasattr(store.signal("a"), "set")


def test_an_effect_lives_as_long_as_the_store() -> None:
    """An effect that nothing else refers to goes on hearing of paths, deep ones too."""
    store = StateStore()
    seen = runs_of(lambda: store.get("a.b.c"))
    gc.collect()
    store.set("a.b.c", 1)
    assert seen == [None, 1]


def test_a_batch_is_one_change() -> None:
    """Several sets in a batch run an effect once, and not at all if all is as it was."""
    store = StateStore({"a": {"b": 1, "c": [1]}})
    seen = runs_of(lambda: store.get("a"))
    with batch():
        store.set("a.b", 2)
        store.set("a.c", [2])
        assert store.get("a.b") == 2
    with batch():
        store.set("a.c", [3])
        store.delete("a.b")
        store.set("a", {"b": 2, "c": [2]})
    assert seen == [{"b": 1, "c": [1]}, {"b": 2, "c": [2]}]


def test_subscribers() -> None:
    """A subscriber hears of changes at, below and above its path, until it is cancelled."""
    store = StateStore({"a": {"b": 1}})
    heard: list[tuple[str, object]] = []
    subscription = store.subscribe("a", lambda path, value: heard.append((path, value)))
    assert heard == []
    store.set("a.b", 2)
    store.set("a.b", 2)
    store.set("other", 1)
    store.delete("a")
    gc.collect()
    store.set("a.c.d", 3)
    subscription.cancel()
    subscription.cancel()
    store.set("a", 4)
    assert heard == [("a", {"b": 2}), ("a", None), ("a", {"c": {"d": 3}})]


def test_what_a_subscriber_reads_does_not_call_it() -> None:
    """Only the subscribed path counts."""
    store = StateStore({"a": 1})
    heard: list[object] = []
    store.subscribe("a", lambda path, value: heard.append(store.get("b")))
    store.set("a", 2)
    store.set("b", 1)
    assert heard == [None]


def test_subscribers_are_isolated(make_runtime: Callable[..., Runtime]) -> None:
    """One that raises is reported as a message of the runtime; the others are called."""
    runtime = make_runtime()
    runtime.boot()
    errors: list[Any] = []
    runtime.subscribe(message.EffectError, lambda event: errors.append(event.payload))
    store = StateStore()
    heard: list[object] = []

    def broken(path: str, value: object) -> None:
        raise OSError("no such lamp")

    def subscribe() -> None:
        store.subscribe("lamp", broken)
        store.subscribe("lamp", lambda path, value: heard.append(value))

    runtime.turns.call(subscribe, "subscribe")
    store.set("lamp", 1)
    store.set("lamp", 2)
    assert heard == [1, 2]
    assert [error.error for error in errors] == ["OSError: no such lamp"] * 2
    assert "broken of state 'lamp'" in errors[0].effect


def test_update() -> None:
    """An update gives the function the present value, None where there is none."""
    store = StateStore()
    assert store.update("a.count", lambda value: (value or 0) + 1) == 1
    assert store.update("a.count", lambda value: (value or 0) + 1) == 2
    with pytest.raises(ZeroDivisionError):
        store.update("a.count", lambda value: value / 0)
    assert store.get("a") == {"count": 2}


@pytest.mark.usefixtures("eager_switching")
def test_no_update_is_lost() -> None:
    """What many threads count up in one place is all there, whatever they write beside it."""
    store = StateStore()
    times, threads = 300, 4

    def count(number: int) -> None:
        for n in range(times):
            store.update("shared.count", lambda value: (value or 0) + 1)
            store.set(f"shared.own{number}", n)

    workers = [threading.Thread(target=count, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert store.get("shared.count") == times * threads
    assert [store.get(f"shared.own{n}") for n in range(threads)] == [times - 1] * threads


def test_an_update_keeps_nobody_waiting() -> None:
    """While the function of an update runs, others read and write; it is called again then."""
    store = StateStore({"a": 1, "b": 1})
    given_values: list[int] = []

    def slow(value: int) -> int:
        given_values.append(value)
        if len(given_values) == 1:
            other = threading.Thread(target=lambda: store.set("a", store.get("a") + 10))
            other.start()
            other.join(timeout=30)
            assert not other.is_alive()
        return value + 1

    assert store.update("a", slow) == 12
    assert given_values == [1, 11]

    def beside(value: int) -> int:
        store.set("b", 2)
        given_values.append(value)
        return value + 1

    assert store.update("a", beside) == 13
    assert given_values == [1, 11, 12]  # a change elsewhere is no reason to call it again


@pytest.mark.usefixtures("eager_switching")
def test_who_reads_sees_one_moment() -> None:
    """A branch that is set as a whole is read as a whole, by whatever way."""
    store = StateStore({"pair": {"left": 0, "right": 0}})
    mixed: list[object] = []
    both = Computed(lambda: store.get("pair"))
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            pairs = (store.get("pair"), store.snapshot("pair"), both.get())
            mixed.extend(pair for pair in pairs if pair["left"] != pair["right"])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for n in range(500):
        store.set("pair", {"left": n, "right": n})
    done.set()
    for reader in readers:
        reader.join()
    assert mixed == []
    assert both.get() == {"left": 499, "right": 499}


def test_signals_that_nobody_uses_go() -> None:
    """Paths that were followed once do not add up, while one in use stays the same signal."""
    store = StateStore()
    held = store.signal("jobs.held")

    def follow(path: str) -> weakref.ref[object]:
        job = store.signal(path)
        Effect(job.get).dispose()
        store.subscribe(path, print).cancel()
        return weakref.ref(job)

    made = [follow(f"jobs.{n}.state") for n in range(500)]
    gc.collect()
    assert [reference for reference in made if reference() is not None] == []
    assert store.signal("jobs.held") is held
    assert sorted(store._signals) == ["jobs", "jobs.held"]


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(".".join)
LEAVES = st.one_of(st.integers(0, 2), st.text(max_size=2), st.lists(st.integers(0, 1), max_size=2))
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=2), max_leaves=4)
STEPS = st.one_of(
    st.tuples(st.just("set"), PATHS, VALUES),
    st.tuples(st.just("update"), PATHS, VALUES),
    st.tuples(st.just("delete"), PATHS, st.none()),
)


def look_up(model: dict[str, Any], names: list[str]) -> Any:
    """What nested dicts have at a path; raises KeyError."""
    value: Any = model
    for name in names:
        if not isinstance(value, dict):
            raise KeyError(name)
        value = value[name]
    return value


def apply(model: dict[str, Any], kind: str, path: str, value: object) -> bool:
    """Do to nested dicts what is asked of the store; False if a leaf is in the way."""
    *above, last = path.split(".")
    if kind == "delete":
        with contextlib.suppress(KeyError, TypeError):
            del look_up(model, above)[last]
        return True
    branch = model
    for name in above:
        if not isinstance(branch.get(name, {}), dict):
            return False
        branch = branch.setdefault(name, {})
    branch[last] = value
    return True


def trial(model: dict[str, Any], kind: str, path: str, value: object) -> dict[str, Any] | None:
    """Return the model after a step, or None if it must be refused."""
    after = copy.deepcopy(model)
    return after if apply(after, kind, path, copy.deepcopy(value)) else None


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=12), st.booleans())
def test_behaves_like_nested_dicts(steps: list[tuple[str, str, Any]], batched: bool) -> None:
    """Whatever is done, the store, its signals and its effects agree with plain nested dicts."""
    store, model = StateStore(), dict[str, Any]()
    followed = ["", "a", "a.b", "a.b.c", "b", "c.a"]
    seen = {path: runs_of(lambda path=path: store.get(path)) for path in followed}  # type: ignore[misc]

    def expected(path: str) -> Any:
        try:
            return look_up(model, path.split(".") if path else [])
        except KeyError:
            return None

    def do(kind: str, path: str, value: Any) -> None:
        nonlocal model
        after = trial(model, kind, path, value)
        act: dict[str, Callable[[], object]] = {
            "set": lambda: store.set(path, value),
            "update": lambda: store.update(path, lambda _: value),
            "delete": lambda: store.delete(path),
        }
        if after is None:
            with pytest.raises(StateConflictError):
                act[kind]()
            return
        act[kind]()
        model = after

    for n in range(0, len(steps), 2):
        before = {path: expected(path) for path in followed}
        counts = {path: len(values) for path, values in seen.items()}
        if batched:
            with batch():
                for step in steps[n : n + 2]:
                    do(*step)
        else:
            do(*steps[n])
        assert store.get("") == store.snapshot() == model
        for path in followed:
            assert store.signal(path).get() == seen[path][-1] == expected(path)
            ran = len(seen[path]) - counts[path]
            assert ran == int(expected(path) != before[path])


def test_an_update_that_writes_its_own_path_ends() -> None:
    """P3: a function that sets what it is to compute is an error with what to do, not a hang."""
    store = StateStore({"a": {"count": 1}})

    def wrong(value: int) -> int:
        store.set("a.count", value + 1)
        return value + 1

    with pytest.raises(StateConflictError, match=r"'a\.count' changes whenever .* must return it"):
        store.update("a.count", wrong)

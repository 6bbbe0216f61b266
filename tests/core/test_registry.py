"""The registry: providers by contract and properties, tracked, from any thread."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Protocol

import pytest

from edgekernel import ConfigError, Effect, Runtime, Signal, UnavailableError, component, requires
from edgekernel.core.provider import RANKING, Consumer, Provider
from edgekernel.core.registry import Registry

MakeRuntime = Callable[..., Runtime]


class IVoice(Protocol):
    def say(self, text: str) -> str: ...


class Voice:
    def say(self, text: str) -> str:
        return text


class TestChoosing:
    def test_the_lowest_ranking_wins_and_ties_go_to_the_first(self) -> None:
        """A3.3: by ranking, then in the order of registration; among all as for one."""
        registry = Registry()
        late, best, early = Voice(), Voice(), Voice()
        registry.provide(IVoice, early, "early", {RANKING: 5})
        registry.provide(IVoice, late, "late", {RANKING: 5})
        registry.provide(IVoice, best, "best", {RANKING: -1})
        assert registry.require(IVoice) is best
        assert registry.all(IVoice) == [best, early, late]

    def test_by_properties(self) -> None:
        """A3.3: every property that is asked for has to be there and be equal."""
        registry = Registry()
        german, english = Voice(), Voice()
        registry.provide(IVoice, german, "de", {"language": "de", "sex": None})
        registry.provide(IVoice, english, "en", {"language": "en"})
        assert registry.find(IVoice, language="en") is english
        assert registry.find(IVoice, language="de", sex=None) is german
        assert registry.find(IVoice, language="en", sex=None) is None
        assert registry.find(IVoice, id="de") is german
        with pytest.raises(UnavailableError, match="nobody provides IVoice, language 'fr'"):
            registry.require(IVoice, language="fr")

    def test_a_map_takes_the_best_of_each_value(self) -> None:
        """K17: of two with one value the lower ranking stays; without the property: left out."""
        registry = Registry()
        good, bad, other = Voice(), Voice(), Voice()
        registry.provide(IVoice, bad, "bad", {"language": "en", RANKING: 99})
        registry.provide(IVoice, other, "other", {"language": "de", RANKING: 50})
        registry.provide(IVoice, good, "good", {"language": "en"})
        registry.provide(IVoice, Voice(), "mute")
        found = registry.map(IVoice, "language")
        assert list(found.items()) == [("en", good), ("de", other)]

    def test_two_protocols_of_one_name_are_two(self) -> None:
        """A2.2: a contract is the class; its name alone, if two have it, is refused."""

        def protocol() -> type:
            class IConfig(Protocol): ...

            return IConfig

        first, second = protocol(), protocol()
        registry = Registry()
        one, other = object(), object()
        registry.provide(first, one, "one")
        assert registry.require("IConfig") is one
        registry.provide(second, other, "other")
        assert registry.all(first) == [one]
        assert registry.all(second) == [other]
        with pytest.raises(ConfigError, match="'IConfig' names several contracts"):
            registry.find("IConfig")

    def test_finding_one_makes_only_that_one(self) -> None:
        """A factory is asked for what is wanted, not for what would do as well."""
        registry = Registry()
        made: list[str] = []

        def make(name: str) -> Callable[[Consumer], object]:
            def scope(consumer: Consumer) -> object:
                made.append(f"{name} for {consumer.name}")
                return object()

            return scope

        registry.provide("store", None, "worse", {RANKING: 1}, factory=make("worse"))
        registry.provide("store", None, "better", factory=make("better"))
        registry.require("store", "me")
        assert made == ["better for me"]


class TestChanges:
    def test_a_provider_of_two_contracts_is_one_change(self) -> None:
        """K39: an effect that reads both contracts runs once, and never sees one half."""
        registry = Registry()
        seen: list[tuple[int, int]] = []
        reader = Effect(lambda: seen.append((len(registry.all("a")), len(registry.all("b")))))
        provider = registry.provide(("a", "b"), object(), "both")
        registry.withdraw(provider)
        reader.dispose()
        assert seen == [(0, 0), (1, 1), (0, 0)]

    def test_what_changes_nothing_is_no_change(self) -> None:
        """Withdrawing twice, or exchanging one for itself, wakes nobody."""
        registry = Registry()
        runs: list[int] = []
        reader = Effect(lambda: runs.append(len(registry.all("a"))))
        provider = registry.provide("a", object(), "one")
        registry.exchange(provider, provider)
        registry.withdraw(provider)
        registry.withdraw(provider)
        reader.dispose()
        assert runs == [0, 1, 0]

    def test_an_exchange_is_never_seen_without_either(self) -> None:
        """P12: the new one is there at the moment at which the old one is gone, in its place."""
        registry = Registry()
        old = registry.provide("a", "old", "one")
        registry.provide("a", "other", "two")
        seen: list[list[str]] = []
        reader = Effect(lambda: seen.append(list(registry.all("a"))))
        registry.exchange(old, Provider("one", "new", ("a",)))
        reader.dispose()
        assert seen == [["old", "other"], ["new", "other"]]

    def test_names_are_unique(self) -> None:
        """Two providers of one name could not be told apart: ConfigError, and nothing changes."""
        registry = Registry()
        registry.provide("a", 1, "one")
        with pytest.raises(ConfigError, match="one: there is a provider of this name already"):
            registry.provide("a", 2, "one")
        assert registry.all("a") == [1]

    def test_what_does_not_fulfil_its_contract_is_not_taken(self) -> None:
        """A2.18: ConfigError names the missing member, and nothing changes."""
        registry = Registry()
        with pytest.raises(ConfigError, match="mute: object provides IVoice but has no say"):
            registry.provide(IVoice, object(), "mute")
        assert len(registry) == 0

    def test_withdrawing_drops_what_was_made(self) -> None:
        """K4: a provider that comes back makes new objects, not those of its earlier life."""
        registry = Registry()
        provider = registry.provide("a", None, "one", factory=lambda _: object())
        before: object = registry.require("a", "me")
        registry.withdraw(provider)
        registry.exchange(None, provider)
        assert registry.require("a", "me") is not before


def test_threads_provide_withdraw_and_read(eager_switching: None) -> None:
    """A3.2: no provider is lost or stays behind, and no reader sees half of one."""
    registry = Registry()
    stop, wrong = threading.Event(), []
    seen = Signal(0)
    watcher = Effect(lambda: seen.set(len(registry.all("a"))))

    def change(number: int) -> None:
        for turn in range(100):
            provider = registry.provide(("a", "b"), (number, turn), f"{number}")
            if provider not in registry.providers("a") or provider not in registry.providers("b"):
                wrong.append(f"{number}.{turn} is not there")
            registry.withdraw(provider)
            if provider in registry.providers("a"):
                wrong.append(f"{number}.{turn} is still there")
        registry.provide(("a", "b"), number, f"{number}")

    def read() -> None:
        while not stop.is_set():
            try:
                found: list[object] = registry.all("a")
                if len(found) > 6:
                    wrong.append(f"too many: {found}")
            except Exception as error:
                wrong.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    changers = [threading.Thread(target=change, args=(number,)) for number in range(6)]
    for thread in (*readers, *changers):
        thread.start()
    for thread in changers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert sorted(registry.all("b")) == list(range(6))
    watcher.run()
    watcher.dispose()
    assert seen.get() == 6


class TestConsumers:
    @component("store")
    class Store: ...

    def test_who_is_given_what(self, make_runtime: MakeRuntime) -> None:
        """A3.6: consumers and their number follow what each is given now."""

        class User:
            store = requires(TestConsumers.Store)

        class Collector:
            stores = requires(list[TestConsumers.Store])

        runtime = make_runtime()
        runtime.register(self.Store, "main")
        runtime.register(self.Store, "spare", properties={RANKING: 5})
        runtime.register(User, "user")
        runtime.register(Collector, "collector")
        runtime.boot()
        registry = runtime.registry
        assert registry.consumers("main") == ["user", "collector"]
        assert registry.consumers("spare") == ["collector"]
        registry.providers(self.Store, {"id": "main"})[0].set_properties(**{RANKING: 9})
        assert (registry.ref_count("main"), registry.ref_count("spare")) == (1, 2)
        runtime.hot_remove("user")
        assert registry.usage() == {
            "main": ["collector"], "spare": ["collector"], "collector": [],
        }  # fmt: skip
        assert registry.consumers("nobody") == []

    def test_in_use_it_is_not_removed(self, make_runtime: MakeRuntime) -> None:
        """K16: what a consumer cannot do without stays, and the error names the consumer."""

        class User:
            store = requires(TestConsumers.Store)

        runtime = make_runtime()
        runtime.register(self.Store, "main")
        runtime.register(User, "user")
        runtime.boot()
        with pytest.raises(RuntimeError, match="user"):
            runtime.hot_remove("main")
        assert runtime.registry.ref_count("main") == 1


def test_what_is_withdrawn_is_freed() -> None:
    """Nothing of a provider, its service or what it made stays in the registry or its readers."""

    class Service: ...

    registry = Registry()
    reader = Effect(lambda: registry.all("a", "me") and None)
    service = Service()
    plain = registry.provide("a", service, "plain")
    made = registry.provide("a", None, "maker", factory=lambda _: Service())
    kept = [weakref.ref(each) for each in (service, plain, made, registry.all("a", "me")[1])]
    registry.withdraw(plain)
    registry.withdraw(made)
    del service, plain, made
    gc.collect()
    assert [ref() for ref in kept] == [None] * 4
    reader.dispose()

"""Injection: what a component requires reaches it, follows every change, and is never dead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from edgekernel import (
    ConfigError,
    Process,
    Runtime,
    Signal,
    UnavailableError,
    command,
    component,
    computed,
    effect,
    lifecycle,
    prop,
    provides,
    requires,
)
from edgekernel.core.errors import LifecycleError
from edgekernel.core.injection import requirements
from edgekernel.core.provider import RANKING, Consumer

MakeRuntime = Callable[..., Runtime]


class IVoice(Protocol):
    def say(self) -> str: ...


@provides(IVoice)
@prop("language", "language", "en")
@prop("ranking", RANKING, 0)
class Voice:
    language: str
    ranking: float

    def say(self) -> str:
        return self.language


class Log: ...


class Watcher:
    """Keeps what it is given at each run of its effect."""

    wanted: Any

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @effect
    def watch(self) -> None:
        self.seen.append(self.wanted)


def watcher(*contract: Any, **how: Any) -> Any:
    """Make a watcher class with a requirement."""

    class Made(Watcher):
        wanted = requires(*contract, **how)

    return Made


class TestForms:
    def test_one_list_map_and_optional(self, make_runtime: MakeRuntime) -> None:
        """A2.3: as class attributes: the best one, all, by a property, None while there is none."""

        class User:
            voice = requires(IVoice)
            voices = requires(list[IVoice])
            spoken = requires(IVoice, key="language")
            typed: Any = requires(dict[str, IVoice], key="language")
            german = requires(IVoice, where={"language": "de"})
            by_id = requires(IVoice, id="low")
            log = requires("ILog", optional=True)
            logs = requires(list[Log])

        runtime = make_runtime()
        low = runtime.register(Voice, "low", properties={"language": "de", RANKING: 5})
        high = runtime.register(Voice, "high")
        user = runtime.register(User)
        runtime.boot()
        assert (user.voice, user.voices) == (high, [high, low])
        assert user.spoken == user.typed == {"en": high, "de": low}
        assert (user.german, user.by_id) == (low, low)
        assert (user.log, user.logs) == (None, [])

    def test_over_the_class(self, make_runtime: MakeRuntime) -> None:
        """A2.3: the decorator's four forms: single, list, map with key=, optional."""

        @requires(voice=IVoice, same="IVoice", voices=list[IVoice])
        @requires(spoken=IVoice, key="language")
        @requires(log="ILog", optional=True)
        class User:
            voice: Any
            same: Any
            voices: Any
            spoken: Any
            log: Any

        runtime = make_runtime()
        voice = runtime.register(Voice)
        user = runtime.register(User)
        runtime.boot()
        assert user.voice is user.same is voice
        assert (user.voices, user.spoken, user.log) == ([voice], {"en": voice}, None)

    def test_any_name_will_do(self, make_runtime: MakeRuntime) -> None:
        """K36: no name of a requirement is taken by the runtime: it is what was asked for."""
        names = ("bus", "on", "publish", "spawn", "peek", "inject", "services", "properties",
                 "emit", "clock", "state", "registry", "runtime", "depends", "name", "id",
                 "where", "contract", "self")  # fmt: skip

        class User: ...

        wanted: dict[str, Any] = dict.fromkeys(names, IVoice)
        requires(**wanted)(User)
        runtime = make_runtime()
        voice = runtime.register(Voice)
        user = runtime.register(User)
        runtime.boot()
        assert [getattr(user, name) for name in names] == [voice] * len(names)

    def test_a_name_that_means_something_is_refused(self, make_runtime: MakeRuntime) -> None:
        """K36: what cannot be had beside the runtime's own meaning is an error, not a surprise."""
        with pytest.raises(ConfigError, match=r"User\.ctx: that is the runtime's context"):

            @requires(ctx=IVoice)
            class User: ...

        class Clumsy(Process):
            name = "clumsy"
            start = requires(IVoice)  # type: ignore[assignment]

        with pytest.raises(ConfigError, match=r"clumsy\.start hides what every process has"):
            make_runtime().register(Clumsy())
        wrongs: list[dict[str, Any]] = [{"key": IVoice}, {"optional": IVoice}]
        for wrong in wrongs:
            with pytest.raises(ConfigError):

                @requires(voice=IVoice, **wrong)
                class Other: ...

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda: requires(IVoice | None),  # type: ignore[arg-type]
            lambda: requires(Callable[[], int]),  # type: ignore[call-overload]
            lambda: requires(dict[str, IVoice]),
            lambda: requires(list[IVoice], key="language"),
            lambda: requires(list[int | str]),
            lambda: requires(7),  # type: ignore[call-overload]
        ],
        ids=["union", "generic", "map without key", "list with key", "list of union", "number"],
    )
    def test_what_is_no_contract_is_refused(self, wrong: Callable[[], object]) -> None:
        """Never silently another contract: a form that means nothing is a ConfigError."""
        with pytest.raises(ConfigError):
            wrong()

    def test_a_subclass_replaces_and_drops(self) -> None:
        """A subclass inherits requirements, may replace one, and drops one by assigning to it."""

        @requires(voice=IVoice, log="ILog")
        class Base: ...

        @requires(voice="Other")
        class Child(Base):
            log = None

        assert [str(each) for each in requirements(Base)] == ["IVoice", "ILog"]
        assert [str(each) for each in requirements(Child)] == ["Other"]


class TestUnitTests:
    """P7 of the patterns: bodies are tested as bodies, with fakes."""

    class Speaker:
        voice = requires(IVoice)

        @computed
        def text(self) -> str:
            return self.voice.say() + "!"

    class Fake:
        def say(self) -> str:
            return "fake"

    def test_a_fake_is_assigned(self) -> None:
        """Without a runtime an assigned fake is what is read."""
        speaker = self.Speaker()
        speaker.voice = self.Fake()
        assert speaker.text() == "fake!"

    def test_reading_it_too_early_says_what_to_do(self) -> None:
        """Before injection reading is a LifecycleError with the attribute and the ways out."""
        with pytest.raises(LifecycleError, match=r"Speaker\.voice: .*start.*x\.voice = "):
            self.Speaker().text()

    def test_a_fake_stays_in_a_runtime(self, make_runtime: MakeRuntime) -> None:
        """What was assigned by hand is neither required nor replaced, also after the end."""
        speaker, fake = self.Speaker(), self.Fake()
        speaker.voice = fake
        runtime = make_runtime()
        runtime.register(speaker)
        runtime.boot()
        assert speaker.text() == "fake!"
        runtime.shutdown()
        assert speaker.voice is fake

    def test_what_was_injected_is_taken_back(self, make_runtime: MakeRuntime) -> None:
        """P12: after the end a component holds nothing of the runtime it was in."""
        runtime = make_runtime()
        runtime.register(Voice)
        speaker = runtime.register(self.Speaker)
        runtime.boot()
        assert speaker.voice.say() == "en"
        runtime.shutdown()
        assert vars(speaker) == {}
        with pytest.raises(LifecycleError):
            speaker.text()


class TestFollowing:
    """Arrival, departure and a better provider reach consumers, exactly once per change."""

    def test_arrival_and_departure(self, make_runtime: MakeRuntime) -> None:
        """K4: list, map and optional follow each change; with the last one gone they say so."""
        runtime = make_runtime()
        classes = (
            watcher(list[IVoice]),
            watcher(IVoice, key="language"),
            watcher(IVoice, optional=True),
        )
        several, mapped, maybe = (runtime.register(cls, f"w{i}") for i, cls in enumerate(classes))
        runtime.boot()
        english = runtime.hot_add(Voice, "english")
        german = runtime.hot_add(Voice, "german", properties={"language": "de"})
        runtime.hot_remove("english")
        runtime.hot_remove("german")
        assert several.seen == [[], [english], [english, german], [german], []]
        assert mapped.seen == [
            {}, {"en": english}, {"en": english, "de": german}, {"de": german}, {},
        ]  # fmt: skip
        assert maybe.seen == [None, english, german, None]

    def test_a_better_one(self, make_runtime: MakeRuntime) -> None:
        """K19: a better provider is given at once, and a worse one changes nothing."""
        runtime = make_runtime()
        first = runtime.register(Voice, "first")
        user = runtime.register(watcher(IVoice))
        runtime.boot()
        runtime.hot_add(Voice, "worse", properties={RANKING: 1})
        better = runtime.hot_add(Voice, "better", properties={RANKING: -1})
        runtime.hot_remove("better")
        assert user.seen == [first, better, first]
        assert user.wanted is first

    def test_properties_change_at_run_time(self, make_runtime: MakeRuntime) -> None:
        """K18: by the attribute or by the provider, who chooses by a property chooses again."""
        runtime = make_runtime()
        one = runtime.register(Voice, "one")
        two = runtime.register(Voice, "two", properties={RANKING: 1})
        best = runtime.register(watcher(IVoice), "best")
        german = runtime.register(watcher(list[IVoice], where={"language": "de"}), "german")
        mapped = runtime.register(watcher(IVoice, key="language"), "mapped")
        runtime.boot()
        assert (two.ranking, two.language) == (1, "en")
        two.ranking = -1
        two.language = "de"
        runtime.registry.providers(IVoice, {"id": "two"})[0].set_properties(
            **{RANKING: 7, "language": "fr"}
        )
        assert (two.ranking, two.language) == (7, "fr")
        assert best.seen == [one, two, one]
        assert german.seen == [[], [two], []]
        assert mapped.seen == [
            {"en": one}, {"en": two}, {"en": one, "de": two}, {"en": one, "fr": two},
        ]  # fmt: skip

    def test_a_property_that_nobody_chooses_by(self, make_runtime: MakeRuntime) -> None:
        """P4: consumers are not woken by properties that do not concern them."""
        runtime = make_runtime()
        runtime.register(Voice, "one")
        user = runtime.register(watcher(IVoice))
        runtime.boot()
        runtime.registry.providers(IVoice)[0].set_properties(room="hall")
        assert len(user.seen) == 1

    def test_the_attribute_is_there_while_activating(self, make_runtime: MakeRuntime) -> None:
        """K18: a property has its value, the instance's own, before anything is called."""
        seen: list[str] = []

        @prop("language", "language", "en")
        class Early:
            language: str

            @lifecycle.activate
            def up(self) -> None:
                seen.append(self.language)

        assert Early().language == "en"
        runtime = make_runtime()
        runtime.register(Early, "one")
        runtime.register(Early, "two", properties={"language": "de"})
        runtime.boot()
        assert seen == ["en", "de"]

    def test_a_provider_of_two_contracts(self, make_runtime: MakeRuntime) -> None:
        """K39: one arrival is one run for an effect that reads both contracts."""

        class User:
            a = requires("A", optional=True)
            b = requires("B", key="id")

            def __init__(self) -> None:
                self.seen: list[tuple[bool, int]] = []

            @effect
            def watch(self) -> None:
                self.seen.append((self.a is not None, len(self.b)))

        @provides("A", "B")
        class Both: ...

        runtime = make_runtime()
        user = runtime.register(User)
        runtime.boot()
        runtime.hot_add(Both)
        runtime.hot_remove("both")
        assert user.seen == [(False, 0), (True, 1), (False, 0)]

    def test_one_that_equals_the_old_one_is_another(self, make_runtime: MakeRuntime) -> None:
        """K4: consumers get the new object even if it is equal to the one that has gone."""

        @component("store")
        @dataclass
        class Store:
            path: str = "data"

        runtime = make_runtime()
        old = runtime.register(Store)
        how: list[dict[str, Any]] = [{}, {"optional": True}, {"key": "id"}]
        one, several, mapped = (
            runtime.register(watcher(Store, **options), f"w{number}")
            for number, options in enumerate(how)
        )
        plain = runtime.register(watcher(list[Store]), "list")
        runtime.boot()
        (new,) = runtime.hot_update(Store)
        assert new == old
        assert new is not old
        for each, wanted in ((one, new), (several, new), (mapped, {"store": new}), (plain, [new])):
            assert each.seen[-1] == wanted
            assert len(each.seen) == 2
        assert one.wanted is mapped.wanted["store"] is plain.wanted[0] is new

    def test_read_by_a_command_it_is_the_present_one(self, make_runtime: MakeRuntime) -> None:
        """K19: outside of effects too, the attribute is what is there now, not a snapshot."""

        class User:
            voice = requires(IVoice, optional=True)

            @command
            def speak(self) -> str:
                return self.voice.say() if self.voice else "silence"

        runtime = make_runtime()
        runtime.register(User)
        runtime.boot()
        answers = [runtime.invoke("user.speak")]
        runtime.hot_add(Voice, "one", properties={"language": "de"})
        answers.append(runtime.invoke("user.speak"))
        runtime.hot_remove("one")
        answers.append(runtime.invoke("user.speak"))
        assert answers == ["silence", "de", "silence"]

    def test_of_one_provided_by_hand(self, make_runtime: MakeRuntime) -> None:
        """A required service that is withdrawn by hand is an error to read, and unhealthy."""
        runtime = make_runtime()
        provider = runtime.registry.provide("clock", "tick", "clock")
        user = runtime.register(watcher("clock"), "user")
        runtime.boot()
        assert runtime.health()["healthy"]
        runtime.registry.withdraw(provider)
        with pytest.raises(UnavailableError, match=r"user\.wanted: nobody provides clock"):
            user.wanted  # noqa: B018 (reading it is the point)
        assert runtime.health()["parts"]["user"] == {
            "healthy": False, "reason": "nobody provides clock",
        }  # fmt: skip
        runtime.registry.provide("clock", "tock", "clock")
        assert user.seen == ["tick", "tock"]
        assert runtime.health()["healthy"]

    def test_a_component_is_not_given_itself(self, make_runtime: MakeRuntime) -> None:
        """Who provides what it requires wraps another one: it is given that, however it ranks."""

        @provides(IVoice)
        class Loud:
            inner = requires(IVoice)

            def say(self) -> str:
                return self.inner.say().upper()

        runtime = make_runtime()
        user = runtime.register(watcher(IVoice))
        runtime.register(Loud, properties={RANKING: -1})
        runtime.register(Voice)
        runtime.boot()
        assert user.wanted.say() == "EN"
        assert [len(user.seen), user.seen[0].say()] == [1, "EN"]


class TestFactories:
    """Structural scoping: what is given is made for who is given it."""

    class Store:
        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

    @staticmethod
    def register(runtime: Runtime) -> list[str]:
        made: list[str] = []

        @provides("IStore", factory="scope")
        class Stores:
            def scope(self, consumer: Consumer) -> TestFactories.Store:
                made.append(consumer.name)
                return TestFactories.Store(f"{consumer.component}/{consumer.name}")

        runtime.register(Stores)
        return made

    @staticmethod
    def user() -> Any:
        @component("user", namespace="app")
        class User(Watcher):
            wanted = requires("IStore", optional=True)

        return User

    def test_each_instance_has_its_own(self, make_runtime: MakeRuntime) -> None:
        """A3.10: two instances of one class are given different objects, each the same always."""
        runtime, user = make_runtime(), self.user()
        made = self.register(runtime)
        tenants = [runtime.register(user, name) for name in ("acme", "globex")]
        runtime.boot()
        assert [tenant.wanted.prefix for tenant in tenants] == ["app.user/acme", "app.user/globex"]
        assert tenants[0].wanted is tenants[0].seen[0]
        assert made == ["acme", "globex"]

    def test_a_change_goes_through_the_factory(self, make_runtime: MakeRuntime) -> None:
        """A3.5: injected again after a change it is still a scoped object, never the provider."""
        runtime = make_runtime()
        made = self.register(runtime)
        user = runtime.register(self.user(), "acme")
        runtime.boot()
        runtime.registry.provide("IStore", "plain", "plain", {RANKING: 1})
        runtime.hot_remove("stores")
        self.register(runtime)
        assert [str(getattr(each, "prefix", each)) for each in user.seen] == [
            "app.user/acme", "plain", "app.user/acme",
        ]  # fmt: skip
        assert user.seen[0] is not user.seen[2]
        assert made == ["acme"]

    def test_no_extra_runs(self, make_runtime: MakeRuntime) -> None:
        """A3.7: changes elsewhere in the registry give no new object and no run."""
        runtime = make_runtime()
        made = self.register(runtime)
        user = runtime.register(self.user(), "acme")
        runtime.boot()
        runtime.hot_add(Voice, "unrelated")
        runtime.registry.provide("IStore", "plain", "plain", {RANKING: 1})
        assert (len(user.seen), made) == (1, ["acme"])

    def test_dropped_with_the_consumer(self, make_runtime: MakeRuntime) -> None:
        """A consumer that leaves and comes back is made a new one."""
        runtime = make_runtime()
        made = self.register(runtime)
        runtime.register(self.user(), "acme")
        runtime.boot()
        runtime.hot_remove("acme")
        runtime.hot_add(self.user(), "acme")
        assert made == ["acme", "acme"]

    def test_a_factory_that_is_no_method(self, make_runtime: MakeRuntime) -> None:
        """A factory that does not exist is named when the class is registered."""

        @provides("IStore", factory="scope")
        class Stores: ...

        with pytest.raises(ConfigError, match=r"Stores: factory='scope' is none of its methods"):
            make_runtime().register(Stores)


def test_hundreds_of_consumers(make_runtime: MakeRuntime) -> None:
    """Each of many effects runs once for each of its own changes, whatever else comes and goes."""
    runtime = make_runtime()
    pairs = 100
    for number in range(pairs):
        runtime.register(Voice, f"voice-{number}")
    users = [
        runtime.register(watcher(IVoice, id=f"voice-{number}"), f"user-{number}")
        for number in range(pairs)
    ]
    level = Signal(0)
    runtime.boot()
    runtime.hot_add(Voice, "another")
    level.set(1)
    assert {len(user.seen) for user in users} == {1}
    assert len(runtime.status()["components"]) == 2 * pairs + 1

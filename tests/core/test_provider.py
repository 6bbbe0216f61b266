"""A provider: its contracts, its properties, and what it makes for each consumer."""

from __future__ import annotations

import math
import threading
from typing import Protocol

import pytest

from edgekernel import ConfigError, Effect, Signal
from edgekernel.core.provider import RANKING, Consumer, Provider


class ILamp(Protocol):
    watts: int

    def light(self) -> None: ...


class IDimmer(ILamp, Protocol):
    def dim(self, level: float) -> None: ...


class Lamp:
    def __init__(self) -> None:
        self.watts = 40

    def light(self) -> None: ...


class TestContracts:
    def test_by_class_base_and_name(self) -> None:
        """A provider fulfils its contracts, their names, its class and that class's bases."""

        class Spot(Lamp): ...

        provider = Provider("spot", Spot(), (ILamp, "light-source"))
        for contract in (ILamp, "ILamp", "light-source", Spot, Lamp):
            assert provider.fulfils(contract)
        for contract in (IDimmer, "IDimmer", "Lamp"):
            assert not provider.fulfils(contract)

    def test_a_missing_member_is_named(self) -> None:
        """A2.18: what a Protocol asks for, inherited members too, has to be there."""
        Provider("lamp", Lamp(), (ILamp, "anything")).check()
        with pytest.raises(ConfigError, match=r"lamp: Lamp provides IDimmer but has no dim$"):
            Provider("lamp", Lamp(), (IDimmer,)).check()
        with pytest.raises(ConfigError, match="has no light, watts"):
            Provider("lamp", object(), (ILamp,)).check()

    def test_with_a_factory_what_it_makes_is_checked(self) -> None:
        """What consumers are given has to have the members, not the one that makes it."""
        made: list[object] = [Lamp(), object()]
        provider = Provider("lamps", object(), (ILamp,), factory=lambda _: made.pop(0))
        provider.check()
        assert isinstance(provider.given_to(Consumer("a")), Lamp)
        with pytest.raises(ConfigError, match="lamps: object provides ILamp but has no"):
            provider.given_to(Consumer("b"))


class TestProperties:
    def test_are_tracked_and_change_at_run_time(self) -> None:
        """K18: who reads a property hears of each change, once."""
        provider = Provider("lamp", Lamp(), (), properties={"room": "hall", "floor": 1})
        seen: list[tuple[object, object]] = []

        def read() -> None:
            properties = provider.properties
            seen.append((properties["room"], properties["floor"]))

        reader = Effect(read)
        provider.set_properties(room="attic", floor=2)
        reader.dispose()
        assert seen == [("hall", 1), ("attic", 2)]

    def test_declared_ones_are_set_in_the_instance(self) -> None:
        """Setting a property that the instance holds sets it there: there is one value."""
        held = Signal(0)
        provider = Provider("lamp", Lamp(), (), declared={RANKING: held})
        provider.set_properties(**{RANKING: 3, "room": "hall"})
        assert (held.get(), provider.ranking, provider.properties["room"]) == (3, 3, "hall")
        held.set(4)
        assert provider.ranking == 4

    def test_several_are_one_change(self) -> None:
        """Properties set together are seen together, whoever holds them."""
        provider = Provider("lamp", Lamp(), (), declared={"floor": Signal(1)})
        seen: list[tuple[object, object]] = []

        def read() -> None:
            properties = provider.properties
            seen.append((properties["floor"], properties.get("room")))

        reader = Effect(read)
        provider.set_properties(floor=2, room="attic")
        reader.dispose()
        assert seen == [(1, None), (2, "attic")]

    @pytest.mark.parametrize("ranking", ["high", None, math.nan], ids=["text", "none", "nan"])
    def test_a_ranking_is_a_number(self, ranking: object) -> None:
        """What cannot be ordered is refused where it is said, with the name."""
        with pytest.raises(ConfigError, match=r"lamp: service\.ranking is"):
            Provider("lamp", Lamp(), (), properties={RANKING: ranking})
        provider = Provider("lamp", Lamp(), ())
        with pytest.raises(ConfigError, match="lowest wins"):
            provider.set_properties(**{RANKING: ranking})
        assert provider.ranking == 0

    def test_the_id_is_the_name(self) -> None:
        """`id` is always there and nobody else's: it cannot be set."""
        provider = Provider("lamp", Lamp(), ())
        assert provider.properties == {"id": "lamp"}
        assert provider.fits(Lamp, {"id": "lamp"})
        with pytest.raises(ConfigError, match="its name"):
            provider.set_properties(id="other")

    def test_changes_from_many_threads_are_all_there(self, eager_switching: None) -> None:
        """No change of a property is lost because another thread changes another one."""
        provider = Provider("lamp", Lamp(), ())

        def change(number: int) -> None:
            for value in range(200):
                provider.set_properties(**{f"p{number}": value})

        threads = [threading.Thread(target=change, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert provider.properties == {"id": "lamp", **{f"p{n}": 199 for n in range(6)}}


class TestFactories:
    @staticmethod
    def provider(made: list[str]) -> Provider:
        def make(consumer: Consumer) -> object:
            made.append(f"{consumer.component}/{consumer.name}")
            return object()

        return Provider("store", object(), (), factory=make)

    def test_one_object_for_each_consumer(self) -> None:
        """A3.5: made once for each consumer instance, with its name and its component."""
        made: list[str] = []
        provider = self.provider(made)
        first, second = Consumer("a", "app.user"), Consumer("b", "app.user")
        assert provider.given_to(first) is provider.given_to(first)
        assert provider.given_to(first) is not provider.given_to(second)
        assert made == ["app.user/a", "app.user/b"]

    def test_dropped_when_the_consumer_goes(self) -> None:
        """A consumer that comes again is made another one; nobody else's is touched."""
        made: list[str] = []
        provider = self.provider(made)
        first, other = provider.given_to(Consumer("a")), provider.given_to(Consumer("b"))
        provider.forget("a")
        assert provider.given_to(Consumer("a")) is not first
        assert provider.given_to(Consumer("b")) is other

    def test_nothing_of_an_earlier_life_is_given(self) -> None:
        """K4: what is still being made while all are forgotten is not kept for the next life."""
        made: list[object] = []

        def make(consumer: Consumer) -> object:
            if not made:
                provider.forget_all()
            made.append(object())
            return made[-1]

        provider = Provider("store", object(), (), factory=make)
        early = provider.given_to(Consumer("a"))
        assert provider.given_to(Consumer("a")) is not early

    def test_what_a_factory_reads_is_its_own_business(self) -> None:
        """Signals that the factory reads do not become the consumer's."""
        inner, runs = Signal(1), []
        provider = Provider("store", object(), (), factory=lambda _: inner.get())

        def use() -> None:
            runs.append(provider.given_to(Consumer("a")))

        reader = Effect(use)
        inner.set(2)
        reader.dispose()
        assert runs == [1]

    def test_somebody_has_to_ask(self) -> None:
        """A factory cannot make anything for nobody: ConfigError says what to give."""
        with pytest.raises(ConfigError, match=r"store: .* consumer="):
            self.provider([]).given_to(None)

    def test_many_threads_are_given_the_same(self, eager_switching: None) -> None:
        """Whoever asks, and when: for one consumer there is one object."""
        provider = self.provider([])
        given: list[object] = []
        ready = threading.Barrier(8)

        def ask() -> None:
            ready.wait()
            given.append(provider.given_to(Consumer("a")))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(given) == 8
        assert len(set(map(id, given))) == 1

"""Traits: what a component is, from what it declares."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekernel import (
    Event,
    Message,
    Runtime,
    command,
    component,
    computed,
    effect,
    expose,
    kind,
    on,
    prop,
    provides,
    requires,
    skill,
)
from edgekernel.core.component import describe_class
from edgekernel.core.traits import Trait, standard_traits

EVERY = ["identifiable", "lifecycle", "dependable", "registrable", "inspectable", "factoryable"]


class ILogger: ...


def traits(cls: type) -> set[str]:
    """Return the traits that a class has beside those that every one has."""
    found = standard_traits().compute(describe_class(cls))
    assert found[: len(EVERY)] == EVERY
    return set(found[len(EVERY) :])


def test_every_component() -> None:
    """A2.19: level 0 is what every component is, without asking for it."""

    @component("bare")
    class Bare: ...

    assert traits(Bare) == set()


@pytest.mark.parametrize(
    ("contract", "trait"),
    [
        (ILogger, "observable"),
        ("Tracer", "observable"),
        ("IConfig", "configurable"),
        ("IConfigAdmin", "configurable"),
        ("ICredentials", "secured"),
        ("IAuth", "secured"),
        ("IStorage", "storable"),
        ("IWorkspace", "storable"),
    ],
    ids=["logger", "tracer", "config", "admin", "credentials", "auth", "storage", "workspace"],
)
def test_from_what_is_required(contract: object, trait: str) -> None:
    """A2.20: level 1 comes from requirements: by a contract's name or class."""

    @requires(it=contract)
    class User: ...

    assert traits(User) == {"communicable", trait}


class Rang(Message):
    pass


def test_from_markers() -> None:
    """A2.21: level 2 comes from what is marked."""

    class Part:
        @command
        def ask(self) -> None: ...

        @on(Rang)
        def rang(self, event: Event) -> None: ...

    class Quick:
        @computed
        def value(self) -> int:
            return 1

    class Slow:
        other = requires(ILogger, optional=True)

        @effect
        def react(self) -> None: ...

    @kind("reading", model=dict)
    @skill("doors", content="# Doors")
    @expose("rest")
    class Documented: ...

    assert traits(Part) == {"runnable", "subscribable"}
    assert traits(Quick) == {"reactive"}
    assert traits(Slow) == {"reactive", "adaptable", "communicable", "observable"}
    assert traits(Documented) == {"kinded", "skillful", "routable"}


def test_from_properties_and_metadata() -> None:
    """A2.22: level 3: a target property, a scope, a version that is stated."""

    @prop("target", "target", "")
    @component("tenant", namespace="shop", version="1.2")
    class Tenant: ...

    @provides("IStore", factory="scope")
    class Stores:
        def scope(self, consumer: object) -> object:
            return consumer

    @prop("language", "language", "en")
    @component("voice")
    class Voice: ...

    assert traits(Tenant) == {"targeted", "scoped", "versioned"}
    assert traits(Stores) == {"scoped"}
    assert traits(Voice) == set()


class TestRegistry:
    def test_every_trait_of_the_four_levels_is_there(self) -> None:
        """K41: all traits are defined, each with a level, a description and its test."""
        known = standard_traits()
        assert [len(known.by_level(level)) for level in range(4)] == [6, 5, 7, 3]
        assert len(known) == len(known.all()) == 21
        assert known.get("reactive").level == 2
        assert "reactive" in known
        assert "nonsense" not in known
        assert all(trait.description for trait in known.all())

    def test_wrong_ones_are_refused(self) -> None:
        """A2.23: a name that is taken or a level that does not exist is a ValueError."""
        known = standard_traits()
        with pytest.raises(ValueError, match="'reactive' is defined already"):
            known.define(Trait("reactive", 2, "again", lambda meta: True))
        with pytest.raises(ValueError, match="level 4"):
            known.define(Trait("new", 4, "too high", lambda meta: True))
        with pytest.raises(KeyError):
            known.get("new")

    def test_ones_own_are_in_the_status(self, make_runtime: Callable[..., Runtime]) -> None:
        """A trait that an application defines is worked out like the others."""

        @component("valve", namespace="plant")
        class Valve: ...

        runtime = make_runtime()
        runtime.traits.define(Trait("ours", 3, "of our plant", lambda m: m.namespace == "plant"))
        runtime.register(Valve)
        assert runtime.status()["components"]["valve"]["traits"] == [*EVERY, "scoped", "ours"]

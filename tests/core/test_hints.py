"""Annotations are evaluated once, and kept no longer than what has them."""

from __future__ import annotations

import gc
from functools import partial, wraps
from typing import Annotated, Any
from weakref import ref

import pytest
from annotated_types import Ge

from edgekernel.core.hints import hints_of


class Fan:
    """Has a method with a limit."""

    speed: Annotated[int, Ge(0)]

    def run(self, minutes: Annotated[int, Ge(1)]) -> Fan:
        """Run."""
        return self


def test_evaluated_once() -> None:
    """Two instances, and each time it is asked, have the same types."""
    hints = hints_of(Fan().run)
    assert hints["minutes"] is hints_of(Fan().run)["minutes"]
    assert hints["minutes"].__metadata__ == (Ge(1),)
    assert hints["return"] is Fan


def test_classes() -> None:
    """A class has its own and those of its bases, and keeps none of a base's for itself."""

    class Big(Fan):
        power: Annotated[float, Ge(5)]

    hints_of(Fan)
    assert set(hints_of(Big)) == {"speed", "power"}
    assert set(hints_of(Fan)) == {"speed"}


def test_who_wraps_a_function_has_its_own() -> None:
    """A wrapper that says another type is not taken for what it wraps."""
    hints_of(Fan.run)

    @wraps(Fan.run)
    def run(self: Fan, *args: Any) -> Fan:
        return self.run(*args)

    assert hints_of(run)["minutes"] is hints_of(Fan.run)["minutes"]
    run.__annotations__ = {"minutes": "str"}
    assert hints_of(run) == {"minutes": str}


def test_nothing_is_kept_alive() -> None:
    """A class whose methods name it can go, as after a hot update."""

    def make() -> ref[type]:
        class Old:
            def copy(self) -> object:
                """Copy."""

        Old.copy.__annotations__ = {"return": Old}
        assert hints_of(Old().copy) == {"return": Old}
        return ref(Old)

    gone = make()
    gc.collect()
    assert gone() is None


def test_what_keeps_nothing() -> None:
    """A callable without annotations of its own raises as Python does, each time."""
    for _ in range(2):
        with pytest.raises(TypeError):
            hints_of(partial(print))

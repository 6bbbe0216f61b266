"""Counting how often an engine runs the functions it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.signals.engine import Engine


class Counting:
    """Wraps an engine; `computeds` and `effects` are how many runs there have been."""

    def __init__(self, engine: Engine) -> None:
        self.computeds = 0
        self.effects = 0

        def computed(function: Callable[[], Any]) -> Any:
            def counted() -> Any:
                self.computeds += 1
                return function()

            return engine.computed(counted)

        def effect(function: Callable[[], object]) -> object:
            def counted() -> object:
                self.effects += 1
                return function()

            return engine.effect(counted)

        self.engine = replace(engine, computed=computed, effect=effect)

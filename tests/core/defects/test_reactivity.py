"""Reactivity that can be relied on: defects 1 to 4 of the seeds do not exist here (SEEDS D2)."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref
from typing import Any

import pytest

from edgekernel import (
    Computed,
    Device,
    Effect,
    Event,
    Signal,
    batch,
    computed,
    effect,
    message,
    provides,
    reading,
    requires,
)
from tests.core.parts import LONG_S, MakeRuntime, Simulation, Until, messages_of


class Display:
    """Shows a value, asynchronously."""

    def __init__(self) -> None:
        self.celsius = Signal(0.0)
        self.shown: list[float] = []

    @effect
    async def show(self) -> None:
        value = self.celsius.get()
        await asyncio.sleep(0)
        self.shown.append(value)


class TestSetsOfAnyThreadReachEveryEffect:
    """D2 #1 (R1, R1b)."""

    def test_a_set_by_a_thread_reaches_an_effect(self, until: Until) -> None:
        """D2 #1: threads that know nothing of effects set, and the effect ends on the last."""
        celsius = Signal(0.0)
        shown: list[float] = []
        watching = Effect(lambda: shown.append(celsius.get()))
        for value in (1.0, 2.0):
            hardware = threading.Thread(target=celsius.set, args=(value,))
            hardware.start()
            hardware.join(LONG_S)
        until(lambda: shown == [0.0, 1.0, 2.0])
        watching.dispose()

    def test_an_async_effect_made_before_any_loop_runs(self, sim: Simulation) -> None:
        """D2 #1, R1b: an async effect that is made where no event loop runs yet is alive."""
        runtime = sim.runtime()
        display = runtime.register(Display())
        runtime.boot()
        sim.advance(1.0)
        display.celsius.set(21.0)
        sim.advance(1.0)
        assert display.shown == [0.0, 21.0]

    def test_a_set_by_a_thread_reaches_an_async_effect(self, make_runtime: MakeRuntime) -> None:
        """D2 #1, R1: sets by threads without an event loop reach an async effect, each time."""
        runtime = make_runtime()
        display, shown = runtime.register(Display()), threading.Event()
        runtime.boot()
        for value in (21.0, 22.0):
            hardware = threading.Thread(target=display.celsius.set, args=(value,))
            hardware.start()
            hardware.join(LONG_S)
            for _ in range(200):
                if value in display.shown:
                    break
                shown.wait(0.005)
            assert value in display.shown


class TestNobodyWaitsForUserCode:
    """D2 #2 (R2, R2b, R7, R7b)."""

    def test_reads_beside_a_slow_effect(self, gate: threading.Event) -> None:
        """D2 #2, R2: while an effect takes its time, another thread reads what it likes."""
        trigger, other = Signal(0), Signal(7)
        doubled = Computed(lambda: 2 * other.get())
        begun, seen = threading.Event(), list[int]()

        def slow() -> None:
            if trigger.get():
                begun.set()
                gate.wait(LONG_S)

        slow_effect = Effect(slow)
        setting = threading.Thread(target=trigger.set, args=(1,))
        setting.start()
        begun.wait(LONG_S)
        reading = threading.Thread(
            target=lambda: seen.extend([other.get(), trigger.get(), doubled.get()])
        )
        reading.start()
        reading.join(LONG_S)
        assert seen == [7, 1, 14]  # and the effect has not ended: the gate is closed
        gate.set()
        setting.join(LONG_S)
        slow_effect.dispose()

    def test_an_effect_that_joins_a_thread(self) -> None:
        """D2 #2, R2b: a thread that an effect waits for reads and sets signals."""
        source, copy = Signal(1), Signal(0)
        joined: list[bool] = []

        def delegate() -> None:
            source.get()
            worker = threading.Thread(target=lambda: copy.set(10 * source.get()))
            worker.start()
            worker.join(LONG_S)
            joined.append(not worker.is_alive())

        delegating = Effect(delegate)
        source.set(2)
        assert joined == [True, True]
        assert copy.get() == 20
        delegating.dispose()

    def test_a_batch_of_another_thread(self) -> None:
        """D2 #2, R7: a batch that is open in one thread delays no effect of another one."""
        batched, other = Signal(0), Signal(0)
        ran_in: list[str] = []

        def note() -> None:
            if other.get():
                ran_in.append(threading.current_thread().name)

        noting = Effect(note)
        with batch():
            batched.set(1)
            setting = threading.Thread(target=other.set, args=(1,), name="setting")
            setting.start()
            setting.join(LONG_S)
            assert ran_in == ["setting"]
        assert ran_in == ["setting"]
        noting.dispose()

    def test_a_batch_that_awaits(self) -> None:
        """D2 #2, R7b: a task that awaits inside a batch does not silence the other tasks."""
        batched, other = Signal(0), Signal(0)
        seen: list[tuple[int, int]] = []
        noting = Effect(lambda: seen.append((batched.get(), other.get())))

        async def collect(go_on: asyncio.Event) -> None:
            with batch():
                batched.set(1)
                await go_on.wait()
                batched.set(2)

        async def both() -> None:
            go_on = asyncio.Event()
            collecting = asyncio.create_task(collect(go_on))
            await asyncio.sleep(0)
            other.set(5)
            assert [each[1] for each in seen] == [0, 5]
            go_on.set()
            await collecting

        asyncio.run(both())
        assert seen[-1] == (2, 5)
        noting.dispose()

    def test_an_effect_is_a_turn_of_its_own_runtime(self, make_runtime: MakeRuntime) -> None:
        """D2 #2, R25: whoever sets, an effect is a turn of the runtime that it was made in."""
        left, right = make_runtime(name="left"), make_runtime(name="right")
        level = Signal(0)
        inside: list[tuple[bool, bool]] = []

        class Following:
            @effect
            def follow(self) -> None:
                level.get()
                inside.append((left.turns.inside(), right.turns.inside()))

        def raise_level(event: Event) -> None:
            level.set(1)

        left.register(Following())
        right.subscribe(message.RuntimeBooted, raise_level)
        left.boot()
        right.boot()
        assert left.turns.wait_idle(LONG_S)
        assert [each[0] for each in inside] == [True, True]


class Thermometer(Device):
    """Measures 20, 21, 22 ... °C, a degree each second; does not answer at 3 s."""

    celsius = reading(float)

    def poll(self) -> None:
        now = round(self.clock.monotonic())
        if now == 3:
            raise OSError("no answer")
        self.celsius.update(20.0 + now)


class Alarm:
    """Says whenever it is too hot or not."""

    room = requires(Thermometer)

    def __init__(self) -> None:
        self.said: list[bool] = []

    @computed
    def too_hot(self) -> bool:
        return self.room.celsius.value > 25.0

    @effect
    def watch(self) -> None:
        self.said.append(self.too_hot())


class TestAFailingReadStopsNoAlarm:
    """D2 #3 (R3, R24)."""

    def test_the_alarm_comes_after_a_failed_read(self, sim: Simulation) -> None:
        """D2 #3, R3: a computed that has raised has a value again with the next good reading."""
        runtime = sim.runtime()
        runtime.register(Thermometer("room"))
        alarm = runtime.register(Alarm())
        runtime.boot()
        sim.advance(5.5)
        assert alarm.said == [False, False]
        sim.advance(1.0)
        assert alarm.said == [False, False, True]

    def test_once_is_not_for_ever(self) -> None:
        """D2 #3, R3: every effect on a computed that raised once runs again when it recovers."""
        raw = Signal(1)
        inverse = Computed(lambda: 60 // raw.get())
        seen: list[list[int]] = [[], [], []]
        errors: list[Exception] = []
        effects = [
            Effect(lambda each=each: each.append(inverse.get()), on_error=errors.append)  # type: ignore[misc]
            for each in seen
        ]
        for value in (0, 2, 0, 3):
            raw.set(value)
        assert seen == [[60, 30, 20]] * 3
        assert [type(error) for error in errors] == [ZeroDivisionError] * 6
        for each in effects:
            each.dispose()

    def test_errors_are_told(self, sim: Simulation) -> None:
        """D2 #3, R24: what an effect raises is a message with the effect's name, and kept; one that
        waits for a reading tells for which."""
        runtime = sim.runtime()
        runtime.register(Thermometer("room"))
        alarm = runtime.register(Alarm())
        waiting = messages_of(runtime, message.EffectWaiting)
        errors = messages_of(runtime, message.EffectError)
        runtime.boot()
        sim.advance(4.5)
        (told,) = waiting  # it did not answer; that it had no value before is no news
        assert told.effect.endswith("watch")
        assert errors == []
        alarm.said = None  # a mistake in the effect
        sim.advance(2.0)
        assert errors
        assert all("AttributeError" in error.error for error in errors)
        assert all(error.effect.endswith("watch") for error in errors)
        assert runtime.status()["errors"] == len(errors)


class TestExactlyTheNeededWork:
    """D2 #4 (R4, R5, R6, R8, R21, R22, K39)."""

    @pytest.mark.parametrize("n", [1, 2, 10, 100])
    def test_effects_on_one_computed_run_once_each(self, n: int) -> None:
        """D2 #4, R4: n effects on one computed are n runs per change, not 2n - 1."""
        source = Signal(0)
        runs = [0] * n
        doubled = Computed(lambda: 2 * source.get())

        def count(index: int) -> None:
            doubled.get()
            runs[index] += 1

        effects = [Effect(lambda index=index: count(index)) for index in range(n)]  # type: ignore[misc]
        source.set(1)
        source.set(2)
        assert runs == [3] * n
        for each in effects:
            each.dispose()

    def test_an_unchanged_computed_runs_nothing(self) -> None:
        """D2 #4, R5: effects hear of a computed only when its value is another one."""
        celsius = Signal(20.0)
        too_hot = Computed(lambda: celsius.get() > 25.0)
        said: list[bool] = []
        saying = Effect(lambda: said.append(too_hot.get()))
        for value in (21.0, 22.0, 26.0, 27.0):
            celsius.set(value)
        assert said == [False, True]
        saying.dispose()

    def test_equal_measurements_run_nothing(self) -> None:
        """D2 #4, R8: five equal readings, five objects, are no change; a changed list can be."""
        celsius, names = Signal(0.0), Signal(["a"], equals=False)
        seen: list[object] = []
        effects = [
            Effect(lambda: seen.append(celsius.get())),
            Effect(lambda: seen.append(len(names.get()))),
        ]
        for _ in range(5):
            celsius.set(float("21.5"))
        names.peek().append("b")
        names.set(names.peek())
        assert seen == [0.0, 1, 21.5, 2]
        for each in effects:
            each.dispose()

    def test_an_effect_that_sets_what_it_reads(self) -> None:
        """D2 #4, R6: it runs until nothing changes any more; no write of its own is dropped."""
        level = Signal(0)
        log: list[int] = []

        def climb() -> None:
            log.append(level.get())
            level.set(min(level.get() + 1, 5))

        climbing = Effect(climb)
        assert (log, level.get()) == ([0, 1, 2, 3, 4, 5], 5)
        climbing.dispose()

    def test_two_effects_that_set_one_another(self) -> None:
        """D2 #4, R6: they end where both agree, not where the first one happens to stop."""
        celsius, fahrenheit = Signal(0), Signal(32)
        effects = [
            Effect(lambda: fahrenheit.set(celsius.get() * 9 // 5 + 32)),
            Effect(lambda: celsius.set((fahrenheit.get() - 32) * 5 // 9)),
        ]
        celsius.set(100)
        assert (celsius.get(), fahrenheit.get()) == (100, 212)
        fahrenheit.set(32)
        assert (celsius.get(), fahrenheit.get()) == (0, 32)
        for each in effects:
            each.dispose()

    def test_thousands_of_effects_in_one_batch(self) -> None:
        """D2 #4, R22: each of 8,000 effects runs once, in the order of making."""
        left, right = Signal(0), Signal(0)
        ran: list[int] = []

        def note(number: int) -> None:
            if left.get() + right.get():
                ran.append(number)

        effects = [Effect(lambda number=number: note(number)) for number in range(8000)]  # type: ignore[misc]
        with batch():
            left.set(1)
            right.set(1)
        assert ran == list(range(8000))
        for each in effects:
            each.dispose()

    def test_what_a_thread_of_an_effect_reads(self) -> None:
        """D2 #4, R12: a read in a thread that has the effect's context is not the effect's."""
        own, other = Signal(0), Signal(0)
        runs: list[int] = []

        def delegate() -> None:
            runs.append(own.get())
            context = contextvars.copy_context()  # as asyncio.to_thread does
            reading = threading.Thread(target=lambda: context.run(other.get))
            reading.start()
            reading.join(LONG_S)

        delegating = Effect(delegate)
        other.set(1)
        own.set(1)
        assert runs == [0, 1]
        delegating.dispose()

    def test_dropped_computeds_are_freed(self) -> None:
        """D2 #4, R21: of 5,000 computeds that were read and dropped none is left."""
        source = Signal(1)

        def make(number: int) -> weakref.ref[Computed[int]]:
            made = Computed(lambda: number + source.get())
            made.get()
            return weakref.ref(made)

        made = [make(number) for number in range(5000)]
        source.set(2)
        gc.collect()
        assert [each() for each in made if each() is not None] == []

    def test_a_provider_of_two_contracts_is_one_change(self, make_runtime: MakeRuntime) -> None:
        """D2 #4, K39: who reads both contracts runs once, and sees neither or both."""
        seen: list[tuple[bool, bool]] = []

        class Reader:
            left: Any = requires("ILeft", optional=True)
            right: Any = requires("IRight", optional=True)

            @effect
            def read(self) -> None:
                seen.append((self.left is not None, self.right is not None))

        @provides("ILeft", "IRight")
        class Both: ...

        runtime = make_runtime()
        runtime.register(Reader())
        runtime.boot()
        runtime.hot_add(Both(), "both")
        runtime.hot_remove("both")
        assert seen == [(False, False), (True, True), (False, False)]

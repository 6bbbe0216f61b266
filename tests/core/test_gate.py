"""The gate: one change of a runtime's make-up at a time."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from edgekernel import SystemClock
from edgekernel.core.errors import LifecycleError
from edgekernel.core.gate import Gate
from edgekernel.sim import SimClock
from tests.core.parts import LONG_S


def test_one_at_a_time_and_in_itself() -> None:
    """P12: changes exclude one another; one may have further ones in it."""
    with SimClock() as clock:
        gate = Gate(clock)
        log: list[str] = []

        def change(name: str) -> None:
            with gate.passing() as alone:
                log.append(f"{name} {alone}")
                clock.sleep(1.0)
                with gate.passing() as again:
                    assert again
                    assert gate.held()
                log.append(f"{name} ends {clock.monotonic()}")

        for name in "abc":
            clock.Thread(lambda name=name: change(name), name).start()  # type: ignore[misc]
        clock.advance(10.0)
        assert log == ["a True", "a ends 1.0", "b True", "b ends 2.0", "c True", "c ends 3.0"]
        assert not gate.held()


def test_exclusive_under_threads(eager_switching: None) -> None:
    """P12: no two threads are inside at once, however they race."""
    gate = Gate(SystemClock())
    inside, worst, passed = [0], [0], [0]

    def change() -> None:
        for _ in range(300):
            with gate.passing() as alone:
                assert alone
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                passed[0] += 1
                inside[0] -= 1

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert (worst[0], passed[0]) == (1, 1200)


def test_closing_sends_away_who_waits() -> None:
    """P6: after `close` nobody comes in, and who waits is told so."""
    with SimClock() as clock:
        gate = Gate(clock)
        told: list[bool] = []

        def slow() -> None:
            with gate.passing():
                clock.sleep(2.0)

        def behind() -> None:
            with gate.passing() as alone:
                told.append(alone)

        clock.Thread(slow, "slow").start()
        clock.advance(0.5)
        clock.Thread(behind, "behind").start()
        clock.advance(0.5)
        assert gate.close(10.0)
        assert clock.monotonic() == 2.0
        clock.advance(0.0)
        assert told == [False]
        with gate.passing() as alone:
            assert not alone


def test_closing_does_not_wait_for_ever() -> None:
    """P6: a change that hangs is waited for as long as was said."""
    with SimClock() as clock:
        gate = Gate(clock)

        def hang() -> None:
            with gate.passing():
                clock.sleep(1000.0)

        clock.Thread(hang, "hanging").start()
        clock.advance(0.5)
        assert not gate.close(3.0)
        assert clock.monotonic() == 3.5


def test_closing_from_inside() -> None:
    """P6: who closes it while it has the runtime to itself does not wait for itself."""
    with SimClock() as clock:
        gate = Gate(clock)
        with gate.passing():
            assert gate.close(3.0)
            with gate.passing() as alone:
                assert alone
        assert clock.monotonic() == 0.0
        with gate.passing() as alone:
            assert not alone


def test_who_is_not_wanted_any_more() -> None:
    """P12: who waits leaves when told that it is not wanted, and takes nothing."""
    with SimClock() as clock:
        gate = Gate(clock)
        unwanted = [False]
        told: list[bool] = []

        def behind() -> None:
            with gate.passing(lambda: unwanted[0]) as alone:
                told.append(alone)

        with gate.passing():
            clock.Thread(behind, "behind").start()
            clock.advance(1.0)
            gate.look_again()
            clock.advance(1.0)
            assert told == []
            unwanted[0] = True
            gate.look_again()
            clock.advance(1.0)
            assert told == [False]
        with gate.passing() as alone:
            assert alone


def test_shared_with_who_is_waited_for() -> None:
    """P12: a thread that works for the change takes part in it, and no longer than that."""
    with SimClock() as clock:
        gate = Gate(clock)
        log: list[str] = []
        main = clock.flow()

        def step() -> None:
            with gate.shared(main), gate.passing() as alone:
                log.append(f"step {alone} {gate.held()}")
            log.append(f"after {gate.held()}")

        with gate.passing():
            worker = clock.Thread(step, "step")
            worker.start()
            worker.join()
            assert gate.held()
        assert log == ["step True True", "after False"]
        with gate.shared(main):  # nobody is inside: there is nothing to take part in
            assert not gate.held()


def test_waiting_has_a_limit() -> None:
    """P12: who waits for longer than it says is told what goes on and since when, and leaves
    nothing: the others come in as before."""
    with SimClock() as clock:
        gate = Gate(clock)
        log: list[str] = []

        def slow() -> None:
            with gate.passing(change="slow change"):
                clock.sleep(10.0)
                gate.begin("its second step")
                clock.sleep(10.0)

        def impatient(limit_s: float) -> None:
            try:
                with gate.passing(change="mine", limit_s=limit_s):
                    log.append(f"mine {clock.monotonic()}")
            except LifecycleError as error:
                log.append(str(error))

        clock.Thread(slow, "slow").start()
        clock.advance(0.0)
        for limit_s in (3.0, 12.0, 21.0):
            clock.Thread(partial(impatient, limit_s), "mine").start()
        clock.advance(30.0)
        told = [
            f"mine: not done, nothing has changed: {change} goes on, and has kept all other "
            f"changes waiting for {seconds} s. Try again when it has ended"
            for change, seconds in (("slow change", 3.0), ("its second step", 12.0))
        ]
        assert log == [*told, "mine 20.0"]
        with gate.passing(change="mine", limit_s=0.0) as alone:
            assert alone


def test_who_was_let_in_is_sent_out() -> None:
    """P12: a thread that takes part in a change is dismissed, except in the middle of its own."""
    with SimClock() as clock:
        gate = Gate(clock)
        log: list[object] = []
        flows: list[object] = []

        def helper(caller: object) -> None:
            with gate.shared(caller):
                flows.append(clock.flow())
                with gate.passing():
                    clock.sleep(1.0)
                clock.sleep(1.0)
                log.append(gate.held())

        with gate.passing():
            clock.Thread(partial(helper, clock.flow()), "helper").start()
            clock.sleep(0.5)
            log.append(gate.dismiss(flows[0]))
            clock.sleep(1.0)
            log.append(gate.dismiss(flows[0]))
            clock.sleep(1.0)
            assert gate.held()
        assert log == [False, True, False]


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_who_is_sent_out_at_that_moment_makes_no_further_change(moment: int) -> None:
    """P12: who is dismissed while it begins a change of its own waits for its turn like others."""

    class Watched(SystemClock):
        asked = 0

        def asks(self) -> object:
            """Dismiss who asks who it is, at a moment of its way in."""
            flow = threading.get_ident()
            if flow == helper.ident:
                self.asked += 1
                if self.asked == 1 + moment:  # the first time is in `shared`
                    dismissed.append(gate.dismiss(flow))
            return flow

    clock = Watched()
    clock.flow = clock.asks  # type: ignore[assignment]
    gate, dismissed, inside = Gate(clock), list[bool](), list[bool]()

    def help_(caller: object) -> None:
        with gate.shared(caller):
            try:
                with gate.passing(limit_s=0.0):
                    inside.append(True)
            except LifecycleError:
                inside.append(False)

    helper = threading.Thread(target=lambda: help_(caller))
    caller = clock.flow()
    with gate.passing():
        helper.start()
        helper.join(LONG_S)
    assert (dismissed, inside) in [([True], [False]), ([False], [True]), ([], [True])]

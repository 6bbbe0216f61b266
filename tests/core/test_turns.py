"""The turn queue (promises P1 to P3)."""

from __future__ import annotations

import threading
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import partial

import pytest

from edgekernel import SystemClock
from edgekernel.core.errors import TurnTimeoutError
from edgekernel.core.turn import CallTurn
from edgekernel.core.turns import MAX_DEPTH, MAX_WAITING, TurnQueue, current_queue
from tests.core.starved import StarvedClock

LONG_S = 10.0

Until = Callable[[Callable[[], bool]], None]


class Reports:
    """Notes what the queue reports."""

    def __init__(self) -> None:
        self.failed: list[tuple[str, str]] = []
        self.slow: list[tuple[str, float]] = []
        self.cut: list[tuple[tuple[str, ...], str]] = []

    def turn_failed(self, label: str, error: BaseException) -> None:
        self.failed.append((label, repr(error)))

    def turn_was_slow(self, label: str, seconds: float) -> None:
        self.slow.append((label, seconds))

    def feedback_cut(self, members: Sequence[str], cut: str) -> None:
        self.cut.append((tuple(members), cut))

    def turns_dropped(self, dropped: int) -> None:
        raise AssertionError("no test here fills a queue")


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def turns(reports: Reports) -> Iterator[TurnQueue]:
    """A queue with a dispatcher."""
    queue = TurnQueue(observer=reports, dispatcher="test:dispatcher", slow_turn_s=LONG_S)
    yield queue
    queue.close()


def turn(function: Callable[[], object], label: str = "turn") -> CallTurn:
    return CallTurn(function, label)


class Blocked:
    """A thread whose turn holds the queue until it is released."""

    def __init__(self, queue: TurnQueue) -> None:
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=queue.submit, args=(turn(self.hold, "hold"),))
        self.thread.start()
        assert self.entered.wait(LONG_S)

    def hold(self) -> None:
        self.entered.set()
        assert self.go_on.wait(LONG_S)

    def release(self) -> None:
        self.go_on.set()
        self.thread.join(LONG_S)
        assert not self.thread.is_alive()


class TestOrder:
    def test_runs_before_submit_returns(self, turns: TurnQueue) -> None:
        """P2: who submits while nobody runs turns runs them itself, in its own thread."""
        ran: list[int] = []
        turns.submit(turn(lambda: ran.append(threading.get_ident())))
        assert ran == [threading.get_ident()]
        assert turns.depth == 0

    def test_nested_turns_come_after_the_current_one(self, turns: TurnQueue) -> None:
        """P1: what is submitted during a turn runs after it, in the order of submitting."""
        steps: list[str] = []

        def outer() -> None:
            steps.append("begin")
            turns.submit(turn(inner), turn(lambda: steps.append("second")))
            turns.submit(turn(lambda: steps.append("third")))
            steps.append("end")

        def inner() -> None:
            steps.append("first")
            turns.submit(turn(lambda: steps.append("fourth")))

        turns.submit(turn(outer))
        assert steps == ["begin", "end", "first", "second", "third", "fourth"]

    def test_inside(self, turns: TurnQueue) -> None:
        """`inside` and `current` tell a running turn's thread from all others."""
        seen: list[object] = []
        mine = turn(lambda: seen.extend([turns.inside(), turns.current() is mine, others()]))

        def others() -> list[object]:
            found: list[object] = []
            thread = threading.Thread(target=lambda: found.extend([turns.inside()]))
            thread.start()
            thread.join(LONG_S)
            return found

        assert (turns.inside(), turns.current()) == (False, None)
        turns.submit(mine)
        assert seen == [True, True, [False]]

    def test_submitting_while_another_runs_returns_at_once(self, turns: TurnQueue) -> None:
        """P2: a submit while another thread runs turns does not wait for them."""
        blocked = Blocked(turns)
        ran: list[int] = []
        turns.submit(turn(lambda: ran.append(1)))
        assert ran == []
        assert turns.depth == 1
        blocked.release()
        assert turns.wait_idle(LONG_S)
        assert ran == [1]

    def test_the_dispatcher_takes_over_what_others_submitted(self, turns: TurnQueue) -> None:
        """P2: after its own turns the runner hands what is left to the dispatcher thread."""
        blocked = Blocked(turns)
        names: list[str] = []
        turns.submit(turn(lambda: names.append(threading.current_thread().name)))
        blocked.release()
        assert turns.wait_idle(LONG_S)
        assert names == ["test:dispatcher"]

    def test_the_runner_takes_along_what_its_own_turn_caused(self, turns: TurnQueue) -> None:
        """P2: consequences of the runner's own turn run in its thread."""
        names: list[str] = []
        note = partial(turn, lambda: names.append(threading.current_thread().name))
        turns.submit(turn(lambda: turns.submit(note())))
        assert names == [threading.current_thread().name]

    def test_without_a_dispatcher_the_runner_takes_all(self, reports: Reports) -> None:
        """A queue without a dispatcher starts no thread."""
        turns = TurnQueue(observer=reports)
        blocked = Blocked(turns)
        threads: list[threading.Thread] = []
        turns.submit(turn(lambda: threads.append(threading.current_thread())))
        blocked.release()
        assert threads == [blocked.thread]

    @pytest.mark.parametrize("dispatcher", ["test:dispatcher", None])
    def test_many_threads(self, dispatcher: str | None, eager_switching: None) -> None:
        """P1, P2: turns of many threads run one at a time, none is lost, each thread's in order."""
        turns = TurnQueue(dispatcher=dispatcher, slow_turn_s=LONG_S)
        ran: list[tuple[int, int]] = []
        running: list[int] = []
        overlaps: list[int] = []

        def work(thread: int, n: int) -> None:
            running.append(1)
            ran.append((thread, n))
            if len(running) != 1:
                overlaps.append(n)
            running.pop()

        def submit_all(thread: int) -> None:
            for n in range(300):
                turns.submit(turn(partial(work, thread, n)))

        threads = [threading.Thread(target=submit_all, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG_S)
        assert turns.wait_idle(LONG_S)
        turns.close()
        assert overlaps == []
        assert sorted(ran) == [(k, n) for k in range(8) for n in range(300)]
        for k in range(8):
            assert [n for thread_number, n in ran if thread_number == k] == list(range(300))


class TestFailure:
    def test_is_reported_and_harms_no_other(self, turns: TurnQueue, reports: Reports) -> None:
        """P3: a turn that raises is reported; those after it run."""
        ran: list[int] = []
        turns.submit(turn(lambda: 1 // 0, "divide"), turn(lambda: ran.append(1)))
        assert ran == [1]
        [(label, error)] = reports.failed
        assert label == "divide"
        assert error.startswith("ZeroDivisionError")

    def test_a_report_that_fails_harms_no_turn(self, caplog: pytest.LogCaptureFixture) -> None:
        """P3: an observer that raises is logged, and the queue goes on."""

        class Broken(Reports):
            def turn_failed(self, label: str, error: BaseException) -> None:
                raise RuntimeError("cannot report")

        turns = TurnQueue(observer=Broken())
        ran: list[int] = []
        turns.submit(turn(lambda: 1 // 0), turn(lambda: ran.append(1)))
        turns.submit(turn(lambda: ran.append(2)))
        assert ran == [1, 2]
        assert "cannot report" in caplog.text

    def test_a_slow_turn_is_reported(self, reports: Reports) -> None:
        """P3: a turn that took longer than the limit is reported with its name and duration."""

        class Scripted(SystemClock):
            now = 0

            def monotonic_ns(self) -> int:
                return self.now

        clock = Scripted()
        turns = TurnQueue(clock, reports, slow_turn_s=0.1)

        def take(nanoseconds: int) -> None:
            clock.now += nanoseconds

        turns.submit(turn(lambda: take(100_000_000), "at the limit"))
        turns.submit(turn(lambda: take(250_000_000), "above"))
        assert reports.slow == [("above", 0.25)]

    @pytest.mark.parametrize("dispatcher", ["test:dispatcher", None])
    def test_a_keyboard_interrupt_does_not_wedge_the_queue(
        self, reports: Reports, dispatcher: str | None
    ) -> None:
        """P3: KeyboardInterrupt leaves through the submitter; the queue goes on afterwards."""
        turns = TurnQueue(observer=reports, dispatcher=dispatcher, slow_turn_s=LONG_S)
        ran: list[int] = []

        def interrupt() -> None:
            turns.submit(turn(lambda: ran.append(1)))
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            turns.submit(turn(interrupt))
        turns.submit(turn(lambda: ran.append(2)))
        assert turns.wait_idle(LONG_S)
        assert ran == [1, 2]
        turns.close()

    def test_an_interrupt_during_a_report_does_not_wedge_the_queue(self) -> None:
        """P3: it does not matter where in the runner a KeyboardInterrupt arrives."""

        class Interrupted(Reports):
            def turn_was_slow(self, label: str, seconds: float) -> None:
                raise KeyboardInterrupt

        turns = TurnQueue(observer=Interrupted(), slow_turn_s=0.0)
        ran: list[int] = []
        for n in range(2):
            with pytest.raises(KeyboardInterrupt):
                turns.submit(turn(partial(ran.append, n)))
        assert ran == [0, 1]

    def test_an_exit_in_the_dispatcher_does_not_wedge_the_queue(
        self, turns: TurnQueue, reports: Reports
    ) -> None:
        """P3: SystemExit in the dispatcher thread is reported, and the dispatcher stays."""
        blocked = Blocked(turns)
        ran: list[str] = []

        def leave() -> None:
            raise SystemExit(3)

        turns.submit(turn(leave), turn(lambda: ran.append(threading.current_thread().name)))
        blocked.release()
        assert turns.wait_idle(LONG_S)
        assert ran == ["test:dispatcher"]
        assert [error for _, error in reports.failed] == ["SystemExit(3)"]

    @pytest.mark.parametrize(
        "error",
        [SystemExit(3), GeneratorExit(), CancelledError(), BaseExceptionGroup("3", [SystemExit()])],
    )
    @pytest.mark.parametrize("alone", [True, False])
    def test_whatever_a_turn_raises_is_a_failure_of_that_turn(
        self, turns: TurnQueue, reports: Reports, error: BaseException, alone: bool
    ) -> None:
        """P3: no class of error leaves through who has submitted the turn, or keeps the next."""
        ran: list[int] = []

        def fail() -> None:
            raise error

        if alone:
            turns.submit_one(turn(fail, "broken"))
        else:
            turns.submit(turn(fail, "broken"), turn(lambda: ran.append(1)))
        turns.submit_elsewhere(turn(fail, "broken"), turn(lambda: ran.append(2)))
        assert turns.wait_idle(LONG_S)
        assert ran == [2] if alone else [1, 2]
        assert reports.failed == [("broken", repr(error))] * 2


class TestFeedback:
    def test_a_loop_is_cut_and_named(self, turns: TurnQueue, reports: Reports) -> None:
        """P3: turns that cause one another without end are cut, and all are named once."""
        runs: list[str] = []

        def ping() -> None:
            runs.append("ping")
            turns.submit(turn(pong, "pong"))

        def pong() -> None:
            runs.append("pong")
            turns.submit(turn(ping, "ping"))

        turns.submit(turn(ping, "ping"))
        assert len(runs) == MAX_DEPTH + 1
        [(members, cut)] = reports.cut
        assert {member.split()[0] for member in members} == {"ping", "pong"}
        assert cut in ("ping", "pong")
        assert turns.cut_turns == 1

    def test_a_long_row_of_turns_is_no_loop(self, turns: TurnQueue, reports: Reports) -> None:
        """Many turns after one another, none of which causes the next, are not cut."""
        ran: list[int] = []
        for n in range(MAX_DEPTH + 100):
            turns.submit(turn(partial(ran.append, n)))
        turns.submit(*(turn(partial(ran.append, n)) for n in range(MAX_DEPTH + 100)))
        assert len(ran) == 2 * (MAX_DEPTH + 100)
        assert reports.cut == []

    def test_the_queue_works_after_a_cut(self, turns: TurnQueue) -> None:
        """P3: after a loop was cut, turns run as before."""

        def again() -> None:
            turns.submit(turn(again))

        turns.submit(turn(again))
        ran: list[int] = []
        turns.submit(turn(lambda: ran.append(1)))
        assert ran == [1]

    def test_a_report_may_cause_turns_but_no_more_reports(self) -> None:
        """P3: what handles the report of a loop may go on; a loop it makes is cut unreported."""
        ran: list[str] = []

        class Reporting(Reports):
            def feedback_cut(self, members: Sequence[str], cut: str) -> None:
                super().feedback_cut(members, cut)
                turns.submit_apart(turn(report, "report"))

        def again() -> None:
            turns.submit(turn(again, "again"))

        def report() -> None:
            ran.append("report")
            turns.submit(turn(lambda: ran.append("alarm"), "alarm"), turn(again, "again"))

        reports = Reporting()
        turns = TurnQueue(observer=reports)
        turns.submit(turn(again, "again"))
        assert ran == ["report", "alarm"]
        assert len(reports.cut) == 2
        assert turns.depth == 0


class TestFull:
    def test_what_is_sent_to_a_full_queue_is_dropped(self, reports: Reports) -> None:
        """P3: a queue that nobody empties takes no more than it may from `submit_elsewhere`,
        tells those that it drops, and says so once; who waits for a turn still has room."""
        told: list[int] = []
        cut: list[str] = []

        class Noting(Reports):
            def turns_dropped(self, dropped: int) -> None:
                told.append(dropped)

        class Cut(CallTurn):
            def cut(self) -> None:
                cut.append(self.label)

        turns = TurnQueue(observer=Noting(), dispatcher="test:dispatcher", slow_turn_s=LONG_S)
        blocked = Blocked(turns)
        turns.submit_elsewhere(*(turn(int) for _ in range(MAX_WAITING)))
        for _ in range(3):
            turns.submit_elsewhere(Cut(int, "too much"))
        assert turns.depth == MAX_WAITING
        assert (turns.dropped_turns, told, cut) == (3, [1], ["too much"] * 3)
        with pytest.raises(TurnTimeoutError):
            turns.call(int, "waited for", timeout_s=0.01)
        assert turns.depth == MAX_WAITING + 1
        blocked.release()
        assert turns.wait_idle(LONG_S)
        turns.close()

    def test_who_waits_without_a_limit_has_room(self, until: Until) -> None:
        """P3: a call that waits as long as it takes is not dropped by a full queue: it would wait
        for ever."""
        turns = TurnQueue(dispatcher="test:dispatcher", slow_turn_s=LONG_S)
        blocked = Blocked(turns)
        turns.submit_elsewhere(*(turn(int) for _ in range(MAX_WAITING)))
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(turns.call(lambda: 7, "asked")))
        thread.daemon = True
        thread.start()
        until(lambda: turns.depth > MAX_WAITING or turns.dropped_turns > 0)
        blocked.release()
        thread.join(LONG_S)
        assert (answers, turns.dropped_turns) == ([7], 0)
        turns.close()


class TestElsewhere:
    def test_what_hangs_there_keeps_no_turn_waiting(self, turns: TurnQueue) -> None:
        """P2: while a change hangs, such as a driver's call, whoever submits runs its turns."""
        begun, go_on, ran = threading.Event(), threading.Event(), list[int]()

        def hang() -> None:
            begun.set()
            go_on.wait(LONG_S)

        thread = threading.Thread(target=turns.elsewhere, args=(hang,))
        thread.start()
        assert begun.wait(LONG_S)
        turns.submit_one(turn(lambda: ran.append(1)))
        turns.submit(turn(lambda: ran.append(2)), turn(lambda: ran.append(3)))
        try:
            assert ran == [1, 2, 3]
        finally:
            go_on.set()
            thread.join(LONG_S)

    def test_what_it_submits_is_run_by_the_dispatcher(self, turns: TurnQueue) -> None:
        """P2: no turn that a change submits runs in its thread, before it ends or after; a turn
        that hangs does not keep it."""
        go_on, ran = threading.Event(), list[str]()

        def work() -> None:
            ran.append(threading.current_thread().name)
            go_on.wait(LONG_S)

        def change() -> None:
            turns.submit_one(turn(work))
            turns.submit(turn(work), turn(work))

        turns.elsewhere(change)
        go_on.set()
        assert turns.wait_idle(LONG_S)
        assert ran == ["test:dispatcher"] * 3
        turns.submit_one(turn(work))
        assert ran[3:] == [threading.current_thread().name]

    def test_it_may_wait_for_a_turn(self, turns: TurnQueue) -> None:
        """P2: a change that calls something as a turn is given its result."""
        got: list[object] = []
        turns.elsewhere(lambda: got.append(turns.call(lambda: 42, "the answer")))
        assert got == [42]

    def test_after_the_end_it_runs_them_itself(self, turns: TurnQueue) -> None:
        """Without a dispatcher, or after `close`, a change runs the turns that it submits."""
        ran: list[int] = []
        turns.close()
        turns.elsewhere(lambda: turns.submit(turn(lambda: ran.append(1))))
        TurnQueue().elsewhere(lambda: turns.submit_one(turn(lambda: ran.append(2))))
        assert ran == [1, 2]


class TestContext:
    @pytest.mark.parametrize("alone", [True, False])
    def test_what_a_turn_sets_ends_with_the_submit(self, turns: TurnQueue, alone: bool) -> None:
        """A turn sees no context variable of who submits it, and leaves none behind."""
        mark: ContextVar[str] = ContextVar("mark", default="none")
        seen: list[str] = []

        def work() -> None:
            seen.append(mark.get())
            mark.set("of a turn")

        mark.set("of the submitter")
        for _ in range(2):
            if alone:
                turns.submit_one(turn(work))
            else:
                turns.submit(turn(work))
        assert seen == ["none", "none"]
        assert mark.get() == "of the submitter"

    def test_a_turn_on_another_queue_inside_a_turn(self, turns: TurnQueue) -> None:
        """P2: a turn may submit to a queue that is idle: that runs it at once, in its own name."""
        other = TurnQueue(slow_turn_s=LONG_S)
        seen: list[TurnQueue | None] = []

        def outer() -> None:
            other.submit_one(turn(lambda: seen.append(current_queue.get())))
            seen.append(current_queue.get())

        turns.submit_one(turn(outer))
        assert seen == [other, turns]


class TestCall:
    def test_returns_the_result(self, turns: TurnQueue) -> None:
        """`call` runs a function as a turn and returns what it returns."""
        assert turns.call(turns.inside, "question") is True

    def test_raises_the_error(self, turns: TurnQueue, reports: Reports) -> None:
        """What the function raises is the caller's, and no failure of the queue."""
        with pytest.raises(ZeroDivisionError):
            turns.call(lambda: 1 // 0, "divide")
        assert reports.failed == []

    def test_inside_a_turn_it_is_a_part_of_it(self, turns: TurnQueue) -> None:
        """P1: a call inside a turn runs at once and returns, so that it cannot wait for itself."""
        steps: list[object] = []

        def outer() -> None:
            steps.append(turns.call(lambda: "inner", "inner"))
            steps.append("outer")

        turns.submit(turn(outer))
        assert steps == ["inner", "outer"]

    def test_waits_for_its_place(self, turns: TurnQueue, until: Until) -> None:
        """P2: a call waits for the turns before it and runs in the dispatcher if need be."""
        blocked = Blocked(turns)
        results: list[object] = []
        thread = threading.Thread(
            target=lambda: results.append(
                turns.call(lambda: threading.current_thread().name, "who")
            )
        )
        thread.start()
        until(lambda: turns.depth > 0)
        blocked.release()
        thread.join(LONG_S)
        assert results == ["test:dispatcher"]

    def test_a_call_that_times_out_never_runs(self, turns: TurnQueue) -> None:
        """A call that did not begin in time is abandoned, and says so to the caller."""
        blocked = Blocked(turns)
        ran: list[int] = []
        with pytest.raises(TurnTimeoutError, match=r"late: not done within 0\.01 s"):
            turns.call(lambda: ran.append(1), "late", timeout_s=0.01)
        blocked.release()
        assert turns.wait_idle(LONG_S)
        assert ran == []

    def test_a_call_that_has_begun_goes_on(self, turns: TurnQueue, until: Until) -> None:
        """A call that times out while it runs is finished; its result is dropped."""
        blocked = Blocked(turns)
        begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            assert go_on.wait(LONG_S)
            ended.set()

        errors: list[Exception] = []

        def call() -> None:
            try:
                turns.call(work, "work", timeout_s=0.2)
            except TurnTimeoutError as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        until(lambda: turns.depth > 0)
        blocked.release()
        assert begun.wait(LONG_S)
        thread.join(LONG_S)
        assert len(errors) == 1
        go_on.set()
        assert ended.wait(LONG_S)
        assert turns.wait_idle(LONG_S)

    def test_an_exit_reaches_the_caller(self, turns: TurnQueue, until: Until) -> None:
        """P3: SystemExit in a call is not taken for success, wherever the call ran."""
        blocked = Blocked(turns)
        caught: list[BaseException] = []

        def leave() -> None:
            raise SystemExit(3)

        def call() -> None:
            try:
                turns.call(leave, "leave")
            except SystemExit as error:
                caught.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        until(lambda: turns.depth > 0)
        blocked.release()
        thread.join(LONG_S)
        assert [repr(error) for error in caught] == ["SystemExit(3)"]


class TestNoMoreThreads:
    def test_what_was_for_the_dispatcher_is_run_by_who_submits_next(self, reports: Reports) -> None:
        """P2: without a thread for the dispatcher nothing is lost, and nobody is refused."""
        with StarvedClock() as clock:
            turns = TurnQueue(clock, reports, dispatcher="dispatcher")
            ran: list[int] = []
            clock.starved = "dispatcher"
            turns.submit_elsewhere(turn(lambda: ran.append(1)))
            turns.submit_elsewhere(turn(lambda: ran.append(2)))
            assert (ran, turns.depth) == ([], 2)
            turns.submit_one(turn(lambda: ran.append(3)))
            assert ran == [1, 2, 3]
            turns.submit_elsewhere(turn(lambda: ran.append(4)))
            clock.starved = None
            turns.submit_elsewhere(turn(lambda: ran.append(5)))
            clock.advance(1.0)
            assert ran == [1, 2, 3, 4, 5]
            turns.close()


class TestWaitIdle:
    def test_waits_for_all_before_it(self, turns: TurnQueue) -> None:
        """After `wait_idle` all turns that were submitted before have run."""
        blocked = Blocked(turns)
        ran: list[int] = []
        turns.submit(turn(lambda: ran.append(1)))
        assert not turns.wait_idle(0.01)
        blocked.release()
        assert turns.wait_idle(LONG_S)
        assert ran == [1]

    def test_inside_a_turn_it_does_not_wait_for_itself(self, turns: TurnQueue) -> None:
        """A turn cannot wait for its own end: the answer is no."""
        assert turns.call(lambda: turns.wait_idle(LONG_S), "self") is False


class TestClose:
    def test_ends_the_dispatcher(self, turns: TurnQueue) -> None:
        """Closing ends the dispatcher's thread, after what was handed to it."""
        blocked = Blocked(turns)
        threads: list[threading.Thread] = []
        turns.submit(turn(lambda: threads.append(threading.current_thread())))
        blocked.release()
        assert turns.wait_idle(LONG_S)
        turns.close()
        threads[0].join(LONG_S)
        assert not threads[0].is_alive()

    def test_turns_still_run_afterwards(self, turns: TurnQueue) -> None:
        """Turns that come after the close run in the thread of whoever submits or runs."""
        turns.close()
        blocked = Blocked(turns)
        threads: list[threading.Thread] = []
        turns.submit(turn(lambda: threads.append(threading.current_thread())))
        blocked.release()
        turns.submit(turn(lambda: threads.append(threading.current_thread())))
        assert threads == [blocked.thread, threading.current_thread()]


def test_a_queue_that_is_closed_during_a_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has handed over does not take the seat from a dispatcher that has left already."""
    queue, ran = TurnQueue(dispatcher="dispatcher"), threading.Event()
    queue.submit_elsewhere(CallTurn(lambda: None, "first", ran.set))
    assert ran.wait(10)
    queue.wait_idle(10)
    hand_over = queue._hand_over

    def closing() -> bool:
        queue.close()
        assert queue._dispatcher is not None
        queue._dispatcher.join(10)
        return hand_over()

    monkeypatch.setattr(queue, "_hand_over", closing)
    queue.submit_elsewhere(CallTurn(lambda: None, "second"))
    later: list[str] = []
    queue.submit(CallTurn(lambda: None, "later", lambda: later.append("ran")))
    assert later == ["ran"]

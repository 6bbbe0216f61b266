"""Supervisors of children (promise P7), in simulated time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edgekernel import Runtime, message
from edgekernel.core.errors import ConfigError, EscalationError, LifecycleError
from edgekernel.core.markers import Strategy, Supervision
from edgekernel.core.supervisor import Supervisor
from tests.core.working import LONG_S, MakeRuntime, Simulation, Until, messages_of

ONE_S = Supervision(max_restarts=100, within_s=1e6, backoff_s=1.0, backoff_limit_s=60.0)


class Noting:
    """A child that notes its starts and stops with their times, and may fail to start."""

    def __init__(self, name: str, group: Group) -> None:
        self.name = name
        self.group = group
        self.start_failures: list[BaseException] = []
        self.start_s = self.stop_s = 0.0
        self.live = True
        self.in_start: Callable[[], object] = lambda: None

    def start(self) -> None:
        assert not self.live, f"{self.name} is started while it is live"
        self.live = True
        self.group.note(f"+{self.name}")
        self.in_start()
        self.group.runtime.clock.sleep(self.start_s)
        if self.start_failures:
            raise self.start_failures.pop(0)

    def stop(self) -> None:
        assert self.live, f"{self.name} is stopped twice"
        self.live = False
        self.group.note(f"-{self.name}")
        self.group.runtime.clock.sleep(self.stop_s)


class Group:
    """A supervisor with children, and what happens to them."""

    def __init__(self, runtime: Runtime, names: str, how: Supervision, decide: Any = None) -> None:
        self.runtime = runtime
        self.steps: list[tuple[float, str]] = []
        self.escalated: list[EscalationError] = []
        self.supervisor = Supervisor(
            runtime, "group", how, escalate=self.escalated.append, decide=decide
        )
        self.children = {name: Noting(name, self) for name in names}
        for child in self.children.values():
            self.supervisor.add(child)

    def note(self, step: str) -> None:
        self.steps.append((self.runtime.clock.monotonic(), step))

    def fail(self, *names: str) -> None:
        for name in names:
            self.supervisor.failed(name, ValueError(f"{name} is broken"))

    @property
    def order(self) -> str:
        return " ".join(step for _, step in self.steps)

    def times(self, step: str) -> list[float]:
        return [time for time, each in self.steps if each == step]


MakeGroup = Callable[..., Group]


@pytest.fixture
def make_group(sim: Simulation) -> Iterator[MakeGroup]:
    """Make groups in simulated time; none of their supervisors may have failed by itself."""
    made: list[Group] = []
    errors: list[list[Any]] = []

    def make(names: str, strategy: Strategy = "one-for-one", **how: Any) -> Group:
        decide = how.pop("decide", None)
        numbers = {"max_restarts": 100, "within_s": 1e6, **how}
        runtime = sim.runtime()
        errors.append(messages_of(runtime, message.BackgroundError))
        runtime.boot()
        made.append(Group(runtime, names, Supervision(strategy, **numbers), decide))
        return made[-1]

    yield make
    for group in made:
        group.supervisor.close()
    assert errors == [[] for _ in made]


class TestStrategies:
    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            ("one-for-one", "-b +b"),
            ("one-for-all", "-d -c -b -a +a +b +c +d"),
            ("rest-for-one", "-d -c -b +b +c +d"),
        ],
    )
    def test_stop_in_reverse_and_start_in_order(
        self, sim: Simulation, make_group: MakeGroup, strategy: Strategy, expected: str
    ) -> None:
        """P7, K15b: what the strategy names is stopped, the failed child too, before any start."""
        group = make_group("abcd", strategy)
        sim.advance(5.0)
        group.fail("b")
        sim.advance(10.0)
        assert group.order == expected
        stops = [time for time, step in group.steps if step.startswith("-")]
        starts = [time for time, step in group.steps if step.startswith("+")]
        assert set(stops) == {5.0}
        assert len(set(starts)) == 1
        assert 5.8 <= starts[0] <= 6.2

    def test_the_order_is_that_of_adding(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: a child that is removed and added again comes last."""
        group = make_group("abc", "rest-for-one")
        group.supervisor.remove("a")
        group.supervisor.add(group.children["a"])
        assert group.supervisor.names() == ["b", "c", "a"]
        group.fail("c")
        sim.advance(10.0)
        assert group.order == "-a -c +c +a"

    @pytest.mark.parametrize("strategy", ["one-for-all", "rest-for-one"])
    def test_failures_during_one_restart_are_merged(
        self, sim: Simulation, make_group: MakeGroup, strategy: Strategy
    ) -> None:
        """P7: what fails together, or while a restart is due, is restarted once, and together."""
        group = make_group("abcd", strategy, max_restarts=1)
        group.fail("c", "d", "b", "c")
        sim.advance(0.5)
        group.fail("c", "a", "d")
        sim.advance(10.0)
        assert [group.order.count(f"+{name}") for name in "abcd"] == [1, 1, 1, 1]
        assert len({time for time, step in group.steps if step.startswith("+")}) == 1
        assert group.escalated == []

    def test_one_for_one_delays_nobody_else(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: with one-for-one, each child has a delay of its own."""
        group = make_group("ab", backoff_s=8.0, backoff_limit_s=8.0)
        group.fail("a")
        sim.advance(4.0)
        group.fail("b", "a")
        sim.advance(20.0)
        assert (group.times("-a"), group.times("-b")) == ([0.0], [4.0])
        [a], [b] = group.times("+a"), group.times("+b")
        assert 6.4 <= a <= 9.6
        assert 10.4 <= b <= 13.6

    def test_a_failure_of_what_is_down_is_none(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: what a child raises while it is stopped, or is down, restarts nothing."""
        group = make_group("ab", "one-for-all")
        told: list[bool] = []
        a = group.children["a"]
        a.stop_s = 0.5
        group.fail("b")
        sim.advance(0.25)
        told.append(group.supervisor.failed("a", ValueError("interrupted")))
        sim.advance(0.5)
        told.append(group.supervisor.failed("b", ValueError("late")))
        told.append(group.supervisor.failed("nobody", ValueError("unknown")))
        sim.advance(10.0)
        assert told == [False, False, False]
        assert group.order == "-b -a +a +b"

    def test_what_fails_before_it_is_stopped_with_the_others(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: a failure told while another one is handled is part of that restart."""
        decided: list[str] = []

        def decide(name: str, error: BaseException, attempt: int) -> bool:
            decided.append(name)
            group.fail("c")
            return True

        group = make_group("abc", "one-for-all", decide=decide)
        group.fail("b")
        sim.advance(30.0)
        assert group.order == "-c -b -a +a +b +c"
        assert decided == ["b"]


class TestDelays:
    def test_double_with_jitter_and_begin_anew(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: a child that fails again and again waits longer and longer, until it was well."""
        group = make_group("a", backoff_limit_s=8.0)
        delays = []
        for ran_s in (100.0, 0.5, 7.5, 0.5, 0.5, 8.5, 0.5):
            sim.advance(ran_s)
            group.fail("a")
            restarts = len(group.times("+a"))
            failed = sim.clock.monotonic()
            while len(group.times("+a")) == restarts:
                sim.advance(0.001)
            delays.append(group.times("+a")[-1] - failed)
        assert delays == pytest.approx([1.0, 2.0, 4.0, 8.0, 8.0, 1.0, 2.0], rel=0.2)

    def test_a_start_that_fails_is_the_next_failure(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: a start that raises is stopped, and tried again after a longer delay."""
        attempts: list[tuple[str, str, int]] = []

        def decide(name: str, error: BaseException, attempt: int) -> bool:
            attempts.append((name, str(error), attempt))
            return True

        group = make_group("a", decide=decide)
        group.children["a"].start_failures = [OSError("no bus"), SystemExit(2)]
        group.fail("a")
        sim.advance(30.0)
        assert group.order == "-a +a -a +a -a +a"
        assert attempts == [("a", "a is broken", 1), ("a", "no bus", 2), ("a", "2", 3)]
        first, second, third = group.times("+a")
        assert [first, second - first, third - second] == pytest.approx([1, 2, 4], rel=0.2)

    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            ("one-for-one", "-b +b -b +b"),
            ("one-for-all", "-c -b -a +a +b -b -a +a +b +c"),
            ("rest-for-one", "-c -b +b -b +b +c"),
        ],
    )
    def test_a_start_that_fails_in_a_group(
        self, sim: Simulation, make_group: MakeGroup, strategy: Strategy, expected: str
    ) -> None:
        """P7: what comes after a child that does not start waits for it."""
        group = make_group("abc", strategy)
        group.children["b"].start_failures = [OSError("no bus")]
        group.fail("b")
        sim.advance(30.0)
        assert group.order == expected
        first, second = group.times("+b")
        assert second - first == pytest.approx(2.0, rel=0.2)

    def test_a_failure_during_a_restart(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: a child that fails while those after it start is restarted, with the rest, once."""
        group = make_group("abc", "rest-for-one")
        once = iter(["a"])
        group.children["b"].in_start = lambda: group.fail(*next(once, ""))
        group.fail("a")
        sim.advance(30.0)
        assert group.order == "-c -b -a +a +b -b -a +a +b +c"


class TestEscalation:
    @pytest.mark.parametrize("strategy", ["one-for-one", "one-for-all", "rest-for-one"])
    def test_when_the_budget_is_used_up(
        self, sim: Simulation, make_group: MakeGroup, strategy: Strategy
    ) -> None:
        """P7: one failure more than the budget stops all children and passes the error on."""
        group = make_group("abc", strategy, max_restarts=2, within_s=100.0)
        told = messages_of(group.runtime, message.SupervisorEscalated)
        for _ in range(2):
            group.fail("b")
            sim.advance(10.0)
        assert group.escalated == []
        group.steps.clear()
        group.fail("b")
        sim.advance(10.0)
        assert group.order == "-c -b -a"
        assert told == [message.SupervisorEscalated("group", "b", "ValueError: b is broken")]
        [error] = group.escalated
        assert error.child == "b"
        assert str(error.__cause__) == "b is broken"
        assert "2 restarts in 100 s" in str(error)

    def test_when_a_start_keeps_failing(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: starts that fail use up the budget too."""
        group = make_group("ab", "one-for-all", max_restarts=3)
        group.children["b"].start_failures = [OSError("gone") for _ in range(10)]
        group.fail("a")
        sim.advance(100.0)
        assert group.order == "-b -a" + " +a +b -b -a" * 3
        assert [str(error.__cause__) for error in group.escalated] == ["gone"]

    def test_rare_failures_do_not(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: the budget is one of a stretch of time."""
        group = make_group("a", max_restarts=1, within_s=30.0)
        for _ in range(5):
            group.fail("a")
            sim.advance(31.0)
        assert group.escalated == []
        assert len(group.times("+a")) == 5

    def test_without_a_budget_the_first_failure_does(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: max_restarts=0 restarts nothing."""
        group = make_group("ab", max_restarts=0)
        group.fail("a")
        sim.advance(100.0)
        assert group.order == "-b -a"
        assert len(group.escalated) == 1

    def test_can_be_used_again_afterwards(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7, K15c: after an escalation children of the same names are supervised anew."""
        group = make_group("ab", max_restarts=1, within_s=1e6)
        for _ in range(2):
            group.fail("a")
            sim.advance(10.0)
        assert (len(group.escalated), group.supervisor.names()) == (1, [])
        group.steps.clear()
        for name in "ab":
            child = Noting(name, group)
            group.children[name] = child
            group.supervisor.add(child)
        group.fail("a")
        sim.advance(10.0)
        assert group.order == "-a +a"
        group.fail("b")
        sim.advance(10.0)
        assert len(group.escalated) == 2

    def test_may_close_and_add_from_within(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: whoever is told of the escalation may use the supervisor at once."""
        group = make_group("a", max_restarts=0)
        joined: list[bool] = []
        supervisor = group.supervisor

        def escalate(error: EscalationError) -> None:
            supervisor.add(Noting("a", group))
            supervisor.close()
            joined.append(supervisor.join(LONG_S))

        supervisor._escalate = escalate
        group.fail("a")
        sim.advance(1.0)
        assert (joined, supervisor.names()) == ([False], ["a"])
        assert supervisor.join(0.0)


class TestDecision:
    def test_gives_up_one_child(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P7: a child that the decision gives up is stopped and forgotten; the others go on."""
        group = make_group("abc", "one-for-all", decide=lambda name, error, attempt: name != "b")
        group.fail("b")
        sim.advance(10.0)
        assert (group.order, group.supervisor.names()) == ("-b", ["a", "c"])
        group.fail("a")
        sim.advance(10.0)
        assert group.order == "-b -c -a +a +c"

    def test_that_gives_up_does_not_strand_the_rest(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P7: if a child is given up in the middle of a restart, those after it still start."""
        group = make_group("abc", "one-for-all", decide=lambda name, error, attempt: name != "b")
        group.children["b"].start_failures = [OSError("no bus")]
        group.fail("a")
        sim.advance(10.0)
        assert group.order == "-c -b -a +a +b -b +c"

    def test_that_raises_is_told_and_restarts(self, sim: Simulation) -> None:
        """P7: a decision that fails is reported, and the strategy decides."""
        runtime = sim.runtime()
        errors = messages_of(runtime, message.BackgroundError)
        group = Group(runtime, "a", ONE_S, decide=lambda name, error, attempt: 1 // 0)
        group.fail("a")
        sim.advance(10.0)
        assert group.order == "-a +a"
        assert [error.where for error in errors] == ["supervision of a by group"]


class TestEnd:
    def test_close_ends_a_delay_at_once(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P6: a shutdown waits for no backoff, and nothing starts after it."""
        group = make_group("ab", "one-for-all", backoff_s=1000.0, backoff_limit_s=1000.0)
        group.fail("a")
        sim.advance(5.0)
        assert not group.supervisor.join(0.0)
        group.supervisor.close()
        assert group.supervisor.join(1.0)
        assert sim.clock.monotonic() == 5.0
        sim.advance(5000.0)
        assert group.order == "-b -a"
        assert not group.supervisor.failed("a", ValueError("late"))
        with pytest.raises(LifecycleError, match="closed"):
            group.supervisor.add(Noting("c", group))

    def test_close_during_a_start_stops_what_starts(
        self, sim: Simulation, make_group: MakeGroup
    ) -> None:
        """P6: a child whose start is under way is stopped when it is up; no other is started."""
        group = make_group("ab", "one-for-all", backoff_s=1.0)
        group.children["a"].start_s = 10.0
        group.fail("a")
        sim.advance(5.0)
        group.supervisor.close()
        assert group.supervisor.join(60.0)
        assert group.order == "-b -a +a -a"

    def test_remove_forgets_a_child(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P12: a child that is removed is not restarted, whether it waits or has failed."""
        group = make_group("abc")
        group.fail("a", "b")
        group.supervisor.remove("a")
        sim.advance(0.5)
        group.supervisor.remove("b")
        sim.advance(30.0)
        assert group.order == "-b"
        assert group.supervisor.names() == ["c"]
        assert group.supervisor.join(0.0)

    def test_remove_during_its_start_stops_it(self, sim: Simulation, make_group: MakeGroup) -> None:
        """P12: a child that is removed while it is being started leaves no ghost."""
        group = make_group("ab", "one-for-all")
        group.children["a"].start_s = 10.0
        group.fail("a")
        sim.advance(5.0)
        group.supervisor.remove("a")
        sim.advance(30.0)
        assert group.order == "-b -a +a -a +b"

    def test_names_are_unique(self, make_group: MakeGroup) -> None:
        """P5: two children of one name are refused."""
        group = make_group("a")
        with pytest.raises(ConfigError, match="two children of the name a"):
            group.supervisor.add(Noting("a", group))


def test_restarts_are_the_same_in_every_run(sim: Simulation) -> None:
    """P10: delays are the same in every run, and differ from child to child."""
    runs = []
    for _ in range(2):
        group = Group(sim.runtime(), "ab", ONE_S)
        begin = sim.clock.monotonic()
        group.fail("a", "b")
        sim.advance(10.0)
        runs.append([(round(time - begin, 6), step) for time, step in group.steps])
    assert runs[0] == runs[1]
    assert runs[0][2][0] != runs[0][3][0]


def test_failures_from_many_threads(
    make_runtime: MakeRuntime, until: Until, eager_switching: None
) -> None:
    """P7: with eight threads telling of failures, each child is started and stopped in turn."""
    runtime = make_runtime()
    errors = messages_of(runtime, message.BackgroundError)
    how = Supervision("one-for-all", 10**6, 1e6, backoff_s=0.0001, backoff_limit_s=0.001)
    group = Group(runtime, "abcd", how)

    def fail(n: int) -> None:
        for i in range(100):
            group.supervisor.failed("abcd"[(n + i) % 4], ValueError("no"))

    threads = [threading.Thread(target=fail, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    until(lambda: group.supervisor.join(0.0))
    assert errors == []
    assert all(child.live for child in group.children.values())
    for name in "abcd":
        steps = [step for _, step in group.steps if step[1] == name]
        assert steps == [f"-{name}", f"+{name}"] * (len(steps) // 2)
        assert steps

"""The way of a request: checked, carried out where it belongs, limited, recorded (promise P11)."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from edgekernel import (
    Context,
    Event,
    Message,
    Process,
    Runtime,
    Service,
    command,
    component,
    effect,
    message,
    on,
)
from edgekernel.core.call import Call
from edgekernel.core.errors import (
    ForbiddenError,
    InvalidValueError,
    LifecycleError,
    RateLimitedError,
    RefusedError,
    TurnTimeoutError,
    UnavailableError,
    UnknownTargetError,
)
from edgekernel.core.invocation import MAX_IN_FLIGHT
from edgekernel.core.masking import Secret
from edgekernel.core.policy import Policy

LONG_S = 10.0


class Ring(Message):
    """Somebody rings."""


class Fan(Process):
    """Has commands of every kind."""

    def __init__(self, name: str = "fan") -> None:
        self.name = name
        self.done: list[object] = []

    def start(self, ctx: Context) -> None:
        self.context = ctx

    @command
    def on(self, level: int = 1) -> int:
        self.done.append(level)
        return level

    @command(role="operator")
    def reset(self) -> None:
        self.done.append("reset")

    @command(action="fan:wipe", destructive=True)
    def wipe(self) -> None:
        self.done.append("wiped")

    @command
    def fail(self, password: str = "") -> None:
        raise ValueError(f"wrong: {password}")

    @command(blocking=True, timeout_s=60)
    def test(self, seconds: float = 5.0) -> str:
        self.context.clock.sleep(seconds)
        self.done.append("tested")
        return "fine"

    @command
    async def breathe(self, seconds: float = 3600.0) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.done.append("cancelled")
            raise
        self.done.append("breathed")
        return "fresh"

    @command(rate_limit="2/min")
    def pulse(self) -> None:
        self.done.append("pulse")

    @command(internal=True)
    def tune(self) -> str:
        return "tuned"

    @command
    def login(self, user: str, word: Secret) -> None:
        if word != "right":
            raise InvalidValueError(f"{word} is not the word")


class Room(Process):
    """Calls commands of the fan from wherever a component can."""

    name = "room"

    def __init__(self) -> None:
        self.results: list[Any] = []

    def start(self, ctx: Context) -> None:
        self.context = ctx

    def ask(self, call: Callable[[], Any]) -> None:
        try:
            self.results.append(call())
        except Exception as error:
            self.results.append(error)

    @command
    def boost(self) -> Any:
        return self.context.invoke("fan.on", {"level": 9})

    @command
    async def air(self) -> Any:
        return await self.context.invoke_nowait("fan.on", {"level": 7}).wait()

    @command(blocking=True)
    def survey(self) -> Any:
        return self.context.invoke("fan.on", {"level": 5})

    @on(Ring)
    def ring(self, event: Event) -> None:
        self.ask(lambda: self.context.invoke("fan.on"))


@pytest.fixture
def fan() -> Fan:
    return Fan()


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def house(sim: Any, fan: Fan, room: Room) -> Runtime:
    """A runtime in simulated time with a fan and a room; nobody has a role."""
    runtime: Runtime = sim.runtime(slow_turn_s=LONG_S)
    runtime.register(fan)
    runtime.register(room)
    runtime.boot()
    return runtime


def listen(runtime: Runtime, *kinds: type[Message]) -> list[Message]:
    """The messages of these kinds from now on."""
    heard: list[Message] = []
    for kind in kinds:
        runtime.subscribe(kind, lambda event: heard.append(event.payload))
    return heard


class TestNames:
    @pytest.mark.parametrize(
        ("there", "asked"),
        [
            ("relay.on", "relay.off"),
            ("valve-1.open", "valve-2.open"),
            ("relay.on", "relay.on_tool"),
            ("relay.on", "relay-on"),
            ("relay.on", "relay.on_helper"),
        ],
    )
    def test_a_name_is_never_resolved(
        self, make_runtime: Callable[..., Runtime], there: str, asked: str
    ) -> None:
        """P11: no other command runs in place of one that is not there; the text suggests it."""
        done: list[str] = []

        class Part(Process):
            name = there.partition(".")[0]

            @command(name=there.partition(".")[2])
            def act(self) -> None:
                done.append(there)

        runtime = make_runtime()
        runtime.register(Part())
        runtime.boot()
        with pytest.raises(UnknownTargetError, match=f"did you mean '{there}'"):
            runtime.invoke(asked)
        assert done == []

    def test_no_other_spelling_passes_a_policy(self, house: Runtime, fan: Fan) -> None:
        """P11: what is denied is denied under every name that could reach it."""
        house.policies.set("anna", Policy(deny=("fan.on",)))
        for name in ("fan.on", "fan.on_tool", "fan.On", " fan.on", "fan-on", "fan.on "):
            with pytest.raises(RefusedError):
                house.invoke(name, principal="anna")
        assert fan.done == []

    def test_internal_commands_are_the_programs(self, house: Runtime) -> None:
        """What no surface shows is there for the program itself."""
        assert house.invoke("fan.tune") == "tuned"
        assert "fan.tune" not in [each.name for each in house.commands.visible("mqtt")]

    def test_target_routing(self, house: Runtime) -> None:
        """One of several instances is reached by its target, which is no argument."""
        fans = {name: Fan(name) for name in ("left", "right")}
        for name, made in fans.items():
            house.commands.add(name, made, factory="fans", properties=dict)
        assert house.invoke("fans.on", {"level": 3}, target="left") == 3
        assert (fans["left"].done, fans["right"].done) == ([3], [])
        with pytest.raises(InvalidValueError, match="left, right"):
            house.invoke("fans.on")
        record = house.commands.audit[-2]
        assert (record.command, record.target) == ("left.on", "left")

    def test_instances_of_a_component(self, house: Runtime) -> None:
        """Instances that are made while the runtime runs are told apart by a property, or name."""

        @component("tenant")
        class Tenant:
            def __init__(self) -> None:
                self.asked = 0

            @command
            def report(self) -> int:
                self.asked += 1
                return self.asked

        first = house.instantiate(Tenant, "first", {"target": "t1"})
        second = house.instantiate(Tenant, "second", {"target": "t2"})
        assert house.invoke("tenant.report", target="t1") == 1
        assert house.invoke("tenant.report", target="first") == 2
        assert (first.asked, second.asked) == (2, 0)
        house.hot_remove("first")
        with pytest.raises(UnknownTargetError, match="no target 't1'"):
            house.invoke("tenant.report", target="t1")


class TestAuthorization:
    def test_closed_without_an_authorizer(self, house: Runtime, fan: Fan) -> None:
        """P11: without an authorizer nobody has a role or may do an action."""
        with pytest.raises(ForbiddenError, match=r"fan\.reset needs the role 'operator'.*'anna'"):
            house.invoke("fan.reset", principal="anna")
        with pytest.raises(ForbiddenError, match=r"needs the action 'fan:wipe'.*'nobody'"):
            house.invoke("fan.wipe")
        assert fan.done == []

    def test_the_authorizer_decides_each_time(self, sim: Any, fan: Fan) -> None:
        """P11: what is granted or taken back counts from the next call on."""
        granted: set[tuple[str, str]] = {("anna", "operator")}
        runtime = sim.runtime(authorizer=lambda *asked: asked in granted)
        runtime.register(fan)
        runtime.boot()
        runtime.invoke("fan.reset", principal="anna")
        with pytest.raises(ForbiddenError):
            runtime.invoke("fan.wipe", principal="anna")
        granted.clear()
        with pytest.raises(ForbiddenError):
            runtime.invoke("fan.reset", principal="anna")
        granted.add(("anna", "fan:wipe"))
        runtime.invoke("fan.wipe", principal="anna")
        assert fan.done == ["reset", "wiped"]

    def test_an_authorizer_that_fails_grants_nothing(self, sim: Any, fan: Fan) -> None:
        """P11: an error while it is asked is no permission."""

        def authorize(principal: str, role: str) -> bool:
            raise OSError("no directory")

        runtime = sim.runtime(authorizer=authorize)
        runtime.register(fan)
        runtime.boot()
        with pytest.raises(OSError, match="no directory"):
            runtime.invoke("fan.reset", principal="anna")
        assert fan.done == []
        assert runtime.commands.in_flight == 0

    def test_who_may_not_call_learns_nothing(self, house: Runtime) -> None:
        """P11: a role is asked for before the arguments are looked at."""
        with pytest.raises(ForbiddenError):
            house.invoke("fan.reset", {"nonsense": 1})


class TestPolicies:
    def test_hold_for_components_on_every_way(self, sim: Any, fan: Fan) -> None:
        """P11: a component that is denied a command reaches it from no place in its code."""

        class Sly(Service):
            name = "sly"
            interval = 1.0

            def __init__(self) -> None:
                self.errors: list[str] = []
                self.reached: list[str] = []

            def start(self, ctx: Context) -> None:
                self.context = ctx

            def attempt(self, way: str, call: Callable[[], Any]) -> None:
                try:
                    call()
                    self.reached.append(way)
                except ForbiddenError:
                    self.errors.append(way)

            def tick(self, ctx: Context) -> None:
                self.attempt("tick", lambda: ctx.runtime.invoke("fan.on"))

            @on(Ring)
            def ring(self, event: Event) -> None:
                self.attempt("handler", lambda: self.context.runtime.invoke("fan.on"))

            @effect
            def follow(self) -> None:
                self.attempt("effect", lambda: self.context.runtime.invoke("fan.on"))

            @command
            def act(self) -> None:
                self.attempt("command", lambda: self.context.runtime.invoke("fan.on"))

            @command
            def pretend(self) -> None:
                invoke = self.context.runtime.invoke
                self.attempt("pretence", lambda: invoke("fan.on", principal="anna"))

            @command
            async def later(self) -> None:
                call = self.context.runtime.invoke_nowait("fan.on")
                self.attempt("coroutine", call.result)

        runtime, sly = sim.runtime(), Sly()
        runtime.register(fan)
        runtime.register(sly)
        runtime.policies.set("component:sly", Policy(deny=("fan.*",)))
        runtime.boot()
        sim.advance(0.1)
        runtime.emit(Ring())
        for name in ("sly.act", "sly.pretend", "sly.later"):
            runtime.invoke(name, principal="anna")
        sim.advance(0.5)
        ways = {"tick", "handler", "effect", "command", "pretence", "coroutine"}
        assert (sly.reached, set(sly.errors), fan.done) == ([], ways, [])
        runtime.policies.remove("component:sly")
        runtime.invoke("sly.act")
        assert sly.reached == ["command"]

    def test_without_audit(self, house: Runtime) -> None:
        """Calls of a principal that is not audited are counted only; its refusals are kept."""
        house.policies.set("anna", Policy(audit=False))
        heard = listen(house, message.CommandDone)
        house.invoke("fan.on", principal="anna")
        with pytest.raises(ForbiddenError):
            house.invoke("fan.reset", principal="anna")
        assert [record.code for record in house.commands.audit] == ["forbidden"]
        assert house.commands.graph()["commands"]["fan.on"]["count"] == 1
        assert house.turns.wait_idle(LONG_S)
        assert heard == []


class TestWhereItRuns:
    def test_a_blocking_command_stalls_no_handler(self, house: Runtime, sim: Any) -> None:
        """P2: while a command blocks for five seconds handlers run as always."""
        times: list[float] = []
        house.subscribe(Ring, lambda event: times.append(sim.clock.monotonic()))
        call = house.invoke_nowait("fan.test", {"seconds": 5.0})
        for _ in range(3):
            sim.advance(1.0)
            house.emit(Ring())
        assert times == [1.0, 2.0, 3.0]
        assert not call.done
        assert call.result() == "fine"
        assert sim.clock.monotonic() == 5.0

    def test_an_async_command_takes_simulated_time(self, house: Runtime, sim: Any) -> None:
        """P10: an hour in an async command is an hour on the clock."""
        assert house.invoke("fan.breathe", timeout=math.inf) == "fresh"
        assert sim.clock.monotonic() == 3600.0

    def test_turn_commands_exclude_handlers(self, house: Runtime, room: Room, fan: Fan) -> None:
        """P2: inside a turn a quick command runs at once, as part of it."""
        house.emit(Ring())
        assert (room.results, fan.done) == ([1], [1])

    @pytest.mark.parametrize("name", ["fan.test", "fan.breathe"])
    def test_a_turn_waits_for_nobody(
        self, house: Runtime, room: Room, fan: Fan, sim: Any, name: str
    ) -> None:
        """P2: a handler cannot wait for what does not run as a turn; it can begin it."""
        house.subscribe(Ring, lambda event: room.ask(lambda: house.invoke(name)))
        begun: list[Call] = []
        house.subscribe(Ring, lambda event: begun.append(house.invoke_nowait(name, {"seconds": 1})))
        house.emit(Ring())
        assert isinstance(room.results[-1], LifecycleError)
        assert "invoke_nowait" in str(room.results[-1])
        assert begun[0].result() in ("fine", "fresh")
        assert len(fan.done) == 2  # with that of the room, which hears the ring as well

    @pytest.mark.parametrize(("name", "level"), [("boost", 9), ("air", 7), ("survey", 5)])
    def test_a_command_calls_another(self, house: Runtime, fan: Fan, name: str, level: int) -> None:
        """A command of any kind may call another one of its runtime."""
        assert house.invoke(f"room.{name}") == level
        assert fan.done == [level]
        edge = {"caller": f"room.{name}", "callee": "fan.on", "count": 1}
        assert house.commands.graph()["edges"] == [edge]
        inner, outer = list(house.commands.audit)[-2:]
        assert (inner.cause, inner.principal) == (outer.id, "component:room")

    def test_the_event_loop_waits_for_nobody(self, house: Runtime, room: Room) -> None:
        """A coroutine that would stop the event loop is told to await instead."""

        class Wrong(Process):
            name = "wrong"

            @command
            async def wait(self) -> None:
                house.invoke("fan.on")

        house.commands.add("wrong", Wrong())
        with pytest.raises(LifecycleError, match=r"await ctx\.invoke_nowait"):
            house.invoke("wrong.wait")

    def test_in_real_time(self, make_runtime: Callable[..., Runtime], fan: Fan) -> None:
        """On the system's clock the three kinds run on three threads, and all come back."""
        names: dict[str, str] = {}

        class Where(Process):
            name = "where"

            @command
            def turn(self) -> None:
                names["turn"] = threading.current_thread().name

            @command(blocking=True)
            def block(self) -> None:
                names["block"] = threading.current_thread().name

            @command
            async def wait(self) -> None:
                await asyncio.sleep(0)
                names["wait"] = threading.current_thread().name

        runtime = make_runtime(name="edgekernel")
        runtime.register(Where())
        runtime.boot()
        for name in ("turn", "block", "wait"):
            runtime.invoke(f"where.{name}", timeout=LONG_S)
        assert names == {
            "turn": "edgekernel:dispatcher",
            "block": "edgekernel:worker-1",
            "wait": "edgekernel:loop",
        }


class TestLimits:
    @pytest.mark.parametrize("timeout", [0.4, None])
    def test_a_late_coroutine_is_cancelled(
        self, house: Runtime, fan: Fan, sim: Any, timeout: float | None
    ) -> None:
        """The limit, 30 s without one, holds for who waits, and nothing goes on after it."""
        with pytest.raises(TurnTimeoutError, match=f"not done within {timeout or 30.0} s"):
            house.invoke("fan.breathe", timeout=timeout)
        assert sim.clock.monotonic() == (timeout or 30.0)
        sim.advance(1.0)
        assert fan.done == ["cancelled"]
        assert house.commands.in_flight == 0

    def test_the_shorter_limit_counts(self, house: Runtime, sim: Any) -> None:
        """A caller may ask for less time than the command has, not for more."""
        with pytest.raises(TurnTimeoutError, match="60 s"):
            house.invoke("fan.test", {"seconds": 100.0}, timeout=3600.0)
        assert sim.clock.monotonic() == 60.0
        with pytest.raises(TurnTimeoutError, match="2 s"):
            house.invoke("fan.test", {"seconds": 100.0}, timeout=2)
        assert sim.clock.monotonic() == 62.0

    def test_begun_goes_on_and_its_result_is_dropped(
        self, house: Runtime, fan: Fan, sim: Any
    ) -> None:
        """A thread cannot be stopped: what it does is done, and nobody is told twice."""
        call = house.invoke_nowait("fan.test", {"seconds": 5.0}, timeout=1.0)
        sim.advance(2.0)
        assert call.done
        sim.advance(10.0)
        assert fan.done == ["tested"]
        with pytest.raises(TurnTimeoutError):
            call.result()
        assert [record.code for record in house.commands.audit] == ["timeout"]

    def test_not_begun_never_runs(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """A command that has waited for too long for its place is not carried out any more."""
        house.subscribe(Ring, lambda event: sim.clock.sleep(5.0))
        holding = sim.clock.Thread(lambda: house.emit(Ring()), "holding")
        holding.start()
        sim.advance(0.1)
        call = house.invoke_nowait("fan.on", timeout=1.0)
        with pytest.raises(TurnTimeoutError):
            house.invoke("fan.on", timeout=2.0)
        assert call.done
        sim.advance(10.0)
        assert fan.done == [1]  # that of the room, which hears the ring as well

    def test_an_error_after_the_limit_is_reported(self, house: Runtime, sim: Any) -> None:
        """P3: what fails when nobody waits any more is not silent."""

        class Late(Process):
            name = "late"

            @command(blocking=True)
            def work(self) -> None:
                sim.clock.sleep(5.0)
                raise ValueError("too late")

        house.commands.add("late", Late())
        with pytest.raises(TurnTimeoutError):
            house.invoke("late.work", timeout=1.0)
        sim.advance(10.0)
        assert [record.where for record in house.errors] == [
            "command late.work, after it was given up"
        ]

    def test_rate_limit(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """More calls than allowed are refused, with when to try again, whoever calls."""
        house.invoke("fan.pulse", principal="anna")
        house.invoke("fan.pulse", principal="bert")
        with pytest.raises(RateLimitedError, match=r"fan\.pulse: at most 2 in 60 s") as told:
            house.invoke("fan.pulse", principal="carl")
        sim.advance(told.value.retry_after_s)
        house.invoke("fan.pulse", principal="carl")
        assert fan.done == ["pulse"] * 3

    def test_calls_on_their_way_are_bounded(self, house: Runtime, sim: Any) -> None:
        """P9: what comes beyond a bound is refused, and says so."""
        calls = [house.invoke_nowait("fan.breathe") for _ in range(MAX_IN_FLIGHT)]
        with pytest.raises(UnavailableError, match="busy"):
            house.invoke("fan.on")
        sim.advance(31.0)
        assert all(call.done for call in calls)
        assert house.invoke("fan.on") == 1


class TestKeys:
    def test_a_repeated_request_runs_once(self, house: Runtime, fan: Fan) -> None:
        """The same key gives the same result; another principal's key is another one."""
        for _ in range(3):
            assert house.invoke("fan.on", {"level": 4}, principal="anna", key="k1") == 4
        assert house.invoke("fan.on", {"level": 5}, principal="bert", key="k1") == 5
        assert fan.done == [4, 5]
        codes = [record.code for record in house.commands.audit]
        assert codes == ["ok", "repeated", "repeated", "ok"]

    def test_an_error_is_repeated_too(self, house: Runtime) -> None:
        """What has failed once is not tried again under the same key."""
        for _ in range(2):
            with pytest.raises(ValueError, match="wrong"):
                house.invoke("fan.fail", key="k1")
        assert house.commands.graph()["commands"]["fan.fail"]["count"] == 1

    def test_a_key_belongs_to_its_request(self, house: Runtime, fan: Fan) -> None:
        """A key that comes again with another command or other arguments is a mistake."""
        house.invoke("fan.on", {"level": 4}, key="k1")
        with pytest.raises(InvalidValueError, match=r"'k1' was used for fan\.on"):
            house.invoke("fan.on", {"level": 5}, key="k1")
        with pytest.raises(InvalidValueError):
            house.invoke("fan.pulse", key="k1")
        assert fan.done == [4]

    def test_who_comes_while_it_runs_waits_for_it(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """Two requests with one key at the same time are one run with two answers."""
        first = house.invoke_nowait("fan.test", key="k1")
        sim.advance(1.0)
        assert house.invoke("fan.test", key="k1") == "fine"
        assert sim.clock.monotonic() == 5.0
        assert first.result() == "fine"
        assert fan.done == ["tested"]

    def test_what_has_not_begun_may_be_tried_again(self, house: Runtime, fan: Fan) -> None:
        """A refusal is not remembered: nothing has been done yet."""
        house.commands.refuse("not now")
        with pytest.raises(UnavailableError):
            house.invoke("fan.on", key="k1")
        house.commands.refuse("")
        for _ in range(2):
            house.invoke("fan.pulse")
        with pytest.raises(RateLimitedError):
            house.invoke("fan.pulse", key="k2")
        assert house.invoke("fan.on", key="k1") == 1
        assert house.invoke("fan.on", key="k2") == 1

    def test_keys_are_forgotten(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """P9: after an hour, and beyond a thousand, a key is as good as new."""
        house.invoke("fan.on", key="old")
        sim.advance(3601.0)
        house.invoke("fan.on", key="old")
        for number in range(1000):
            house.invoke("fan.on", key=f"n{number}")
        house.invoke("fan.on", key="old")
        assert len(fan.done) == 1003


class TestDryRun:
    def test_says_what_would_be_called(self, house: Runtime, fan: Fan) -> None:
        """Nothing runs; what would is described, ready for JSON."""
        plan = house.invoke("fan.login", {"user": "anna", "word": "right"}, dry_run=True)
        assert json.loads(json.dumps(plan)) == {
            "command": "fan.login",
            "args": {"user": "anna", "word": "***"},
            "runs_on": "turn",
            "timeout_s": 30.0,
            "destructive": False,
            "role": None,
            "action": None,
        }
        house.invoke("fan.on", dry_run=True, key="k1")
        assert fan.done == []
        assert [record.code for record in house.commands.audit] == ["dry_run"] * 2
        house.invoke("fan.on", key="k1")
        assert fan.done == [1]

    @pytest.mark.parametrize(
        ("name", "args", "error"),
        [
            ("fan.off", {}, UnknownTargetError),
            ("fan.reset", {}, ForbiddenError),
            ("fan.on", {"speed": 1}, InvalidValueError),
        ],
    )
    def test_checks_everything(
        self, house: Runtime, name: str, args: dict[str, Any], error: type[Exception]
    ) -> None:
        """What would be refused is refused."""
        with pytest.raises(error):
            house.invoke(name, args, dry_run=True)

    def test_takes_nothing_of_the_rate(self, house: Runtime) -> None:
        """A dry run is refused when the rate is used up, and uses nothing up."""
        for _ in range(5):
            house.invoke("fan.pulse", dry_run=True)
        house.invoke("fan.pulse")
        house.invoke("fan.pulse")
        with pytest.raises(RateLimitedError):
            house.invoke("fan.pulse", dry_run=True)


class TestBooks:
    def test_every_request_has_one_record(self, house: Runtime, sim: Any) -> None:
        """Who, what, with which arguments, what came of it and how long it took."""
        house.invoke("fan.on", {"level": 2}, principal="anna")
        house.invoke("fan.test", {"seconds": 1.5}, principal="anna")
        for name in ("fan.fail", "fan.reset", "fan.none"):
            with pytest.raises(Exception, match=r"."):
                house.invoke(name, principal="bert")
        records = list(house.commands.audit)
        assert [(r.principal, r.command, r.code, r.error, r.duration_s) for r in records[:3]] == [
            ("anna", "fan.on", "ok", "", 0.0),
            ("anna", "fan.test", "ok", "", 1.5),
            ("bert", "fan.fail", "failed", "ValueError: wrong: ", 0.0),
        ]
        assert [(r.command, r.code) for r in records[3:]] == [
            ("fan.reset", "forbidden"),
            ("fan.none", "unknown"),
        ]
        assert records[0].args == {"level": 2}
        assert [r.id for r in records] == [1, 2, 3, 4, 5]
        assert records[1].time_ns == sim.clock.time_ns() - 1_500_000_000

    def test_what_is_told(self, house: Runtime) -> None:
        """Each outcome is a message; what came to nothing is also a dead letter."""
        heard = listen(house, message.CommandDone, message.CommandRefused, message.DeadLetter)
        house.invoke("fan.on", principal="anna")
        for name in ("fan.fail", "fan.reset", "fan.none"):
            with pytest.raises(Exception, match=r"."):
                house.invoke(name, principal="bert")
        with pytest.raises(TurnTimeoutError):
            house.invoke("fan.breathe", timeout=1)
        assert house.turns.wait_idle(LONG_S)
        late = "command fan.breathe: not done within 1 s"
        told = [type(m)(**{**m.to_dict(), "error": ""}) for m in heard[1:]]
        assert heard[0] == message.CommandDone("fan.on", "anna", True, "", 0.0)
        assert told == [
            message.CommandDone("fan.fail", "bert", False, "", 0.0),
            message.DeadLetter("fan.fail", "failed", ""),
            message.CommandRefused("fan.reset", "bert", "forbidden", ""),
            message.CommandRefused("fan.none", "bert", "unknown", ""),
            message.DeadLetter("fan.none", "unknown", ""),
            message.CommandDone("fan.breathe", "", False, "", 1.0),
            message.DeadLetter("fan.breathe", "timeout", ""),
        ]
        assert heard[-1] == message.DeadLetter("fan.breathe", "timeout", late)
        letters = [(letter.command, letter.code) for letter in house.commands.dead_letters]
        assert letters == [
            ("fan.fail", "failed"),
            ("fan.none", "unknown"),
            ("fan.breathe", "timeout"),
        ]

    def test_no_secret_is_kept_or_told(self, house: Runtime) -> None:
        """P11: neither records nor messages hold a secret argument, nor errors that quote it."""
        heard = listen(house, Message)
        with pytest.raises(ValueError, match="hunter2"):
            house.invoke("fan.fail", {"password": "hunter2"})
        with pytest.raises(InvalidValueError, match="open sesame"):
            house.invoke("fan.login", {"user": "anna", "word": "open sesame"})
        assert house.turns.wait_idle(LONG_S)
        kept = repr([house.commands.audit, house.commands.dead_letters, house.errors, heard])
        assert "anna" in kept
        assert "hunter2" not in kept
        assert "open sesame" not in kept

    def test_books_are_bounded(self, house: Runtime) -> None:
        """P9: a flood of requests does not fill the memory, and strangers' names count nothing."""
        for number in range(1100):
            with pytest.raises(UnknownTargetError):
                house.invoke(f"fan.none{number}" + "x" * 1000)
        assert len(house.commands.audit) == 1000
        assert len(house.commands.dead_letters) == 200
        assert len(house.commands.audit[-1].command) < 300
        assert house.commands.graph()["commands"] == {}

    def test_the_status_has_the_call_graph(self, house: Runtime) -> None:
        """An operator sees what is called, how often and how long; a reset begins anew."""
        house.emit(Ring())
        status = json.loads(json.dumps(house.status()))["commands"]
        assert (status["in_flight"], status["dead_letters"]) == (0, 0)
        assert status["commands"]["fan.on"]["count"] == 1
        assert status["edges"] == [{"caller": "room", "callee": "fan.on", "count": 1}]
        house.commands.reset_graph()
        assert house.commands.graph() == {"commands": {}, "edges": []}


class TestNowait:
    def test_a_refusal_is_told_by_the_call(self, house: Runtime) -> None:
        """Who does not wait is not stopped by a refusal; it is a record and a dead letter."""
        call = house.invoke_nowait("fan.none")
        assert call.done
        with pytest.raises(UnknownTargetError):
            call.result()
        assert [letter.code for letter in house.commands.dead_letters] == ["unknown"]

    def test_when_done(self, house: Runtime, sim: Any) -> None:
        """Each is told once, at the end or at once if that is over; one that raises is reported."""
        call, told = house.invoke_nowait("fan.test"), list[str]()

        def wrong(call: Call) -> None:
            raise ValueError("a mistake")

        call.when_done(wrong)
        call.when_done(lambda call: told.append(call.value))
        sim.advance(6.0)
        call.when_done(lambda call: told.append("again"))
        assert told == ["fine", "again"]
        assert [record.error for record in house.errors] == ["ValueError: a mistake"]

    def test_it_keeps_nobody(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """Outside of turns even a quick command is left to the dispatcher."""
        call = house.invoke_nowait("fan.on")
        assert fan.done == []
        assert call.result() == 1


class TestEnds:
    def test_drain(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """While draining new requests are refused; those on their way end, with what they ask."""

        class Long(Process):
            name = "long"

            @command(blocking=True)
            def work(self) -> Any:
                sim.clock.sleep(5.0)
                return house.invoke("fan.on", {"level": 8})

        house.commands.add("long", Long())
        call = house.invoke_nowait("long.work")
        sim.advance(1.0)
        house.commands.refuse("the node is draining")
        assert house.commands.in_flight == 1
        with pytest.raises(UnavailableError, match=r"fan\.on: the node is draining"):
            house.invoke("fan.on")
        assert not house.commands.wait_idle(1.0)
        assert house.commands.wait_idle(LONG_S)
        assert sim.clock.monotonic() == 5.0
        assert (call.result(), fan.done) == (8, [8])
        assert house.commands.in_flight == 0
        house.commands.refuse("")
        assert house.invoke("fan.on") == 1

    def test_removed_commands_leave_nothing(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """P12: coroutines of a part that is taken out are cancelled, what waits never begins."""
        breathing = house.invoke_nowait("fan.breathe")
        testing = [house.invoke_nowait("fan.test", {"seconds": 5.0}) for _ in range(9)]
        sim.advance(1.0)
        gone = ("fan.breathe", "fan.test")
        house.commands.remove([each for each in house.commands.all() if each.name in gone])
        sim.advance(30.0)
        for call in (breathing, testing[8]):
            with pytest.raises(UnavailableError, match="its component has stopped"):
                call.result()
        assert [call.result() for call in testing[:8]] == ["fine"] * 8
        assert fan.done == ["cancelled", *["tested"] * 8]

    def test_shutdown_ends_what_is_on_its_way(self, house: Runtime, fan: Fan, sim: Any) -> None:
        """P6: the end waits for no command; who waits for one is told."""
        breathing = house.invoke_nowait("fan.breathe", timeout=math.inf)
        testing = house.invoke_nowait("fan.test", {"seconds": 50.0})
        sim.advance(1.0)
        begin, heard = sim.clock.monotonic(), listen(house, Message)
        house.shutdown()
        assert isinstance(heard[-1], message.RuntimeShutdown)
        assert sim.clock.monotonic() - begin < 1.0
        for call in (breathing, testing):
            with pytest.raises(UnavailableError, match="has stopped"):
                call.result()
        assert fan.done == ["cancelled"]
        with pytest.raises(LifecycleError):
            house.invoke_nowait("fan.on")

    def test_shutdown_inside_a_command(self, house: Runtime, sim: Any) -> None:
        """P6: a command of any kind may shut its runtime down."""

        class Off(Process):
            name = "off"

            @command
            async def later(self) -> None:
                house.shutdown("later")
                await asyncio.sleep(100)

        house.commands.add("off", Off())
        house.invoke_nowait("off.later")
        sim.advance(1.0)
        assert house.phase == "stopped"


class Mixed(Process):
    """Counts what begins and what ends, in commands of the three kinds."""

    name = "mixed"

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.begun = self.ended = 0

    def work(self) -> None:
        with self.lock:
            self.begun += 1
        with self.lock:
            self.ended += 1

    @command
    def turn(self) -> None:
        self.work()

    @command(blocking=True)
    def worker(self) -> None:
        self.work()

    @command
    async def loop(self) -> None:
        await asyncio.sleep(0)
        self.work()


KINDS = ("turn", "worker", "loop")


def ask_from_threads(runtime: Runtime, count: int, until: Callable[[], bool]) -> list[str]:
    """Call all kinds from six threads, `count` times each or until told; return what came of it."""
    outcomes: list[str] = []

    def ask(first: int) -> None:
        for number in range(first, first + count):
            if until():
                return
            try:
                runtime.invoke(f"mixed.{KINDS[number % 3]}", timeout=LONG_S)
                outcomes.append("ok")
            except RefusedError as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * LONG_S)
        assert not thread.is_alive()
    return outcomes


class TestUnderThreads:
    def test_no_call_is_lost(
        self, make_runtime: Callable[..., Runtime], eager_switching: None
    ) -> None:
        """P2: whoever calls what from where, each call ends once and has one record."""
        runtime, mixed = make_runtime(), Mixed()
        runtime.register(mixed)
        runtime.boot()
        outcomes = ask_from_threads(runtime, 60, lambda: False)
        assert outcomes == ["ok"] * 360
        assert (mixed.begun, mixed.ended) == (360, 360)
        assert len(runtime.commands.audit) == 360
        assert sorted(record.id for record in runtime.commands.audit) == list(range(1, 361))
        assert runtime.commands.in_flight == 0
        counts = runtime.commands.graph()["commands"].values()
        assert [calls["count"] for calls in counts] == [120] * 3

    def test_nothing_begins_after_a_drain(
        self, make_runtime: Callable[..., Runtime], eager_switching: None
    ) -> None:
        """When draining is over no command runs, and none begins any more."""
        runtime, mixed = make_runtime(), Mixed()
        runtime.register(mixed)
        runtime.boot()
        over = threading.Event()
        outcomes: list[str] = []
        asking = threading.Thread(
            target=lambda: outcomes.extend(ask_from_threads(runtime, 10_000, over.is_set))
        )
        asking.start()
        while mixed.ended < 50:
            over.wait(0.001)
        runtime.commands.refuse("draining")
        assert runtime.commands.wait_idle(LONG_S)
        begun, ended = mixed.begun, mixed.ended
        over.wait(0.05)
        assert (begun, ended) == (mixed.begun, mixed.ended)
        assert begun == ended
        over.set()
        asking.join(6 * LONG_S)
        assert set(outcomes) == {"ok", "unavailable"}

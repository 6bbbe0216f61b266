"""Closed, careful, as promised: defects 13, 14 and 15 of the seeds (SEEDS D2)."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from click.testing import CliRunner, Result
from pydantic import Field

from edgekernel import (
    ConfigError,
    Context,
    Device,
    Effect,
    Event,
    InvalidValueError,
    Message,
    Policy,
    Runtime,
    Secret,
    command,
    component,
    lifecycle,
    message,
    on,
    output,
    provides,
    requires,
)
from edgekernel.cli import main
from edgekernel.core.errors import (
    ForbiddenError,
    LifecycleError,
    TurnTimeoutError,
    UnavailableError,
    UnknownTargetError,
)
from edgekernel.core.messages import find
from edgekernel.node import make_plan
from edgekernel.node.signature import bind_validated
from edgekernel.node.simulate import assemble_simulated
from edgekernel.sim import SimClock
from tests.core.parts import MakeRuntime, Simulation, messages_of

ROOT = Path(__file__).parents[3]

NODE = """
[node]
name = "bench"
board = "raspberrypi/4b"

[devices.fan]
driver = "relay"
pin = "{pin}"

[mqtt]
host = "127.0.0.1"
username = "bench"
password_file = "password"
"""


class Plant:
    """Has a command for everybody, and some for those who may."""

    def __init__(self) -> None:
        self.done: list[str] = []

    @command(role="operator")
    def reset(self) -> None:
        self.done.append("reset")

    @command(action="plant:drain")
    def drain(self) -> None:
        self.done.append("drain")

    @command
    def water(self, minutes: Annotated[int, Field(ge=1, le=60)]) -> None:
        self.done.append(f"water {minutes}")

    @command
    def login(self, word: Secret) -> None:
        raise InvalidValueError(f"{word} is not the word")


class TestClosedByDefault:
    """D2 #13 (K13, K14, T1, F5). REST and the web page come with their own issues."""

    @pytest.mark.parametrize("name", ["plant.reset", "plant.drain"])
    def test_without_an_authorizer(self, make_runtime: MakeRuntime, name: str) -> None:
        """D2 #13, K13: where nobody can grant anything, what needs a grant is refused."""
        runtime = make_runtime()
        plant = runtime.register(Plant())
        runtime.boot()
        for principal in ("", "admin", "mqtt"):
            with pytest.raises(ForbiddenError):
                runtime.invoke(name, principal=principal)
        assert plant.done == []

    def test_what_is_revoked(self, make_runtime: MakeRuntime) -> None:
        """D2 #13, K13: a role that is taken away while the runtime runs is gone at once."""
        granted = {("anna", "operator")}
        runtime = make_runtime(authorizer=lambda *asked: asked in granted)
        plant = runtime.register(Plant())
        runtime.boot()
        runtime.invoke("plant.reset", principal="anna")
        granted.clear()
        with pytest.raises(ForbiddenError):
            runtime.invoke("plant.reset", principal="anna")
        assert plant.done == ["reset"]

    def test_a_policy_that_comes_later(self, make_runtime: MakeRuntime) -> None:
        """D2 #13, K14: it holds from the next call on, on every way a component can take."""
        runtime, ways = make_runtime(), list[str]()

        class Caller:
            ctx: Context

            @on(Go)
            def go(self, event: Event) -> None:
                for name, call in (
                    ("ctx", self.ctx.invoke),
                    ("runtime", self.ctx.runtime.invoke),
                ):
                    try:
                        call("plant.water", {"minutes": 1})
                        ways.append(name)
                    except ForbiddenError:
                        ways.append(f"not {name}")

        plant = runtime.register(Plant())
        runtime.register(Caller())
        runtime.boot()
        runtime.emit(Go())
        runtime.policies.set("component:caller", Policy(deny=("plant.*",)))
        runtime.emit(Go())
        assert ways == ["ctx", "runtime", "not ctx", "not runtime"]
        assert plant.done == ["water 1", "water 1"]

    def test_reading_a_log_imports_nothing(self) -> None:
        """D2 #13, F5: a message is found among the classes there are; a name runs no code."""
        for name in ("antigravity", "os.system", "__main__.Go", "this:Zen"):
            loaded = set(sys.modules)
            with pytest.raises(UnknownTargetError):
                find(name)
            assert not {"antigravity", "this"} & (set(sys.modules) - loaded)

    def test_secrets_are_told_to_nobody(self, make_runtime: MakeRuntime) -> None:
        """D2 #13: what a command is given as a secret is in no message, record or status."""
        runtime = make_runtime(binder=bind_validated)
        runtime.register(Plant())
        told = messages_of(runtime, Message)
        runtime.boot()
        with pytest.raises(InvalidValueError):
            runtime.invoke("plant.login", {"word": "s3same"})
        assert "s3same" not in repr([told, runtime.status(), list(runtime.commands.audit)])


class Go(Message): ...


def check(path: Path) -> Result:
    """Run `edgekernel check`."""
    return CliRunner().invoke(main, ["check", str(path)])


class TestNothingThatIsSetIsLost:
    """D2 #14 (C1, C2, C5, C6, F8). Layered configuration comes with the platform issue."""

    @pytest.fixture
    def node(self, tmp_path: Path) -> Path:
        path = tmp_path / "bench.toml"
        path.write_text(NODE.format(pin="GPIO17"))
        (tmp_path / "password").write_text("s3same\n")
        (tmp_path / "password").chmod(0o600)
        return path

    @pytest.mark.parametrize("pin", ["999", "GPIO999", "GPIO28"])
    def test_limits_of_a_pin(self, node: Path, pin: str) -> None:
        """D2 #14, F8: a pin beyond the board's lines is refused by `check`, by file and key."""
        node.write_text(NODE.format(pin=pin))
        result = check(node)
        assert result.exit_code == 1
        assert result.stderr.startswith("bench.toml: devices.fan.pin: ")
        node.write_text(NODE.format(pin=pin).replace(f'"{pin}"', "999"))
        assert check(node).exit_code == 1

    @pytest.mark.parametrize("minutes", [0, 61, 10**30, -1, "ten"])
    def test_limits_of_an_argument(self, make_runtime: MakeRuntime, minutes: object) -> None:
        """D2 #14, F8: an argument beyond what its annotation allows reaches no command."""
        runtime = make_runtime(binder=bind_validated)
        plant = runtime.register(Plant())
        runtime.boot()
        with pytest.raises(InvalidValueError):
            runtime.invoke("plant.water", {"minutes": minutes})
        runtime.invoke("plant.water", {"minutes": 60})
        assert plant.done == ["water 60"]

    @pytest.mark.parametrize("level", [-0.1, 100.1, float("nan")])
    def test_limits_of_an_output(self, make_runtime: MakeRuntime, level: float) -> None:
        """D2 #14, F8: a value beyond an output's range is refused, and drives nothing."""

        class Dimmer(Device):
            level = output(float, safe=0.0, range=(0.0, 100.0))

            @level.drive
            def drive(self, value: float) -> float:
                driven.append(value)
                return value

        driven: list[float] = []
        runtime, dimmer = make_runtime(), Dimmer("dimmer")
        runtime.register(dimmer)
        runtime.boot()
        with pytest.raises(InvalidValueError):
            dimmer.level.set(level)
        assert driven == [0.0]

    def test_the_node_file_is_only_read(self, node: Path) -> None:
        """D2 #14, C5: a node that runs and is changed writes no file, and shows no password."""
        before = {path: path.read_bytes() for path in node.parent.iterdir()}
        with SimClock() as clock:
            runtime, _ = assemble_simulated(make_plan(node), clock, Runtime)
            fan: Any = runtime.devices["fan"]
            with runtime:
                fan.power.set(True)
                runtime.state.set("mqtt.host", "elsewhere")
                clock.advance(60.0)
        assert {path: path.read_bytes() for path in node.parent.iterdir()} == before
        assert "s3same" not in repr([runtime.status(), make_plan(node)])

    def test_a_file_that_is_torn_stays(self, node: Path) -> None:
        """D2 #14, C6: half a file is an error with its name, never an empty configuration."""
        node.write_text(NODE.format(pin="GPIO17")[:60])
        torn = node.read_bytes()
        assert check(node).exit_code == 1
        with pytest.raises(ConfigError, match=r"bench\.toml"):
            make_plan(node)
        assert node.read_bytes() == torn

    def test_readers_of_a_section(self, make_runtime: MakeRuntime) -> None:
        """D2 #14, C1, C2: who reads a section hears of each setting in it, and of its removal."""
        state = make_runtime().state
        state.set("mqtt", {"host": "a", "tls": {"verify": True}})
        seen: list[Any] = []
        reading = Effect(lambda: seen.append(state.get("mqtt")))
        state.set("mqtt.tls.verify", False)
        state.delete("mqtt.tls")
        assert seen == [
            {"host": "a", "tls": {"verify": True}},
            {"host": "a", "tls": {"verify": False}},
            {"host": "a"},
        ]
        reading.dispose()


@component("base", version="1")
@provides("IBase")
class Base:
    @command
    def act(self) -> str:
        return "base"


@component("child", version="2")
@provides("IChild")
class Child(Base): ...


class Slow:
    """Takes its time, and says how it is."""

    ctx: Context
    well = True

    @command(blocking=True, timeout_s=0.05)
    def limited(self) -> None:
        self.ctx.clock.sleep(0.4)

    @command(blocking=True)
    def work(self) -> None:
        self.ctx.clock.sleep(2.0)

    @lifecycle.health
    def health(self) -> bool:
        return self.well


class TestWhatIsPromisedIsDone:
    """D2 #15 (K9-K12, K16, K20, K46, T7)."""

    def test_a_time_limit(self, sim: Simulation) -> None:
        """D2 #15, K10: a command with a limit of 0.05 s that takes 0.4 s keeps nobody longer."""
        runtime = sim.runtime()
        runtime.register(Slow())
        runtime.boot()
        begun = sim.clock.monotonic()
        with pytest.raises(TurnTimeoutError):
            runtime.invoke("slow.limited")
        assert sim.clock.monotonic() - begun == pytest.approx(0.05)

    def test_drain(self, sim: Simulation) -> None:
        """D2 #15, K11: it waits for the call that runs, and new ones are refused meanwhile."""
        runtime = sim.runtime()
        runtime.register(Slow())
        runtime.boot()
        call = runtime.invoke_nowait("slow.work")
        sim.advance(0.5)
        begun = sim.clock.monotonic()
        assert runtime.drain(30.0)
        assert sim.clock.monotonic() - begun == pytest.approx(1.5)
        assert call.done
        with pytest.raises(UnavailableError, match="draining"):
            runtime.invoke("slow.work")

    def test_health(self, make_runtime: MakeRuntime) -> None:
        """D2 #15, K12: what a part says of its health is what the runtime says."""
        runtime, slow = make_runtime(), Slow()
        runtime.register(slow)
        runtime.boot()
        assert runtime.health()["healthy"] is True
        slow.well = False
        assert runtime.health()["healthy"] is False
        assert runtime.health()["parts"]["slow"]["healthy"] is False

    def test_consumers_count(self, make_runtime: MakeRuntime) -> None:
        """D2 #15, K16: what somebody uses and cannot do without is not removed under them."""

        class User:
            base: Any = requires("IBase")

        runtime = make_runtime()
        runtime.register(Base)
        runtime.register(User())
        runtime.boot()
        assert runtime.registry.ref_count("base") == 1
        with pytest.raises(LifecycleError, match="user cannot do without it"):
            runtime.hot_remove("base")
        runtime.hot_remove("user")
        assert runtime.registry.ref_count("base") == 0
        runtime.hot_remove("base")

    def test_dead_letters(self, sim: Simulation) -> None:
        """D2 #15, K20: a call that came to nothing, and a handler that failed, are messages."""
        runtime = sim.runtime()
        runtime.register(Slow())
        letters = messages_of(runtime, message.DeadLetter)
        errors = messages_of(runtime, message.EventSubscriberError)
        runtime.boot()

        def fail(event: Event) -> None:
            raise OSError("no answer")

        runtime.subscribe(Go, fail)
        runtime.invoke_nowait("nobody.here")
        runtime.invoke_nowait("slow.limited")
        runtime.emit(Go())
        sim.advance(1.0)
        assert [(each.target, each.reason) for each in letters] == [
            ("nobody.here", "unknown"),
            ("slow.limited", "timeout"),
        ]
        assert [(each.event, "no answer" in each.error) for each in errors] == [("go", True)]

    def test_a_subclass_is_another_component(self, make_runtime: MakeRuntime) -> None:
        """D2 #15, K9: base and subclass are registered side by side, each as what it is."""
        runtime = make_runtime()
        for cls in (Base, Child):
            runtime.register(cls)
        runtime.boot()
        described = runtime.status()["components"]
        assert (described["base"]["version"], described["child"]["version"]) == ("1", "2")
        assert isinstance(runtime.registry.require("IChild"), Child)
        assert type(runtime.registry.require("IBase")) is Base
        assert [runtime.invoke(f"{name}.act") for name in ("base", "child")] == ["base", "base"]

    @pytest.mark.parametrize("name", ["greeter", "dictionaries"])
    def test_the_first_examples_run(self, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        """D2 #15: what a newcomer starts first runs to its end and says something."""
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        assert capsys.readouterr().out

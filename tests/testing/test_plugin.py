"""The pytest plugin: fixtures, options, reports and the check of leaks, in runs of pytest."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]

HEAVY = {
    "asyncio",
    "click",
    "edgekernel.backends",
    "edgekernel.hal",
    "edgekernel.mqtt",
    "edgekernel.node",
    "edgekernel.sim",
    "edgekernel.testing.leaks",
    "edgekernel.testing.report",
    "gpiozero",
    "greenlet",
    "paho",
    "pydantic",
    "rich",
    "serial",
    "smbus2",
    "tomllib",
}


def test_the_entry_point_names_the_plugin() -> None:
    """Who has edgekernel installed has the plugin in every run of pytest."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    groups = tomllib.loads(project.read_text())["project"]["entry-points"]
    assert groups["pytest11"] == {"edgekernel": "edgekernel.testing.plugin"}


def test_loading_it_is_cheap() -> None:
    """Beside `import edgekernel`, loading the plugin imports nothing but its own few modules."""
    code = (
        "import sys, pytest, edgekernel; before = set(sys.modules); "
        "import edgekernel.testing.plugin; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name for name in loaded if not name.startswith("edgekernel.testing")} == set()
    assert not loaded & HEAVY


def test_a_run_without_its_fixtures_stays_light(run_pytest: Run) -> None:
    """A test that asks for none of the fixtures finds nothing heavy loaded, before and after."""
    heavy = sorted(HEAVY - {"asyncio", "tomllib"})  # pytest may load these by itself
    result = run_pytest(
        f"""
        import sys
        def test_plain():
            assert not set(sys.modules) & set({heavy})
        """,
        apart=True,
    )
    result.assert_outcomes(passed=1)


def test_the_fixtures(run_pytest: Run) -> None:
    """`node` boots a file or a text, `sim` has its time and board, `runtime` takes parts."""
    result = run_pytest(
        """
        from pathlib import Path
        from edgekernel import Message, Process, on
        from edgekernel.testing import assert_reading

        def test_node(node, sim):
            Path(__file__).with_name("shed.toml").write_text(NODE)
            for shed in node("shed.toml"), node(NODE, setup=lambda runtime: None):
                shed.chip("room").temperature_c = 30.0
                assert_reading(shed.room.temperature, 30, abs=0.1, within=6)
            assert sim.nodes == [sim.nodes[0], shed]

        def test_sim(sim):
            sim.board.line("GPIO4").drive(True)
            sim.run(3)
            assert sim.clock.monotonic() == 3
            assert sim.seed is None

        class Ping(Message):
            pass

        class Pong(Message):
            pass

        class Player(Process):
            name = "player"

            @on(Ping)
            def answer(self, event):
                self.ctx.emit(Pong())

        def test_runtime(runtime, sim):
            assert runtime.clock is sim.clock
            runtime.register(Player())
            runtime.emit(Ping())
            sim.events.assert_order(Ping, Pong)
        """
    )
    result.assert_outcomes(passed=3)


def test_a_failure_shows_time_seed_events_and_how_to_repeat_it(run_pytest: Run) -> None:
    """The report of any failed test with a simulation has a section with all of it."""
    result = run_pytest(
        """
        def test_fan(node, sim):
            shed = node(NODE)
            sim.press("knob")
            sim.run(7200.5)
            assert shed.is_on("fan")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       AssertionError: assert False",
            "E        +    where is_on = <Node shed: *fan, room, knob>.is_on",
            "*- edgekernel -*",
            "simulated time  0 d 02:00:00.5*",
            "seed            none: the order of waiting",
            "again           pytest test_it.py::test_fan",
            "last 10 of 1? events:",
            "*0.02* s  ButtonPressed(device='knob') from knob",
            "*0.2* s  ButtonReleased(device='knob') from knob",
        ]
    )


def test_assertions_point_at_the_test(run_pytest: Run) -> None:
    """A failed assertion shows the line of the test, none of ours, and its text."""
    result = run_pytest(
        """
        from edgekernel.testing import assert_level, assert_output, assert_reading

        def test_reading(node):
            assert_reading(node(NODE).room.temperature, 50, abs=1, within=5)

        def test_output(node):
            assert_output(node(NODE).fan.power, True, within=5)

        def test_level(sim):
            assert_level(sim.board.line("GPIO4"), True, within=5)

        def test_emitted(node):
            node(NODE).events.assert_emitted("button.pressed", device="knob", within=5)

        def test_none(node):
            node(NODE).events.assert_none("device.online", device="fan")

        def test_order(node):
            node(NODE).events.assert_order("device.online", "device.attached")

        def test_until(sim):
            sim.run_until(lambda: sim.board.line("GPIO4").level, within=5)

        def test_never(node, sim):
            shed = node(NODE)
            watch = sim.watch(lambda: shed.is_on("fan"), "the fan is on")
            shed.fan.power.set(True)
            sim.run(5)
            watch.assert_never()
        """
    )
    result.assert_outcomes(failed=8)
    result.stdout.fnmatch_lines(
        [
            ">       assert_reading(node(NODE).room.temperature, 50, abs=1, within=5)",
            "E       AssertionError: room.temperature: expected 50 ± 1, good within 5 s",
            "E         at 5.00* s it is *, good, for *",
            "test_it.py:*: AssertionError",
            "E       AssertionError: fan.power: expected True within 5 s",
            "E         at 5.004 s it is set to False and reports False, good, for *",
            "test_it.py:*: AssertionError",
            "E       AssertionError: GPIO4: expected high within 5 s",
            "E         at 5 s it is low",
            "test_it.py:*: AssertionError",
            "E       AssertionError: button.pressed(device='knob') was not emitted *",
            "test_it.py:*: AssertionError",
            "E       AssertionError: device.online(device='fan') should not have been *",
            "E         it was:",
            "E                    0 s  DeviceOnline(device='fan') from fan",
            "test_it.py:*: AssertionError",
            "E       AssertionError: not in the order device.online, then device.attached (now *",
            "test_it.py:*: AssertionError",
            'E       AssertionError: sim.run_until(lambda: sim.board.line("GPIO4").level, '
            "within=5): did not come within 5 s (now 5 s)",
            "test_it.py:*: AssertionError",
            "E       AssertionError: the fan is on: should never have been",
            "E         it was from 0.004 s to 5.004 s (5 s)",
            "test_it.py:*: AssertionError",
        ]
    )
    result.stdout.no_fnmatch_line("*edgekernel/testing/*.py:*")


LEAKS = """
    import socket, threading
    from edgekernel.hal.address import LineAddress

    def test_leaks(sim):
        sim.board.digital_output(LineAddress("GPIO4", "gpiochip0", 4)).open(True)
        sim.clock.Thread(lambda: sim.clock.sleep(1e9), "sleeper").start()
        forever = threading.Event()
        threading.Thread(target=lambda: forever.wait(), daemon=True, name="waiter").start()
        sim.listening = socket.create_server(("127.0.0.1", 0))
        test_leaks.kept = sim

    def test_clean(sim):
        pass
"""


def test_leaks_fail_the_test_with_names_and_places(run_pytest: Run) -> None:
    """What a test leaves is an error of this test, not of the next, with who made it or where
    it is."""
    result = run_pytest(LEAKS, apart=True)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leaks*",
            "left behind:",
            "  open line GPIO4, opened at *test_it.py:* in test_leaks",
            "  fiber sleeper: sleep, at *test_it.py:* in <lambda>",
            "  thread waiter, at *test_it.py:* in <lambda>",
            "  listening TCP port *",
        ]
    )


def test_leaks_may_be_allowed(run_pytest: Run) -> None:
    """With the option nothing is said."""
    result = run_pytest(LEAKS, "--edgekernel-no-leak-check", apart=True)
    result.assert_outcomes(passed=2)


SEEDS = """
    import pytest

    def test_plain():
        pass

    @pytest.mark.parametrize("way", ["up", "down"])
    def test_seed(sim, way):
        assert sim.seed != 4 or way == "up"
"""


def test_one_seed_for_all(run_pytest: Run) -> None:
    """With --edgekernel-seed every simulation has it, the ids stay, and a failure repeats it."""
    result = run_pytest(SEEDS, "--edgekernel-seed", "4")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "seed            4",
            "again           pytest 'test_it.py::test_seed[[]down]' --edgekernel-seed 4",
            "FAILED test_it.py::test_seed[[]down] - *",
        ]
    )


def test_many_seeds_for_each(run_pytest: Run) -> None:
    """With --edgekernel-seeds each test that simulates runs once with each; the failing seed is
    in the id and in the report, with the command that runs it again."""
    result = run_pytest(SEEDS, "--edgekernel-seeds", "6")
    result.assert_outcomes(passed=1 + 11, failed=1)
    result.stdout.fnmatch_lines(
        [
            "seed            4",
            "again           pytest 'test_it.py::test_seed[[]down]' --edgekernel-seed 4",
            "FAILED test_it.py::test_seed[[]*seed4*] - *",
        ]
    )
    result = run_pytest(SEEDS, "--edgekernel-seeds", "2", "--edgekernel-seed", "3")
    result.assert_outcomes(passed=1 + 3, failed=1)


def test_seeds_by_mark_or_by_parameter(run_pytest: Run) -> None:
    """The mark `seeds` gives a number of them, a parameter states them; one on the command line
    comes before the mark."""
    source = """
        import pytest

        @pytest.mark.seeds(3)
        def test_marked(sim):
            assert sim.seed in (0, 1, 2, 9)

        @pytest.mark.parametrize("edgekernel_seed", [5, 8])
        def test_stated(sim, edgekernel_seed):
            assert sim.seed == edgekernel_seed in (5, 8)
        """
    run_pytest(source, "--strict-markers").assert_outcomes(passed=5)
    run_pytest(source, "--edgekernel-seed", "9").assert_outcomes(passed=3)


def test_wrong_seeds_are_refused(run_pytest: Run) -> None:
    """A mark or an option that is no number above 0 is an error that says what is right."""
    source = "import pytest\n@pytest.mark.seeds('many')\ndef test_it(sim): pass"
    result = run_pytest(source)
    result.stdout.fnmatch_lines(["*test_it.py::test_it: @pytest.mark.seeds takes one number *"])
    assert result.ret != 0
    result = run_pytest("", "--edgekernel-seeds", "0")
    result.stderr.fnmatch_lines(["*--edgekernel-seeds: *"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_mocks_work_beside_it(run_pytest: Run) -> None:
    """pytest-mock replaces what a node has in the middle of a simulation, puts it back,
    and a stub takes events."""
    result = run_pytest(
        """
        from edgekernel import Message, Quality
        from edgekernel.core.errors import NackError
        from edgekernel.testing import assert_reading

        class Hello(Message):
            pass

        def test_mocked(node, sim, mocker):
            shed = node(NODE)
            poll = mocker.spy(shed.room, "poll")
            sim.run(11)
            calls = poll.call_count
            assert calls >= 2
            chip = mocker.patch.object(shed.chip("room"), "read", side_effect=NackError("away"))
            assert_reading(shed.room.temperature, quality=Quality.BAD, within=6)
            shed.events.assert_emitted("device.offline", device="room")
            mocker.stop(chip)
            assert_reading(shed.room.temperature, within=60)

        def test_stub(runtime, mocker):
            heard = mocker.stub()
            runtime.subscribe(Hello, heard)
            runtime.emit(Hello())
            heard.assert_called_once()
        """
    )
    result.assert_outcomes(passed=2)


RACE = """
    import pytest
    from edgekernel import Message, Process, Service, on

    class Sampled(Message):
        level: int

    class Tank:
        level = 0

    class Sampler(Service):
        name = "sampler"
        interval = 1.0

        def tick(self, ctx):
            Tank.level += 1
            ctx.emit(Sampled(Tank.level))

    class Reporter(Service):
        name = "reporter"
        interval = 1.0
        told = 0

        def tick(self, ctx):  # expects the sampler to have ticked before
            self.told = Tank.level

    class Display(Process):
        name = "display"
        told = 0

        @on(Sampled)
        def show(self, event):
            self.told = event.payload.level

    @pytest.mark.parametrize("kind", [Reporter, Display])
    def test_what_is_told_is_the_latest(runtime, sim, kind):
        Tank.level = 0
        for part in Sampler(), kind():
            runtime.register(part, kind.name if isinstance(part, kind) else "")
        sim.run(2.5)
        told = runtime.services.get("reporter") or runtime.processes["display"]
        assert told.told == Tank.level > 0
"""


def test_a_planted_race_is_found_by_its_seed(run_pytest: Run) -> None:
    """A service that relies on another's tick coming first passes in the order of waiting; some
    seeds find it out, the same ones each time, and what reacts to the message has no such seed."""
    run_pytest(RACE).assert_outcomes(passed=2)
    found = run_pytest(RACE, "--edgekernel-seeds", "20", "-k", "Reporter").parseoutcomes()
    assert found["failed"] + found["passed"] == 20
    assert min(found["failed"], found["passed"]) > 2
    result = run_pytest(RACE, "--edgekernel-seeds", "20", "-k", "Reporter", "--maxfail=1")
    line = next(line for line in result.outlines if line.startswith("again "))
    seed = line.rpartition(" ")[2]
    result.stdout.fnmatch_lines([f"FAILED *seed{seed}*"])
    again = ["-k", "Reporter", "--edgekernel-seed", seed]
    run_pytest(RACE, *again).assert_outcomes(failed=1)


def test_the_mended_race_passes_1000_seeds(run_pytest: Run) -> None:
    """None of 1,000 orders finds anything where the race is mended."""
    result = run_pytest(RACE, "--edgekernel-seeds", "1000", "-k", "Display", "-q")
    result.assert_outcomes(passed=1000, deselected=1000)


WELL = """
    import asyncio
    import pytest
    from edgekernel import Process, Service, command

    class Well(Process):
        name = "well"
        litres = 10

        @command
        async def draw(self, litres: int) -> bool:
            if self.litres < litres:
                return False
            await asyncio.sleep(1)
            self.litres -= litres
            return True

    class Reserving(Well):
        @command
        async def draw(self, litres: int) -> bool:
            if self.litres < litres:
                return False
            self.litres -= litres
            await asyncio.sleep(1)
            return True

    class Watering(Service):
        def __init__(self, name, interval, draws_at):
            self.name, self.interval, self.draws_in = name, interval, draws_at

        def tick(self, ctx):
            self.draws_in -= 1
            if not self.draws_in:
                ctx.runtime.invoke("well.draw", {"litres": 10}, principal="local")

    @pytest.mark.parametrize("kind", [Well, Reserving])
    def test_never_overdrawn(runtime, sim, kind):
        for part in kind(), Watering("beds", 10.0, 1), Watering("trees", 0.5, 3):
            runtime.register(part)
        sim.run(5)
        assert runtime.processes["well"].litres == 0
"""


def test_a_race_in_a_process_is_found_by_its_seed(run_pytest: Run) -> None:
    """A process that checks, waits and acts: some seeds let two services meet in between, the same
    ones each time; none does where it acts before it waits."""
    run_pytest(WELL).assert_outcomes(passed=2)
    result = run_pytest(WELL, "--edgekernel-seeds", "10")
    found = result.parseoutcomes()
    assert found["failed"] > 1
    assert found["passed"] > 10
    assert not [line for line in result.outlines if "FAILED" in line and "Reserving" in line]
    line = next(line for line in result.outlines if line.startswith("again "))
    again = ["-k", "Well", "--edgekernel-seed", line.rpartition(" ")[2]]
    run_pytest(WELL, *again).assert_outcomes(failed=1, deselected=1)


def test_the_broker(run_pytest: Run) -> None:
    """A node with an [mqtt] table is on `sim.broker`, and leaves nothing behind."""
    result = run_pytest(
        """
        NODE = NODE + '[mqtt]\\nhost = "localhost"\\n'

        def test_it(node, sim):
            shed = node(NODE)
            sim.broker.wait_for("edge/shed/status", state="online", within=1)
            assert sim.broker.ask("edge/shed/set/fan/power", value=True)["ok"]
            assert shed.is_on("fan")
        """
    )
    result.assert_outcomes(passed=1)


def test_it_can_be_switched_off(run_pytest: Run) -> None:
    """`-p no:edgekernel` leaves neither fixtures nor options."""
    result = run_pytest("def test_sim(sim): pass", "-p", "no:edgekernel")
    result.stdout.fnmatch_lines(["E * fixture 'sim' not found"])

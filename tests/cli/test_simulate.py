"""`edgekernel simulate`: a span of simulated time, its summary, its picture and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Agent, Write, command
from tests.greenhouse import greenhouse_on

PLAN = """
[[fault]]
at = "60s"
device = "room"
kind = "nack"
for = "30s"

[[fault]]
every = "90s"
device = "door"
kind = "stuck"
level = "low"
for = "10s"
probability = 0.5
"""

CRITICAL = """
from edgekernel import Service

class Guard(Service):
    name = "guard"
    critical = True
    interval = 30.0
    ticks = 0

    def tick(self, ctx):
        self.ticks += 1
        if self.ticks == 5:
            raise RuntimeError("the guard has fallen asleep")

class Lazy(Service):
    name = "lazy"
    backoff_s = 30.0
    interval = 40.0

    def tick(self, ctx):
        raise OSError("no such luck")

def setup(runtime):
    runtime.register(Guard())
    runtime.register(Lazy())
"""


def simulate(*args: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `edgekernel simulate` to its end."""
    return subprocess.run(
        command("simulate", *args),
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "COLUMNS": "200", **environment},
        check=False,
    )


def told(*args: str | Path, code: int = 0) -> dict[str, Any]:
    """Return the summary of a run as JSON."""
    done = simulate(*args, "--json")
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A fault plan."""
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def test_summary(write: Write, plan: Path) -> None:
    """Without --json people read the span, what each reading and output was, faults and events."""
    done = simulate(write(), "--for", "5min", "--faults", plan, "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0].startswith("bench-1 · 5 min simulated in ")
    assert "seed 1" in lines[1]
    assert any(line.startswith("room.temperature 20 20 20 °C ") for line in lines)
    assert "fan.power 0 0 s 5 min off" in lines
    assert "nack device room 60 s 30 s" in lines
    assert "device.offline warning 1" in lines
    assert "restarts 0" in lines


LONG_NAMES = """
[node]
name = "beds"
board = "sim"

[devices.raised-bed-at-the-wall]
driver = "bme280"
bus = "i2c1"
every = "10s"
"""


def test_long_names(write: Write) -> None:
    """In a narrow terminal a long name has two lines and no word is torn; in a pipe it has one."""
    node = write(text=LONG_NAMES)
    narrow = simulate(node, "--for", "1h", COLUMNS="80", FORCE_COLOR="1").stdout.splitlines()
    (first, *_) = [i for i, line in enumerate(narrow) if line.startswith("raised-bed")]
    assert narrow[first].split()[0] == "raised-bed-at-the-wall."
    assert narrow[first + 1].strip() == "temperature"
    piped = simulate(node, "--for", "1h", COLUMNS="80").stdout
    assert "raised-bed-at-the-wall.temperature" in piped


def test_json(write: Write, plan: Path) -> None:
    """With --json the same is an object; times are seconds since the node has started."""
    run = told(write(), "--for", "300", "--faults", plan)
    assert (run["ok"], run["name"], run["stopped"]) == (True, "bench-1", "")
    assert run["span_s"] == pytest.approx(300)
    assert run["speed"] == pytest.approx(run["span_s"] / run["wall_s"])
    nack = run["faults"][0]
    assert (nack["kind"], nack["began_s"], nack["ended_s"]) == ("nack", 60, 90)
    rooms = {each["reading"]: each for each in run["readings"]}
    temperature = rooms["room.temperature"]
    assert 30 <= temperature["bad_s"] <= 70
    assert temperature["good_s"] + temperature["bad_s"] == pytest.approx(300, abs=0.1)
    (fan,) = run["outputs"]
    assert (fan["changes"], fan["on_s"], fan["value"]) == (0, 0, False)
    assert fan["safe_s"] == pytest.approx(run["all_safe_s"]) == pytest.approx(300, abs=0.1)
    counts = {each["name"]: each["count"] for each in run["events"]}
    assert counts["runtime.booted"] == counts["runtime.shutdown"] == 1
    assert counts["fault.began"] == counts["fault.ended"] == len(run["faults"])


ODD_PLAN = """
[[fault]]
at = "2min"
device = "room"
kind = "nack"
count = 2

[[fault]]
at = "2h"
device = "room"
kind = "nack"

[[fault]]
at = "1min"
device = "room"
kind = "nack"
probability = 1e-9
"""


def test_faults_that_do_not_last_or_begin(write: Write, tmp_path: Path) -> None:
    """A fault that is over after so many times does not last to the end of the run, and one that
    has not begun is told, with what has kept it."""
    plan, report = tmp_path / "plan.toml", tmp_path / "run.svg"
    plan.write_text(ODD_PLAN)
    args = (write(), "--for", "5min", "--faults", plan)
    done = simulate(*args, "--report", report)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[1].endswith(" · 1 fault, 2 did not begin")
    assert "nack device room count=2 2 min -" in lines
    assert "fault.2 did not begin: nack device room is planned for 2 h after the start" in lines
    assert "fault.3 did not begin: nack device room has a probability of 1e-09" in lines
    run = told(*args)
    assert [(each["fault"], each["ended_s"]) for each in run["faults"]] == [(1, None)]
    assert [(each["fault"], each["at_s"]) for each in run["faults_unplayed"]] == [
        (2, 7200),
        (3, 60),
    ]
    widths = [
        float(each.get("width", 0))
        for each in ET.fromstring(report.read_text()).iter()
        if (title := each.find("{http://www.w3.org/2000/svg}title")) is not None
        and str(title.text).startswith("nack device room")
    ]
    assert len(widths) == 1
    assert widths[0] < 5


def test_same_seed_same_run(write: Write, plan: Path) -> None:
    """Two runs with one seed differ in nothing but the time that they took, also in the picture."""
    node = write()
    runs, pictures = [], []
    for index in range(2):
        report = plan.with_name(f"{index}.svg")
        args = ("--for", "10min", "--faults", plan, "--seed", "4", "--report", report)
        run = told(node, *args)
        assert run.pop("wall_s") > 0
        assert run.pop("speed") > 0
        runs.append(run)
        pictures.append(report.read_text(encoding="utf-8"))
    assert runs[0] == runs[1]
    assert pictures[0] == pictures[1]


def test_report(write: Write, plan: Path) -> None:
    """The picture is well-formed SVG and shows each signal, fault and warning by name."""
    report = plan.with_name("run.svg")
    done = simulate(write(), "--for", "5min", "--faults", plan, "--report", report)
    assert done.returncode == 0
    root = ET.fromstring(report.read_text(encoding="utf-8"))  # our own file
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    for words in ("room.temperature", "door.pressed", "fan.power", "nack room", "device.offline"):
        assert words in texts
    assert "bench-1 · 5 min simulated" in texts


def test_critical_failure(write: Write, tmp_path: Path) -> None:
    """A critical service that is given up ends the run before its time, with what was critical and
    exit code 1; restarts are counted."""
    node = write()
    (tmp_path / "bench_app.py").write_text(CRITICAL)
    done = simulate(node, "--for", "1h", "--json")
    assert done.returncode == 1
    run = json.loads(done.stdout)
    assert run["ok"] is False
    assert run["span_s"] == pytest.approx(120, abs=1)
    assert run["restarts"]["lazy"] >= 1
    assert run["critical"][0] == "1 service.failure"
    assert run["stopped"].startswith("stopped by itself after 2 min")
    assert "bench-1: 1 service.failure\n" in done.stderr


def test_mqtt_takes_part(tmp_path: Path) -> None:
    """A node whose file names a broker is on a simulated one, whatever there is on the network; the
    summary counts what went over it."""
    node = greenhouse_on(1, tmp_path)
    run = told(node, "--for", "30min")
    events = {each["name"]: each["count"] for each in run["events"]}
    assert (events["mqtt.connected"], run["mqtt"]["connects"]) == (1, 1)
    assert "mqtt.problem" not in events
    assert run["mqtt"]["received"] > 200
    assert run["mqtt"]["wills"] == 0
    assert run["outputs"][0]["changes"] > 2
    assert (
        "mqtt             connects 1, messages from the node "
        in simulate(node, "--for", "30min").stdout
    )


def test_broker_faults(tmp_path: Path) -> None:
    """A plan lets the broker go away and the link die, and the run shows what the node made of
    it."""
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[[fault]]\nkind = "broker_away"\nat = "5min"\nfor = "5min"\n'
        '[[fault]]\nkind = "broker_half_open"\nat = "20min"\nfor = "2min"\n'
    )
    run = told(greenhouse_on(1, tmp_path), "--for", "30min", "--faults", plan, "--seed", "3")
    events = {each["name"]: each["count"] for each in run["events"]}
    assert (events["mqtt.disconnected"], events["mqtt.connected"]) == (2, 3)
    assert (run["mqtt"]["connects"], run["mqtt"]["wills"]) == (3, 1)


def test_no_mqtt(write: Write) -> None:
    """A node without the table has no broker, and the summary says so."""
    assert told(write(), "--for", "1min")["mqtt"] is None


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('device = "rom"\nkind = "nack"\nat = 1', "fault.1.device: no device 'rom' in this node"),
        ('device = "room"\nkind = "nac"\nat = 1', "fault.1.kind: no kind of fault 'nac'; did you"),
        ('device = "fan"\nkind = "nack"\nat = 1', "fault.1.kind: nack: fan is on no I²C bus"),
        ('kind = "broker_away"\nat = 1', "fault.1.kind: broker_away: not possible in this run: "),
        ('kind = "power_cut"\nevery = 9', "fault.1.for: is missing; what comes again and again"),
    ],
)
def test_wrong_plan(write: Write, tmp_path: Path, more: str, problem: str) -> None:
    """A plan that does not fit the node ends the run before it starts, exit 1, with a line that
    names file, fault and key."""
    plan = tmp_path / "bad-plan.toml"
    plan.write_text(f"[[fault]]\n{more}\n")
    done = simulate(write(), "--for", "1min", "--faults", plan)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"bad-plan.toml: {problem}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "args", [["--for", "soon"], ["--for", "0"], ["--rate", "0"], ["--seed", "-1"], ["--fast"]]
)
def test_wrong_usage(write: Write, args: list[str]) -> None:
    """Wrong options end the run before anything starts, exit 2."""
    done = simulate(write(), *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: " in done.stderr


def test_first_of_each_problem(write: Write, tmp_path: Path) -> None:
    """The summary tells of each kind of problem what the first one said, when, and in which line of
    the application; the table alone has its number only."""
    node = write()
    (tmp_path / "bench_app.py").write_text(
        "from edgekernel import Service\n\n\n"
        "class Pulse(Service):\n"
        '    name = "pulse"\n'
        "    interval = 20.0\n\n"
        "    def tick(self, ctx):\n"
        "        self.beat({})\n\n"
        "    def beat(self, row):\n"
        '        row["no such column"]\n\n\n'
        "def setup(runtime):\n"
        "    runtime.register(Pulse())\n"
    )
    done = simulate(node, "--for", "25s")
    assert done.returncode == 0, done.stderr
    told = done.stdout.partition("\nthe first of each:\n")[2].splitlines()
    errors = [line for line in told if "  service.error  " in line]
    assert len(errors) == 1
    assert errors[0].startswith("  at 0 s  service.error  service=pulse")
    assert errors[0].endswith("KeyError: 'no such column'  (bench_app.py, line 12, in beat)")
    first = json.loads(simulate(node, "--for", "25s", "--json").stdout)["first"]
    (error,) = [each for each in first if each["name"] == "service.error"]
    assert (error["at_s"], error["place"]) == (0, "bench_app.py, line 12, in beat")


def test_boot_failure(write: Write, tmp_path: Path) -> None:
    """What keeps a node from booting is told as `run` tells it, exit 4."""
    node = write()
    (tmp_path / "bench_app.py").write_text(
        "from edgekernel import Process\n"
        "class Broken(Process):\n"
        "    name = 'broken'\n"
        "    def start(self, ctx):\n"
        "        raise OSError('no licence')\n"
        "def setup(runtime):\n"
        "    runtime.register(Broken())\n"
    )
    done = simulate(node, "--for", "1min")
    assert (done.returncode, done.stdout) == (4, "")
    assert "no licence" in done.stderr


def test_report_that_cannot_be_written(write: Write, tmp_path: Path) -> None:
    """A picture that cannot be written is told before the run, exit 2; if that is found out after
    it, the summary is not lost, exit 1."""
    node, nowhere = write(), tmp_path / "nowhere" / "run.svg"
    for report, problem in (
        (nowhere, f"{nowhere}: there is no folder {nowhere.parent}"),
        (tmp_path / "run.png", "the picture is written as SVG: name it run.svg"),
        (tmp_path, "is a directory"),
    ):
        done = simulate(node, "--for", "1min", "--report", report)
        assert (done.returncode, done.stdout) == (2, "")
        assert problem in done.stderr
    done = simulate(node, "--for", "1min", "--report", "/dev/full")
    assert done.returncode == 1
    assert done.stderr == "/dev/full: cannot be written: No space left on device\n"
    assert done.stdout.startswith("bench-1 · 60 s simulated")


READY = """
from edgekernel import Service

class Ready(Service):
    name = "ready"

    def tick(self, ctx):
        print("ready", flush=True)
        self.interval = 1e9

def setup(runtime):
    runtime.register(Ready())
"""


@pytest.mark.parametrize("pace", [("--for", "30d", "--rate", "10"), ("--for", "36500d")])
def test_interrupted(
    write: Write, tmp_path: Path, start: Callable[..., Agent], pace: tuple[str, ...]
) -> None:
    """Ctrl-C ends the run in good order, paced or at full speed, and sums up what there was."""
    node = write()
    (tmp_path / "bench_app.py").write_text(READY)
    agent = start("simulate", node, *pace, "--json")
    agent.until("ready")
    code, out, err = agent.end(signal.SIGINT)
    assert (code, err) == (0, "")
    run = json.loads(out)
    assert run["stopped"].startswith("interrupted after")
    assert run["outputs"][0]["value"] is False

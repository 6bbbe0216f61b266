"""What happens: watch, events, logs."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from tests.brokers import Mosquitto, watching
from tests.cli.conftest import Agent
from tests.cli.ctl.conftest import Ctl
from tests.cli.terminal import Terminal, plain
from tests.mqtt.proxy import Proxy


def test_watch(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`watch --json` prints what is and what happens, a line each, until Ctrl-C, exit 0."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-1", "--json")
    status = json.loads(watcher.until('"status"'))
    assert (status["node"], status["state"]) == ("bench-1", "online")
    assert json.loads(watcher.until('"room"'))["temperature"]["unit"] == "°C"
    ctl("call", "bench-1", "sim.press", "device=door")
    event = json.loads(watcher.until("button.pressed"))
    assert (event["kind"], event["severity"]) == ("event", "info")
    assert event["fields"] == {"device": "door"}
    watcher.until("button.released")
    code, _, err = watcher.end(signal.SIGINT)
    assert (code, err) == (0, "")


def test_watch_as_text(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`watch` prints what happens in a line for people."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-1")
    watcher.until("state   fan")
    ctl("set", "bench-1", "fan/power", "on")
    assert "power=on" in watcher.until("power=on")
    ctl("set", "bench-1", "fan/power", "off")
    code, _, _ = watcher.end(signal.SIGINT)
    assert code == 0


def test_watch_on_a_terminal(broker: Mosquitto, ctl: Ctl) -> None:
    """On a terminal `watch` is a table that is drawn again in its place: a value that changes, and
    what happens, are seen in it, until Ctrl-C, exit 0, and the cursor is there again."""
    args = ("ctl", "--port", str(broker.port), "watch", "bench-1")
    with Terminal(120, 40, *args) as terminal:
        terminal.until(r"bench-1 online.*device +signal +value.*fan +power +off")
        ctl("set", "bench-1", "fan/power", "on")
        terminal.until(r"fan +power +on ")
        ctl("call", "bench-1", "sim.press", "device=door")
        terminal.until(r"\d\d:\d\d:\d\d +bench-1 +button.pressed +device=door")
        ctl("set", "bench-1", "fan/power", "off")
        terminal.until(r"fan +power +off ")
        assert terminal.end(signal.SIGINT) == 0
        drawn = terminal.drawn
        assert "\x1b[1A" in drawn  # the table before it is drawn over
        assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")
        assert "Traceback" not in drawn


def test_lines_on_a_terminal(broker: Mosquitto, ctl: Ctl) -> None:
    """With --lines, and with --json, a terminal gets a line for each."""
    del ctl  # the nodes are there
    for option, wanted in (("--lines", r"status +online"), ("--json", r'"kind": "status"')):
        args = ("--port", str(broker.port), "watch", "bench-1", option, "--for", "1")
        with Terminal(120, 40, "ctl", *args) as terminal:
            terminal.until(wanted)
            assert terminal.end() == 0
            assert "device  signal" not in plain(terminal.drawn)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_watch_unknown(broker: Mosquitto, start: Callable[..., Agent], options: list[str]) -> None:
    """`watch` of a node that nobody has seen yet says so, and shows it when it comes."""
    watcher = start("ctl", "--port", str(broker.port), "watch", "bench-9", *options)
    assert watcher.process.stderr is not None
    said = watcher.process.stderr.readline()
    if not options:
        said = watcher.process.stderr.readline()
    assert said.startswith("no node 'bench-9' is known yet; waiting for it")
    with watching(broker.port, "edge/bench-9/#") as client:
        client.publish("edge/bench-9/status", {"state": "online"})
    watcher.until("online")
    code, _, err = watcher.end(signal.SIGINT)
    assert (code, err) == (0, "")


def test_watch_on_a_slow_link(broker: Mosquitto, start: Callable[..., Agent]) -> None:
    """A node whose status takes a while to come is not said to be unknown."""
    topic = "edge/bench-8/status"
    with watching(broker.port, topic) as client, Proxy(broker.port) as proxy:
        client.publish(topic, {"state": "online", "cause": "x" * 4000}, retain=True)
        proxy.bytes_per_s = 4000
        args = ("--port", str(proxy.port), "--timeout", "30", "watch", "bench-8")
        watcher = start("ctl", *args)
        watcher.until("online")
        code, _, err = watcher.end(signal.SIGINT)
        client.publish(topic, "", retain=True)
        assert (code, err) == (0, "watching bench-8; Ctrl-C ends\n")


def test_watch_of_many(ctl: Ctl) -> None:
    """Without a node all are watched, with --where those, each line with its node, for a while."""
    lines = ctl("watch", "--for", "1").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"bench-1", "bench-2"}
    result = ctl("watch", "--where", "zone=south", "--for", "1", "--json")
    assert {json.loads(line)["node"] for line in result.stdout.splitlines()} == {"bench-2"}


def listening(start: Callable[..., Agent], broker: Mosquitto, *args: str) -> Agent:
    """Start a subcommand, and wait until it misses nothing any more."""
    watcher = start("ctl", "--port", str(broker.port), *args)
    assert watcher.process.stderr is not None
    assert watcher.process.stderr.readline() == "events of bench-1; Ctrl-C ends\n"
    return watcher


def test_events(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`events` prints the events of a name as they come, until Ctrl-C."""
    watcher = listening(start, broker, "events", "bench-1", "--name", "button.pressed")
    ctl("call", "bench-1", "sim.press", "device=door")
    assert watcher.until("button").split() == ["event", "button.pressed", "device=door"]
    code, rest, err = watcher.end(signal.SIGINT)
    assert (code, rest, err) == (0, "", "")


def test_shared_events(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """Of two `events --share` of one group each event is printed by one."""
    args = ("events", "bench-1", "--name", "request.answered", "--share", "log")
    watchers = [listening(start, broker, *args) for _ in range(2)]
    for _ in range(4):
        ctl("call", "bench-1", "control.boost")
    for watcher in watchers:
        for _ in range(2):
            watcher.until("request.answered")
    rest = [watcher.end(signal.SIGINT) for watcher in watchers]
    assert rest == [(0, "", "")] * 2


def test_logs(broker: Mosquitto, start: Callable[..., Agent], ctl: Ctl) -> None:
    """`logs` prints what goes wrong, and nothing less."""
    watcher = listening(start, broker, "logs", "bench-1")
    ctl("call", "bench-1", "sim.press", "device=door")
    ctl("call", "bench-1", "control.fail")
    assert "no such row" in watcher.until("ERROR")
    assert "button.pressed" not in "".join(watcher.lines)
    code, _, _ = watcher.end(signal.SIGINT)
    assert code == 0


@pytest.mark.parametrize(
    "args", [["bench-1", "--all"], ["--all", "--where", "zone=north"], ["--where", "zone"]]
)
def test_who_is_meant_is_said_once(ctl: Ctl, args: list[str]) -> None:
    """NODE, --where and --all exclude each other, exit 2."""
    assert ctl("events", *args, "--for", "0.1").exit_code == 2

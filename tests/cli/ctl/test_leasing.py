"""`edgekernel ctl lease`: held until it is ended, killed or let go."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgekernel import Runtime
from edgekernel.cli import main
from edgekernel.core.lease import LeaseTerms
from edgekernel.core.leases import Leases
from edgekernel.mqtt import MqttInterface
from tests.brokers import LIMIT_S, Mosquitto
from tests.cli.conftest import Agent
from tests.cli.ctl.test_completing import completed
from tests.mqtt.parts import Lamp, Seen, settings

TIMEOUT_S = 2.0

Start = Callable[..., Agent]


class Bench:
    """A node whose lamp needs a lease."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.runtime = Runtime(name="n1")
        self.lamp = Lamp("lamp")
        self.seen = Seen(self.runtime)
        terms = {"hand": LeaseTerms(TIMEOUT_S, ("lamp.power",))}
        for part in (self.lamp, Leases(self.runtime, terms), MqttInterface(settings(port))):
            self.runtime.register(part)

    def ctl(self, *args: str) -> Result:
        """Run `edgekernel ctl` here."""
        words = ["ctl", "--port", str(self.port), *args]
        return CliRunner().invoke(main, words, env={"COLUMNS": "200"}, catch_exceptions=False)

    def is_renewed(self, times: int) -> None:
        """Wait until the other process has renewed the lease so often."""
        leases = self.runtime.outputs.leases
        assert leases is not None
        left_s = leases.get("hand").figures()["left_s"]
        end_s = time.monotonic() + LIMIT_S
        while times:
            time.sleep(0.01)  # there is nothing to wait on: a renewal is no message
            assert time.monotonic() < end_s, "it is not renewed"
            before_s, left_s = left_s, leases.get("hand").figures()["left_s"]
            times -= left_s > before_s

    def is_safe_within(self, seconds: float) -> None:
        """Wait until the lamp is off; it must not take longer."""
        begin_s = time.monotonic()
        self.seen.wait("lease.lost")
        while self.lamp.power.readback.get():
            assert time.monotonic() < begin_s + LIMIT_S, "the lamp stays on"
            time.sleep(0.002)  # its thread is another one
        assert time.monotonic() - begin_s <= seconds


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Run the node on a broker of its own."""
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        bench = Bench(broker.port)
        with bench.runtime:
            bench.seen.wait("mqtt.connected")
            yield bench
    finally:
        broker.stop()


def test_held_for_a_time(bench: Bench) -> None:
    """It shows who holds what for how long, what depends on it, and that it is released."""
    result = bench.ctl("lease", "n1", "hand", "--every", "200ms", "--holder", "me", "--for", "0.1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "n1: lease hand is held by me, renewed every 0.2 s; it is lost 2 s after the last time",
        "  lamp.power: free; safe is off",
        "n1: lease hand released: its outputs are safe now",
    ]
    bench.seen.wait("lease.lost")
    rows = bench.ctl("lease", "n1", "hand", "--let-go", "--for", "0.1", "--json").stdout
    first, last = map(json.loads, rows.splitlines())
    assert (first["held"], first["outputs"], first["timeout_s"]) == (True, ["lamp.power"], 2)
    assert (last["held"], last["reason"]) == (False, "left")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_by_a_signal(bench: Bench, start: Start, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM release it, so that the lamp is off at once; after a kill it is off when
    the time of the lease is over."""
    agent = start("ctl", "--port", str(bench.port), "lease", "n1", "hand", "--every", "100ms")
    agent.until("lamp.power: free")
    assert bench.ctl("set", "n1", "lamp/power", "on").exit_code == 0
    bench.is_renewed(3)
    assert bench.lamp.power.readback.get() is True
    agent.process.send_signal(how)
    bench.is_safe_within(TIMEOUT_S + 3.0)
    (lost,) = bench.seen.of("lease.lost")
    killed = how == signal.SIGKILL
    assert lost["reason"] == ("not renewed for 2 s" if killed else "released")
    out, err = agent.process.communicate(timeout=LIMIT_S)
    assert agent.process.returncode == (-how if killed else 0)
    assert err == ""
    assert ("released: its outputs are safe now" in out) is not killed


def test_refused(bench: Bench) -> None:
    """One that another one holds, one that is not there and a wrong rhythm end with the reason,
    exit 1; a wrong command line with 2."""
    leases = bench.runtime.outputs.leases
    assert leases is not None
    leases.get("hand").renew("scada-1")
    for args, said in (
        (["hand"], "refused (unavailable): lease hand is held by scada-1"),
        (["hnad"], "refused (unknown): n1 has no lease 'hnad'; did you mean 'hand'?"),
        (["hand", "--every", "3s"], "refused (invalid): lease hand of n1 is lost after 2 s"),
    ):
        result = bench.ctl("lease", "n1", *args)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith(said)
    assert bench.ctl("lease", "n1").exit_code == 2
    assert bench.ctl("lease", "n1", "hand", "--every", "often").exit_code == 2


def test_completion(bench: Bench) -> None:
    """Behind the node its leases are offered, and then nothing."""
    assert completed(bench.port, "lease", "n1", "") == ["hand"]
    assert completed(bench.port, "lease", "n1", "hand", "") == []

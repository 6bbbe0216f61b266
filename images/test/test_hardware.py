"""Edges of GPIO lines and an SMBus, by the kernel's own simulated chips in the image as built.

Debian's kernel comes without them: a side-car disk brings them, and the image stays as it was.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from edgekernel.mqtt import Fleet
from edgekernel.mqtt.fleet import DeviceState, NodeEvent
from images.build.cache import Cache
from images.test.conftest import CACHE
from images.test.machine import (
    BOOT_LIMIT_S,
    GUEST_BROKER,
    Machine,
    alone,
    has_ended,
    is_online,
    newest,
    until,
)
from images.test.sidecar import LABEL, make_sidecar

NODE = f"""
[node]
name = "bench"
board = "raspberrypi/4b"
data = "/data/edgekernel/state"

[devices.lamp]
driver = "relay"
pin = "GPIO17"
optional = true

[devices.alarm]
driver = "relay"
pin = "GPIO23"
safe = "on"
optional = true

[devices.bell]
driver = "button"
pin = "GPIO22"
debounce = "500ms"
optional = true

[devices.meter]
driver = "pulse_counter"
pin = "GPIO27"
every = "200ms"
optional = true

[devices.stove]
driver = "mcp9808"
bus = "i2c0"
optional = true

[mqtt]
host = "{GUEST_BROKER}"
"""
LATEST = timedelta(seconds=8)
"""After an edge, for what is told of it: half a second to settle, and a busy emulator."""
PULSES, PERIOD_S = 40, 0.1
PULSE_TRAIN = f"""
cd {{lines}}/sim_gpio27
date +%s.%N
for pulse in $(seq {PULSES}); do
    echo pull-down >pull; sleep {PERIOD_S / 2}; echo pull-up >pull; sleep {PERIOD_S / 2}
done
date +%s.%N
"""
BOUNCES = """
cd {lines}/sim_gpio22
date +%s.%N
for bounce in 1 2 3 4 5 6 7 8 9 10; do echo pull-down >pull; echo pull-up >pull; done
echo {last} >pull
date +%s.%N
"""
TRACE = "/sys/kernel/tracing"
"""Which levels the kernel gives to which lines (include/trace/events/gpio.h): a simulated line has
its pull again as soon as nobody holds it."""
SET = re.compile(r" gpio_value: (\d+) set (\d)")


@dataclass
class Bench:
    """The computer with its hardware, whose node is there."""

    machine: Machine
    fleet: Fleet
    lines: str
    """The folder of the kernel's simulated lines."""

    def state(self, device: str) -> DeviceState:
        """Return a device as it is told over MQTT."""
        return self.fleet.get("bench", device)[device]

    def value(self, device: str, reading: str) -> object:
        """Return a reading as it is told over MQTT, None if it is not good."""
        signal = self.state(device).signals[reading]
        return signal.value if signal.quality == "good" else None

    def until(self, holds: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Wait until something holds."""
        until(holds, self.machine, limit_s)


@pytest.fixture(scope="module")
def bench(machine: Machine, fleet: Fleet) -> Bench:
    """Boot the image without the hardware, then let it appear; give it when the node has it."""
    rootfs = newest(CACHE, "rootfs")
    machine.plug_in_disk(make_sidecar(Cache(CACHE), newest(CACHE, "tools"), rootfs))
    machine.put("node.toml", NODE)
    machine.allow_shell()
    machine.start()
    until(lambda: is_online(fleet, "bench"), machine)
    assert not any(each.online for each in fleet.get("bench").values())
    machine.shell(f"mkdir -p /run/sidecar; mount -o ro /dev/disk/by-label/{LABEL} /run/sidecar")
    began = time.monotonic()
    lines = machine.shell("sh /run/sidecar/set-up.sh").strip()
    # The identity of an MCP9808 (DS20005095, sections 5.5 and 5.6), low byte first as SMBus is.
    machine.shell("i2cset -y 0 0x18 6 0x5400 w; i2cset -y 0 0x18 7 0x0004 w")
    made = Bench(machine, fleet, lines)
    made.until(lambda: all(each.online for each in fleet.get("bench").values()))
    print(f"\nthe node has its hardware {time.monotonic() - began:.0f} s after it appeared")
    return made


def test_an_output(bench: Bench) -> None:
    """An output that is set over MQTT drives its line in the kernel."""
    for on, level in ((True, "1"), (False, "0"), (True, "1")):
        bench.fleet.set("bench", "lamp/power", on)
        assert bench.machine.shell(f"cat {bench.lines}/sim_gpio17/value").strip() == level


def test_pulses(bench: Bench) -> None:
    """Every edge that the kernel reports is counted, none twice, at the rate that they had: never
    above what the guest's own pauses allow."""
    bench.fleet.call("bench", "meter.reset")
    with bench.fleet.watch("bench") as told:
        said = bench.machine.shell(PULSE_TRAIN.format(lines=bench.lines))
        began, ended = map(float, said.split())
        bench.until(lambda: bench.value("meter", "count") in range(PULSES, 2 * PULSES))
        states = [each for each in told.during(2) if isinstance(each, DeviceState)]
    assert bench.value("meter", "count") == PULSES
    signals = [each.signals["rate"] for each in states if each.device == "meter"]
    rates = [each.value for each in signals if each.quality == "good"]
    made = PULSES / (ended - began)
    print(f"\n{PULSES} pulses, {made:.1f} a second; told: up to {max(rates):.1f} a second")
    assert 0.8 * made <= max(rates) <= 1.05 / PERIOD_S


def test_a_button(bench: Bench) -> None:
    """A contact that bounces when it is pressed and let go is one press and one release, told over
    MQTT as events and as a state, with the time that the guest's clock had."""
    with bench.fleet.events("bench") as events:
        for last, name, pressed in (
            ("pull-down", "button.pressed", True), ("pull-up", "button.released", False)
        ):  # fmt: skip
            script = BOUNCES.format(lines=bench.lines, last=last)
            began, ended = (_time(each) for each in bench.machine.shell(script).split())
            said = [each for each in events.during(10) if isinstance(each, NodeEvent)]
            told = [each for each in said if each.source == "bell"]
            assert [(each.name, each.fields) for each in told] == [(name, {"device": "bell"})]
            assert told[0].time is not None
            assert began < told[0].time < ended + LATEST
            state = bench.state("bell").signals["pressed"]
            assert state.value is pressed
            assert state.time is not None
            assert began < state.time < ended + LATEST


def test_an_smbus(bench: Bench) -> None:
    """A driver reads a chip on a bus that has SMBus calls only, as it does on any other."""
    for word, celsius in ((0x94C1, 25.25), (0x701E, -25.0), (0x0400, 0.25)):
        bench.machine.shell(f"i2cset -y 0 0x18 5 {word:#x} w")

        def read(expected: float = celsius) -> bool:
            return bench.value("stove", "temperature") == expected

        bench.until(read)


def test_a_killed_agent(bench: Bench) -> None:
    """P8: when the agent is killed, the kernel has a line set to its safe value while there is no
    agent, and a line whose safe value is on is switched on; nothing else is done to them."""
    shell, before = bench.machine.shell, bench.fleet.info("bench").boot
    shell(f"cd {TRACE}; echo >trace; echo 1 >events/gpio/gpio_value/enable; echo 1 >tracing_on")
    bench.fleet.set("bench", "lamp/power", True)
    bench.fleet.set("bench", "alarm/power", False)
    with alone(bench.machine):
        driven = _driven(shell(f"cat {TRACE}/trace"))
        (lamp,) = {line for line, on in driven if on}
        alarm = lamp + 23 - 17
        assert driven == {(lamp, True), (alarm, False)}
        shell(f"echo >{TRACE}/trace; systemctl kill --kill-whom=main -s KILL edgekernel")
        bench.until(lambda: has_ended(bench.machine), BOOT_LIMIT_S)
        driven = _driven(shell(f"cd {TRACE}; cat trace; echo 0 >events/gpio/gpio_value/enable"))
        said = shell("journalctl -o cat -u edgekernel-standby")
    print(f"\n{said[said.index('the agent has ended') :]}", end="")
    assert driven == {(lamp, False), (alarm, True)}
    assert "lamp.power: off" in said
    assert "alarm.power: on" in said
    bench.until(lambda: bench.fleet.info("bench").boot != before, BOOT_LIMIT_S)
    assert bench.fleet.info("bench").restart_cause == "killed"


def _driven(trace: str) -> set[tuple[int, bool]]:
    """Return each line and level that the kernel was told to set."""
    return {(int(line), level == "1") for line, level in SET.findall(trace)}


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(float(text), UTC)

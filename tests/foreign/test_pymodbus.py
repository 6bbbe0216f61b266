"""modbus_rtu and its simulated units, judged by the server and the client of pymodbus."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from edgekernel_devices.modbus_rtu import ModbusRTU, ModbusUnits, OutputRegister, Register
from pymodbus.client import ModbusSerialClient

from edgekernel import Runtime
from edgekernel.backends.linux import LinuxBackend
from edgekernel.core.clock import SystemClock
from edgekernel.hal import SerialPeer
from edgekernel.hal.address import PortAddress

ROOT = Path(__file__).parents[2]


class Cable:
    """Two pseudo-terminals: what is written to one device file can be read from the other."""

    def __init__(self) -> None:
        self._far, self._near, self.devices = [], [], []
        for _ in range(2):
            far, near = os.openpty()
            self._far.append(far)
            self._near.append(near)  # kept open, so that either end may come and go
            self.devices.append(os.ttyname(near))
        self._ended = threading.Event()
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def _carry(self) -> None:
        first, second = self._far
        while not self._ended.is_set():
            for file in select.select(self._far, [], [], 0.02)[0]:
                os.write(second if file == first else first, os.read(file, 4096))

    def close(self) -> None:
        """Take the cable away."""
        self._ended.set()
        self._carrier.join()
        for file in (*self._far, *self._near):
            os.close(file)


class Socket:
    """A simulated far end behind a pseudo-terminal, in real time."""

    def __init__(self, peer: SerialPeer) -> None:
        self._far, self._near = os.openpty()
        self.device = os.ttyname(self._near)
        self._peer = peer
        self._ended = threading.Event()
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()

    def _carry(self) -> None:
        while not self._ended.is_set():
            if select.select([self._far], [], [], 0.002)[0]:
                self._peer.received(os.read(self._far, 4096), time.monotonic())
            answer = self._peer.due(time.monotonic())
            if answer:
                os.write(self._far, answer)

    def close(self) -> None:
        """Take it away."""
        self._ended.set()
        self._carrier.join()
        os.close(self._far)
        os.close(self._near)


@pytest.fixture
def device() -> Iterator[str]:
    """The device file of a line at whose other end a server of pymodbus is unit 17."""
    cable = Cable()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.foreign.modbus_server", cable.devices[1]],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield cable.devices[0]
    finally:
        server.communicate(b"")
        cable.close()
    assert server.returncode == 0


def test_server(device: str) -> None:
    """Our driver reads and writes what a server of others holds, over a real port."""
    backend = LinuxBackend(SystemClock())
    meter = ModbusRTU(
        "meter",
        port=backend.serial_port(PortAddress("rs485", device)),
        unit_id=17,
        parity="none",  # a pseudo-terminal has none
        timeout=5.0,
        readings={
            "temperature": Register(address=0, scale=0.1),
            "offset": Register(address=1, type="int16"),
            "voltage": Register(address=10, type="float32"),
            "energy": Register(address=20, type="int32"),
            "count": Register(address=7, kind="input"),
            "relay": Register(address=2, kind="coil"),
            "door": Register(address=9, kind="discrete"),
            "nothing": Register(address=500),
        },
        outputs={
            "switch": OutputRegister(address=1, kind="coil", safe=True),
            "speed": OutputRegister(address=21, type="int16", safe="none"),
            "level": OutputRegister(address=10, type="float32", safe="none"),
        },
    )
    with Runtime() as runtime:
        runtime.hot_add(meter)
        meter.poll()
        values = {n: reading.value for n, reading in meter.readings.items() if n != "nothing"}
        assert values == {
            "temperature": 23.5,
            "offset": -2,
            "voltage": 230.5,
            "energy": -100_000,
            "count": 4711,
            "relay": True,
            "door": True,
        }
        reason = meter.readings["nothing"].sample.reason
        assert "exception 2 (illegal data address)" in reason
        outputs: dict[str, Any] = meter.outputs
        assert outputs["switch"].value is True
        outputs["switch"].set(False)
        outputs["speed"].set(-5)
        outputs["level"].set(1.25)
        assert [outputs[name].value for name in outputs] == [False, -5, 1.25]
        meter.poll()
        assert meter.readings["voltage"].value == 1.25
    backend.close()


def test_client() -> None:
    """A client of others reads and writes what our simulated units hold."""
    units = ModbusUnits()
    units.holding, units.input = {0: 235, 1: 65534}, {7: 4711}
    units.coil, units.discrete = {2: 1}, {9: 1}
    units.unit_ids, units.last_address = {17}, 99
    socket = Socket(units)
    client = ModbusSerialClient(socket.device, baudrate=19200, parity="N", timeout=5, retries=0)
    try:
        assert client.connect()
        assert client.read_holding_registers(0, count=3, device_id=17).registers == [235, 65534, 0]
        assert client.read_input_registers(7, device_id=17).registers == [4711]
        assert client.read_coils(0, count=9, device_id=17).bits[:3] == [False, False, True]
        assert client.read_discrete_inputs(9, device_id=17).bits[0] is True
        client.write_coil(5, True, device_id=17)
        client.write_register(10, 7, device_id=17)
        client.write_registers(20, [1, 2, 3], device_id=17)
        assert units.coil[5] == 0xFF00
        assert [units.holding[address] for address in (10, 20, 21, 22)] == [7, 1, 2, 3]
        assert client.read_holding_registers(99, count=2, device_id=17).exception_code == 2
        units.exception = 4
        assert client.write_register(10, 8, device_id=17).exception_code == 4
    finally:
        client.close()  # type: ignore[no-untyped-call]
        socket.close()

import struct
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from edgekernel_devices.modbus_rtu import (
    ModbusRTU,
    ModbusUnits,
    OutputRegister,
    Register,
    crc16,
)
from hypothesis import given
from hypothesis import strategies as st

from edgekernel import ConfigError, InvalidValueError, Quality, Runtime, UnavailableError
from edgekernel.backends.sim import SimBackend
from edgekernel.hal import SerialPort
from edgekernel.hal.address import PortAddress
from edgekernel.sim import SimClock

Boot = Callable[..., Runtime]


@pytest.fixture
def port(backend: SimBackend) -> SerialPort:
    """A closed port."""
    return backend.serial_port(PortAddress("rs485", "/dev/ttyUSB0"))


@pytest.fixture
def units(backend: SimBackend) -> ModbusUnits:
    """Units at its far end, on a line at real speed."""
    made = ModbusUnits()
    backend.port("rs485").plug(made)
    backend.port("rs485").real_speed = True
    return made


def ask(units: ModbusUnits, request: str) -> str:
    """Send a request to unit 17; return the answer without unit id and CRC."""
    frame = bytes([17]) + bytes.fromhex(request)
    units.received(frame + crc16(frame), units._heard_s + 1)
    answer = units.due(units._heard_s + 1)
    assert crc16(answer[:-2]) == answer[-2:]
    assert answer[0] == 17
    return answer[1:-2].hex(" ")


def bits(octets: str, first: int) -> dict[int, int]:
    """Bits by address, as the specification shows them: the lowest of a byte first."""
    number = int.from_bytes(bytes.fromhex(octets), "little")
    return {first + n: number >> n & 1 for n in range(8 * len(bytes.fromhex(octets)))}


@pytest.mark.parametrize(
    ("table", "cells", "request_", "answer"),
    [
        ("coil", bits("cd6b05", 0x13), "01 0013 0013", "01 03 cd 6b 05"),
        ("discrete", bits("acdb35", 0xC4), "02 00c4 0016", "02 03 ac db 35"),
        ("holding", {0x6B: 0x22B, 0x6D: 0x64}, "03 006b 0003", "03 06 02 2b 00 00 00 64"),
        ("input", {8: 10}, "04 0008 0001", "04 02 00 0a"),
        ("coil", {}, "05 00ac ff00", "05 00 ac ff 00"),
        ("holding", {}, "06 0001 0003", "06 00 01 00 03"),
        ("holding", {}, "10 0001 0002 04 000a 0102", "10 00 01 00 02"),
        ("holding", {}, "2b 0e01", "ab 01"),
    ],
)
def test_specification(table: str, cells: dict[int, int], request_: str, answer: str) -> None:
    """The simulated units answer as the examples of the protocol specification (section 6)."""
    units = ModbusUnits()
    getattr(units, table).update(cells)
    if request_.startswith("2b"):  # a request of the length of the others, with another function
        request_ += " 00 00"
    assert ask(units, request_) == answer


def test_crc() -> None:
    """The CRC is that of the specification for serial lines (appendix B)."""
    assert crc16(bytes([0x02, 0x07])) == bytes([0x41, 0x12])


def test_readings(clock: SimClock, port: SerialPort, units: ModbusUnits, boot: Boot) -> None:
    """Registers and bits of every kind become readings, with type, word order and scale."""
    units.holding = {0: 235, 1: 0xFFFE, 10: 0x0001, 11: 0x86A0, 12: 0x86A0, 13: 0x0001}
    units.input = {7: 0x4366, 8: 0x8000}
    units.coil, units.discrete = {3: 1}, {100: 1}
    device = ModbusRTU(
        "meter",
        port=port,
        readings={
            "temperature": Register(address=0, scale=0.1, unit="°C"),
            "offset": Register(address=1, type="int16"),
            "energy": Register(address=10, type="uint32", unit="Wh"),
            "energy_swapped": Register(address=12, type="int32", word_order="little"),
            "voltage": Register(address=7, kind="input", type="float32", unit="V"),
            "relay": Register(address=3, kind="coil"),
            "door": Register(address=100, kind="discrete"),
            "window": Register(address=101, kind="discrete"),
        },
    )
    boot(device)
    clock.advance(1)
    assert {name: reading.value for name, reading in device.readings.items()} == {
        "temperature": 23.5,
        "offset": -2,
        "energy": 100_000,
        "energy_swapped": 100_000,
        "voltage": 230.5,
        "relay": True,
        "door": True,
        "window": False,
    }
    assert device.readings["voltage"].values.unit == "V"
    assert units.requests == 5  # neighbours are read together


def test_outputs(clock: SimClock, port: SerialPort, units: ModbusUnits, boot: Boot) -> None:
    """Outputs write coils and registers, begin with their safe value, and read back what is."""
    device = ModbusRTU(
        "drive",
        port=port,
        outputs={
            "run": OutputRegister(address=0, kind="coil", safe=False),
            "speed": OutputRegister(address=1, scale=0.5, unit="Hz", safe=0, range=(0, 50)),
            "level": OutputRegister(address=5, type="float32", safe="none"),
            "steps": OutputRegister(address=9, type="int16", safe=0.0),
        },
    )
    units.coil[0], units.holding[1] = 1, 90
    runtime = boot(device)
    outputs: dict[str, Any] = device.outputs
    assert (units.coil[0], units.holding[1]) == (0, 0)
    outputs["run"].set(True)
    outputs["speed"].set(42.5)
    outputs["level"].set(-1.5)
    outputs["steps"].set(-3)
    assert units.coil[0] == 0xFF00
    assert units.holding == {1: 85, 5: 0xBFC0, 6: 0, 9: 0xFFFD}
    assert [outputs[name].value for name in outputs] == [True, 42.5, -1.5, -3]
    for name, wrong in (("speed", 50.5), ("steps", 40_000), ("steps", 0.5)):
        with pytest.raises(InvalidValueError, match="is not allowed"):
            outputs[name].set(wrong)
    clock.advance(5)
    assert device.online
    runtime.shutdown("end of the test")
    assert (units.coil[0], units.holding[1], units.holding[9]) == (0, 0, 0)


def test_output_refused(port: SerialPort, units: ModbusUnits, boot: Boot) -> None:
    """A unit that refuses to be written says why, under the name of the output."""
    output = OutputRegister(address=9, safe="none")
    device = ModbusRTU("drive", port=port, outputs={"speed": output})
    boot(device)
    units.exception = 6
    outputs: dict[str, Any] = device.outputs
    with pytest.raises(
        UnavailableError, match=r"holding 9 \(speed\): exception 6 \(server device busy\)"
    ):
        outputs["speed"].set(1)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1, "illegal function"),
        (2, "illegal data address"),
        (4, "server device failure"),
        (9, "?"),
    ],
)
def test_exceptions(
    clock: SimClock, port: SerialPort, units: ModbusUnits, boot: Boot, code: int, name: str
) -> None:
    """What a unit refuses is BAD with the name of the exception; it has answered, so is online."""
    device = ModbusRTU("meter", port=port, readings={"power": Register(address=4)})
    boot(device)
    units.exception = code
    clock.advance(2)
    assert device.online
    reason = device.readings["power"].sample.reason
    assert f"unit 1, holding 4: exception {code} ({name})" in reason


def test_illegal_address(clock: SimClock, port: SerialPort, units: ModbusUnits, boot: Boot) -> None:
    """One register that is not there leaves the readings of others as they are."""
    units.last_address = 99
    readings = {"there": Register(address=99), "beyond": Register(address=200)}
    device = ModbusRTU("meter", port=port, readings=readings)
    boot(device)
    clock.advance(2)
    assert device.readings["there"].value == 0
    assert "exception 2 (illegal data address)" in device.readings["beyond"].sample.reason


def test_no_answer(clock: SimClock, port: SerialPort, units: ModbusUnits, boot: Boot) -> None:
    """A unit that does not answer is offline after the retries, and back when it does."""
    device = ModbusRTU("meter", port=port, readings={"power": Register(address=4)}, retries=2)
    boot(device)
    units.silent = True
    clock.advance(4)
    assert not device.online
    assert "no answer within 0.5 s; check unit id" in device.readings["power"].sample.reason
    units.silent, units.holding[4] = False, 77
    clock.advance(60)
    assert device.readings["power"].value == 77


def test_damaged_answers(
    clock: SimClock, backend: SimBackend, port: SerialPort, units: ModbusUnits, boot: Boot
) -> None:
    """A damaged answer is asked for again; if all are damaged the device is offline."""
    readings = {"power": Register(address=4), "energy": Register(address=6, type="uint32")}
    device = ModbusRTU("meter", port=port, readings=readings)
    boot(device)
    units.holding = {4: 1, 7: 2}
    socket = backend.port("rs485")
    for fault in (socket.corrupt, socket.drop):
        clock.advance(2)
        fault(2)
        units.holding[4] += 1
        clock.advance(3)
        assert device.online
        assert device.readings["power"].value == units.holding[4]
    backend.port("rs485").corrupt(100_000)
    clock.advance(4)
    assert not device.online
    assert "wrong CRC" in device.readings["power"].sample.reason


def test_other_units_answer(
    clock: SimClock, backend: SimBackend, port: SerialPort, boot: Boot
) -> None:
    """Of several units on a line the silent one takes its own readings with it only.

    It is asked once in a poll, so as not to hold up the others.
    """
    asked: list[int] = []

    class Listening(ModbusUnits):
        def received(self, data: bytes, now_s: float) -> None:
            asked.append(data[0])
            super().received(data, now_s)

    units = Listening()
    backend.port("rs485").plug(units)
    units.unit_ids, units.holding = {1, 3}, {0: 5}
    readings = {
        "first": Register(address=0),
        "second": Register(address=0, unit_id=2),
        "second_too": Register(address=10, unit_id=2),
        "third": Register(address=0, unit_id=3),
    }
    device = ModbusRTU("line", port=port, readings=readings, retries=0)
    boot(device)
    clock.advance(5)
    assert device.online
    assert device.readings["first"].value == device.readings["third"].value == 5
    for name in ("second", "second_too"):
        assert device.readings[name].quality is Quality.BAD
        assert "unit 2, holding 0: no answer" in device.readings[name].sample.reason
    assert asked[:6] == [1, 2, 3, 1, 2, 3]


def test_silence_between_frames(
    clock: SimClock, backend: SimBackend, port: SerialPort, boot: Boot
) -> None:
    """Between an answer and the next request there are 3.5 characters of silence."""
    times: list[tuple[float, bool]] = []

    class Listening(ModbusUnits):
        def received(self, data: bytes, now_s: float) -> None:
            times.append((now_s, False))
            super().received(data, now_s)

        def due(self, now_s: float) -> bytes:
            answer = super().due(now_s)
            if answer:
                times.append((now_s + len(answer) * 11 / 9600, True))
            return answer

    backend.port("rs485").plug(Listening())
    backend.port("rs485").real_speed = True
    readings = {"a": Register(address=0), "b": Register(address=100)}
    boot(ModbusRTU("meter", port=port, readings=readings, baudrate=9600))
    clock.advance(2)
    gaps = [later - now for (now, answered), (later, _) in pairwise(times) if answered]
    assert len(gaps) > 2
    assert all(gap - 11 / 9600 >= 3.5 * 11 / 9600 - 1e-7 for gap in gaps)


def test_port_replugged(
    clock: SimClock, backend: SimBackend, port: SerialPort, units: ModbusUnits, boot: Boot
) -> None:
    """An adapter that goes takes the device offline; when it is back the port is opened anew."""
    device = ModbusRTU("meter", port=port, readings={"power": Register(address=4)})
    boot(device)
    clock.advance(2)
    backend.port("rs485").present = False
    clock.advance(2)
    assert not device.online
    backend.port("rs485").present = True
    clock.advance(60)
    assert device.online


def test_rest_of_an_answer(
    clock: SimClock, backend: SimBackend, port: SerialPort, units: ModbusUnits, boot: Boot
) -> None:
    """An answer that comes too late is not taken for that to the next request."""
    device = ModbusRTU("meter", port=port, readings={"power": Register(address=4)}, retries=0)
    boot(device)
    units.holding[4], units.delay_s = 1, 0.7
    clock.advance(2)
    assert not device.online
    units.holding[4], units.delay_s = 2, 0.0
    clock.advance(60)
    assert device.readings["power"].value == 2


numbers = {
    "int16": st.integers(-(2**15), 2**15 - 1),
    "uint16": st.integers(0, 2**16 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "float32": st.floats(width=32, allow_nan=False),
}


@given(st.data(), st.sampled_from(sorted(numbers)), st.sampled_from(["big", "little"]))
def test_encoding(data: st.DataObject, type_: Any, word_order: Any) -> None:
    """Every value of every type survives being written and read."""
    value = data.draw(numbers[type_])
    register = Register(address=0, type=type_, word_order=word_order)
    words = register.encode(value)
    assert len(words) == register.count
    assert register.decode(words) == value
    ordered = words if word_order == "big" else words[::-1]
    kind = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f"}[type_]
    assert struct.pack(f">{len(words)}H", *ordered) == struct.pack(f">{kind}", value)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([1, 2]), st.integers(0, 400)), st.integers(0, 65535), max_size=150
    )
)
def test_any_registers(cells: dict[tuple[int, int], int]) -> None:
    """However registers lie, each reading gets its own, and no request asks for too many."""
    if not cells:
        return
    with SimClock() as clock:
        backend = SimBackend(clock)
        units = ModbusUnits()
        units.holding = {address: address ^ 0x5555 for address in range(401)}
        backend.port("rs485").plug(units)
        readings = {
            f"u{unit_id}_a{address}": Register(address=address, unit_id=unit_id)
            for unit_id, address in cells
        }
        port = backend.serial_port(PortAddress("rs485", "/dev/ttyUSB0"))
        device = ModbusRTU("meter", port=port, readings=readings)
        device.connect()
        device.poll()
        device.disconnect()
        for unit_id, address in cells:
            assert device.readings[f"u{unit_id}_a{address}"].value == address ^ 0x5555


def test_nothing_to_do(port: SerialPort) -> None:
    """A device without a reading and an output is refused."""
    with pytest.raises(ConfigError, match="there is nothing to do"):
        ModbusRTU("meter", port=port)


@pytest.mark.parametrize("safe", [0.5, 70_000])
def test_wrong_safe_value(port: SerialPort, safe: float) -> None:
    """A safe value that the register cannot hold is refused."""
    outputs = {"speed": OutputRegister(address=0, safe=safe)}
    with pytest.raises(ConfigError, match=r"outputs\.speed: safe="):
        ModbusRTU("meter", port=port, outputs=outputs)


def test_missing_package(port: SerialPort, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pymodbus the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "pymodbus.framer", None)
    with pytest.raises(ConfigError, match=r"meter: .*edgekernel\[modbus\]"):
        ModbusRTU("meter", port=port, readings={"power": Register(address=4)})

"""Modbus RTU: meters, inverters, relay boxes and controllers on a serial line, often RS-485.

Sections are those of the MODBUS Application Protocol Specification V1.1b3 ("protocol") and of
MODBUS over Serial Line V1.02 ("line"). Frames are made and read by pymodbus.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval, Unit

from edgekernel import (
    ConfigError,
    Device,
    InvalidValueError,
    Output,
    Quality,
    Reading,
    ReadingSettings,
    UnavailableError,
)
from edgekernel.hal import LastingPort, Parity, Rs485, SerialPort
from edgekernel_devices._modbus_units import ModbusUnits

if TYPE_CHECKING:
    from pymodbus.pdu import ModbusPDU

Kind = Literal["holding", "input", "coil", "discrete"]
UnitId = Annotated[int, Interval(ge=1, le=247)]  # line, section 2.2
ValueClass = type[bool] | type[int] | type[float]

_READ = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}  # protocol, section 6
_MOST = {"coil": 2000, "discrete": 2000, "holding": 125, "input": 125}  # in one request
_FORMATS = {"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "float32": ">f"}
_EXCEPTIONS = {  # protocol, section 7
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
_SHORTEST = 5  # bytes of an exception response; no response is shorter
_WRITE_RESPONSE = 8
_SILENT_BYTES, _SILENT_S = 3.5, 0.00175  # between frames, line section 2.5.1.1; above 19200 baud


class ModbusExceptionError(Exception):
    """A unit has answered that it does not do what it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Register(ReadingSettings):
    """A reading from one register, or two of them, or from one bit.

    `address` counts from 0, as on the line; manuals that count from 1, or write 40001, mean one
    less. A value is what the registers hold times `scale`.
    """

    address: Annotated[int, Interval(ge=0, le=65535)]
    kind: Kind = "holding"
    type: Literal["int16", "uint16", "int32", "uint32", "float32"] = "uint16"
    word_order: Literal["big", "little"] = "big"
    scale: float = 1.0
    unit_id: UnitId | None = None

    @property
    def is_bit(self) -> bool:
        """Whether it is a coil or a discrete input."""
        return self.kind in ("coil", "discrete")

    @property
    def count(self) -> int:
        """How many registers, or bits, it takes."""
        return 2 if not self.is_bit and self.type.endswith("32") else 1

    @property
    def value_class(self) -> ValueClass:
        """The class of its values."""
        if self.is_bit:
            return bool
        return float if self.type == "float32" or self.scale != 1 else int

    @property
    def limits(self) -> tuple[float, float] | None:
        """The least and the greatest value that it holds; None for any."""
        if self.is_bit or self.type == "float32":
            return None
        size = 2 ** (16 * self.count)
        low = 0 if self.type.startswith("u") else -size // 2
        ends = sorted((low * self.scale, (low + size - 1) * self.scale))
        return ends[0], ends[1]

    def decode(self, words: list[int]) -> float:
        """Make a value of the registers, or of the bit."""
        if self.is_bit:
            return bool(words[0])
        ordered = words if self.word_order == "big" else words[::-1]
        (raw,) = struct.unpack(_FORMATS[self.type], struct.pack(f">{self.count}H", *ordered))
        return raw * self.scale if self.scale != 1 else raw  # type: ignore[no-any-return]

    def encode(self, value: float) -> list[int]:
        """Make registers of a value. Raises InvalidValueError for one that they cannot hold."""
        raw = value / self.scale
        try:
            data = struct.pack(_FORMATS[self.type], raw if self.type == "float32" else round(raw))
        except (struct.error, OverflowError, ValueError):
            raise InvalidValueError(f"{value} does not fit into {self.type}") from None
        words = list(struct.unpack(f">{self.count}H", data))
        return words if self.word_order == "big" else words[::-1]


@dataclass(frozen=True, kw_only=True)
class OutputRegister(Register):
    """An output to a holding register or a coil; `safe` is its safe value, "none" for none."""

    safe: bool | float | Literal["none"]
    kind: Literal["holding", "coil"] = "holding"


class _Block:
    """Neighbouring registers of one unit that are read with one request."""

    def __init__(self, register: Register, told: Reading[Any] | Output[Any] | None = None) -> None:
        self.unit_id, self.kind = register.unit_id or 0, register.kind
        self.address, self.count = register.address, register.count
        self._members = [(register, told)]

    def take(self, register: Register, told: Reading[Any] | Output[Any] | None) -> bool:
        """Take one more in, in the order of addresses; say whether it is a neighbour."""
        count = max(self.count, register.address + register.count - self.address)
        same = (register.unit_id, register.kind) == (self.unit_id, self.kind)
        if not same or register.address > self.address + self.count or count > _MOST[self.kind]:
            return False
        self.count = count
        self._members.append((register, told))
        return True

    def __str__(self) -> str:
        last = f" to {self.address + self.count - 1}" if self.count > 1 else ""
        return f"unit {self.unit_id}, {self.kind} {self.address}{last}"

    def report(self, words: list[int]) -> None:
        """Update the readings from what was read, and readbacks that say something else."""
        for register, told in self._members:
            start = register.address - self.address
            value = register.decode(words[start : start + register.count])
            if isinstance(told, Reading):
                told.update(value)
            elif told is not None and not _says(told.readback, value):
                _read_again(told)

    def fail(self, reason: str) -> None:
        """Say of each reading and readback that it could not be read."""
        for _, told in self._members:
            if told is not None:
                (told if isinstance(told, Reading) else told.readback).fail(reason)


def _says(readback: Reading[Any], value: float) -> bool:
    sample = readback.peek_sample()
    return sample.quality is not Quality.BAD and sample.value == value


def _read_again(output: Output[Any]) -> None:
    """Read one output while nobody writes it: what a poll has read may be older than a write."""
    try:
        output.read_again()
    except UnavailableError:
        return  # its readback is BAD, and says why


class ModbusRTU(Device):
    """Units that speak Modbus RTU on one serial line.

    Wiring: for RS-485 an adapter on USB or on a UART; A to A, B to B, ground to ground, 120 Ω at
    both ends of a long line.

    `port` is the serial port; `baudrate`, `parity`, `stop_bits` are those of the units (19200 and
    even parity unless their manual says otherwise: line, section 3.3). `rs485` switches the
    direction by RTS, for ports whose driver in the kernel can; most adapters need none.
    `unit_id` (1 to 247) is the unit that is meant where a register says no other: several units
    on one line are one device. An answer may take `timeout` seconds; without one, or with a wrong
    CRC, a request is repeated `retries` times.

    Each of `readings` is a Register and each of `outputs` an OutputRegister:

        readings = { voltage = { address = 0, kind = "input", type = "float32", unit = "V" } }
        outputs = { fan = { address = 3, kind = "coil", safe = false } }

    `kind` is "holding", "input", "coil" or "discrete"; `type` "int16", "uint16", "int32",
    "uint32" or "float32", with `word_order` "big" (the high register first) or "little"; `scale`
    multiplies. Neighbouring registers are read with one request, those of outputs too: a readback
    is what the unit has, whoever wrote it. What a unit refuses is BAD, with the name of its
    exception; the device is offline when no unit answers.
    """

    simulated: ClassVar[type[ModbusUnits]] = ModbusUnits

    def __init__(
        self,
        id: str,
        *,
        port: SerialPort,
        readings: dict[str, Register] | None = None,
        outputs: dict[str, OutputRegister] | None = None,
        unit_id: UnitId = 1,
        baudrate: Annotated[int, Gt(0)] = 19200,
        parity: Literal["none", "even", "odd"] = "even",
        stop_bits: Literal[1, 2] = 1,
        rs485: bool = False,
        timeout: Annotated[float, Unit("s"), Gt(0)] = 0.5,
        retries: Annotated[int, Ge(0)] = 1,
    ) -> None:
        super().__init__(id)
        self._frames = _Frames(id)
        self._port = LastingPort(
            port,
            baudrate,
            timeout,
            parity=Parity(parity),
            stop_bits=stop_bits,
            rs485=Rs485() if rs485 else None,
        )
        self._timeout_s = timeout
        self._retries = retries
        bits = 9 + stop_bits + (parity != "none")
        self._silence_s = _SILENT_S if baudrate > 19200 else _SILENT_BYTES * bits / baudrate
        self._quiet_at_s = 0.0
        members: list[tuple[Register, Reading[Any] | Output[Any]]] = []
        for name, wanted in (readings or {}).items():
            register = replace(wanted, unit_id=wanted.unit_id or unit_id)
            members.append((register, self.add_reading(name, register.value_class, register)))
        for name, driven in (outputs or {}).items():
            driven = replace(driven, unit_id=driven.unit_id or unit_id)
            members.append((driven, self._add_output(name, driven)))
        if not members:
            raise ConfigError("readings: neither a reading nor an output: there is nothing to do")
        self._blocks = _blocks(members)

    def connect(self) -> None:
        """Open the port."""
        self._line = self.clock.Lock()  # outputs are set by any thread, while another one polls
        self._port.open()

    def disconnect(self) -> None:
        """Close the port."""
        self._port.close()

    def poll(self) -> None:
        """Read every register."""
        answered = False
        silent: dict[int, OSError] = {}
        for block in self._blocks:
            try:
                if block.unit_id in silent:
                    raise silent[block.unit_id]
                block.report(self._read(block))
                answered = True
            except ModbusExceptionError as refusal:
                block.fail(str(refusal))
                answered = True
            except OSError as error:
                silent[block.unit_id] = error
                block.fail(str(error))
        if silent and not answered:
            raise next(iter(silent.values()))

    def _add_output(self, name: str, register: OutputRegister) -> Output[Any]:
        block, kind, safe = _Block(register), register.value_class, register.safe
        if safe != "none" and kind(safe) == safe:
            safe = kind(safe)  # 0.0 for an integer

        def drive(value: Any) -> Any:
            words = [value] if register.is_bit else register.encode(value)
            self._transact(self._frames.write(block, words), f"{block} ({name})")
            return read()

        def read() -> Any:
            return register.decode(self._read(block))

        shown = replace(register, range=register.range or register.limits)
        safe_value: Any = None if safe == "none" else safe
        return self.add_output(name, kind, shown, safe=safe_value, drive=drive, read=read)

    def _read(self, block: _Block) -> list[int]:
        answer = self._transact(self._frames.read(block), str(block))
        values = answer.bits if block.kind in ("coil", "discrete") else answer.registers
        if len(values) < block.count:
            raise OSError(
                f"{self._port.name}, {block}: {len(values)} values instead of {block.count}"
            )
        return [int(value) for value in values]

    def _transact(self, request: "ModbusPDU", what: str) -> "ModbusPDU":
        """Send a request until it is answered; return the answer, unless it is an exception."""
        with self._line:
            answer = self._repeat(request, f"{self._port.name}, {what}")
        code = answer.exception_code
        if code:
            raise ModbusExceptionError(f"{what}: exception {code} ({_EXCEPTIONS.get(code, '?')})")
        return answer

    def _repeat(self, request: "ModbusPDU", place: str) -> "ModbusPDU":
        """Send a request until it is answered, but not for ever."""
        for _ in range(self._retries):
            try:
                with self._port.in_use() as port:
                    return self._exchange(port, request, place)
            except TimeoutError:  # no answer, or a damaged one
                continue
        with self._port.in_use() as port:
            return self._exchange(port, request, place)

    def _exchange(self, port: SerialPort, request: "ModbusPDU", place: str) -> "ModbusPDU":
        """Send one request and return the answer. Raises TimeoutError without a whole one."""
        self.clock.sleep(max(0.0, self._quiet_at_s - self.clock.monotonic()))
        port.discard_input()
        port.write(self._frames.encode(request))
        port.flush()
        received = port.read(_SHORTEST)
        received += port.read(max(0, _length(received) - len(received)))
        self._quiet_at_s = self.clock.monotonic() + self._silence_s
        if not received:
            raise TimeoutError(
                f"{place}: no answer within {self._timeout_s:g} s; check unit id, speed, parity, "
                "and whether A and B are swapped"
            )
        answer = self._frames.decode(received, request)
        if answer is None:
            raise TimeoutError(
                f"{place}: wrong CRC, or no answer to this request: {received.hex(' ')}"
            )
        return answer


class _Frames:
    """Requests and answers as bytes, by pymodbus: loaded when a device is made."""

    def __init__(self, device: str) -> None:
        try:
            from pymodbus.exceptions import ModbusException
            from pymodbus.framer import FramerRTU
            from pymodbus.pdu import DecodePDU, bit_message, register_message
        except ImportError as error:
            raise ConfigError(
                f"{device}: modbus_rtu needs the Python package pymodbus ({error}); "
                "install it with: pip install 'edgekernel[modbus]'"
            ) from error
        self._framer = FramerRTU(DecodePDU(False))
        self._bits, self._registers = bit_message, register_message
        self._undecodable = ModbusException

    def read(self, block: _Block) -> "ModbusPDU":
        """Return the request that reads a block."""
        make = {
            "coil": self._bits.ReadCoilsRequest,
            "discrete": self._bits.ReadDiscreteInputsRequest,
            "holding": self._registers.ReadHoldingRegistersRequest,
            "input": self._registers.ReadInputRegistersRequest,
        }[block.kind]
        return make(dev_id=block.unit_id, address=block.address, count=block.count)

    def write(self, block: _Block, words: list[int]) -> "ModbusPDU":
        """Return the request that writes a coil, a register, or several of these."""
        if block.kind == "coil":
            return self._bits.WriteSingleCoilRequest(
                dev_id=block.unit_id, address=block.address, bits=[bool(words[0])]
            )
        many = self._registers.WriteMultipleRegistersRequest
        one = self._registers.WriteSingleRegisterRequest
        return (one if len(words) == 1 else many)(
            dev_id=block.unit_id, address=block.address, registers=words
        )

    def encode(self, request: "ModbusPDU") -> bytes:
        """Return a frame with its CRC."""
        return self._framer.buildFrame(request)

    def decode(self, frame: bytes, request: "ModbusPDU") -> "ModbusPDU | None":
        """Return what a frame answers to a request; None if it is damaged or answers another."""
        try:
            _, answer = self._framer.handleFrame(frame, request.dev_id, 0)
        except self._undecodable:
            return None
        if answer is None or answer.function_code & 0x7F != request.function_code:
            return None
        return answer


def _length(begun: bytes) -> int:
    """Return how long an answer is of which the first bytes are there (protocol, section 6)."""
    if len(begun) < _SHORTEST or begun[1] & 0x80:
        return _SHORTEST
    return _WRITE_RESPONSE if begun[1] in (5, 6, 15, 16) else 5 + begun[2]


def _blocks(members: Iterable[tuple[Register, Reading[Any] | Output[Any]]]) -> list[_Block]:
    """Put neighbours together, as many as one request may read."""
    blocks: list[_Block] = []
    for register, told in sorted(members, key=lambda member: _place(member[0])):
        if not blocks or not blocks[-1].take(register, told):
            blocks.append(_Block(register, told))
    return blocks


def _place(register: Register) -> tuple[int, str, int]:
    return register.unit_id or 0, register.kind, register.address

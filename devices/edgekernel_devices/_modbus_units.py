"""Simulated Modbus RTU units, and the CRC of their frames.

Sections are those of the MODBUS Application Protocol Specification V1.1b3 ("protocol") and of
MODBUS over Serial Line V1.02 ("line").
"""

import struct

_SILENT_S = 0.00175  # between frames at more than 19200 baud, line section 2.5.1.1


class ModbusUnits:
    """Simulated units on a line, at byte level: they answer to every unit id, or to `unit_ids`.

    What they hold is in `holding` and `input` (16-bit numbers by address), `coil` and `discrete`
    (bits by address); what was never set is 0. Beyond `last_address` there is nothing. Set
    `silent` for units that do not answer, `exception` (1 to 11) for such that refuse everything,
    `delay_s` for how long an answer takes.
    """

    def __init__(self) -> None:
        self.holding: dict[int, int] = {}
        self.input: dict[int, int] = {}
        self.coil: dict[int, int] = {}
        self.discrete: dict[int, int] = {}
        self.unit_ids: set[int] | None = None
        self.last_address = 65535
        self.silent = False
        self.exception = 0
        self.delay_s = 0.005
        self.requests = 0
        self._request = b""
        self._heard_s = 0.0
        self._answers: list[tuple[float, bytes]] = []

    def received(self, data: bytes, now_s: float) -> None:
        """Take bytes; a silence begins a new frame."""
        if now_s - self._heard_s > _SILENT_S:
            self._request = b""
        self._heard_s = now_s
        self._request += data
        length = self._length()
        if 0 < length <= len(self._request):
            request, self._request = self._request[:length], b""
            self._hear(request, now_s)

    def due(self, now_s: float) -> bytes:
        """Return the answers whose time has come."""
        due = [answer for at_s, answer in self._answers if at_s <= now_s]
        self._answers = self._answers[len(due) :]
        return b"".join(due)

    def _length(self) -> int:
        """Return how long the request is; 0 if that cannot be told yet."""
        if len(self._request) < 7:
            return 0
        return 9 + self._request[6] if self._request[1] in (15, 16) else 8

    def _hear(self, request: bytes, now_s: float) -> None:
        unit_id, content = request[0], request[:-2]
        ours = self.unit_ids is None or unit_id in self.unit_ids
        if self.silent or not ours or crc16(content) != request[-2:]:
            return
        self.requests += 1
        function = request[1]
        try:
            if self.exception:
                raise _RefusalError(self.exception)
            answer = bytes([function]) + self._carry_out(function, request[2:-2])
        except _RefusalError as refusal:
            answer = bytes([function | 0x80, refusal.code])
        frame = bytes([unit_id]) + answer
        self._answers.append((now_s + self.delay_s, frame + crc16(frame)))

    def _carry_out(self, function: int, data: bytes) -> bytes:
        address, count = struct.unpack(">HH", data[:4])
        if function in (1, 2):
            bits = self._cells((self.coil, self.discrete)[function - 1], address, count)
            return _packed([int(bool(bit)) for bit in bits])
        if function in (3, 4):
            words = self._cells((self.holding, self.input)[function - 3], address, count)
            return bytes([2 * count]) + struct.pack(f">{count}H", *words)
        if function in (5, 6):
            (self.coil if function == 5 else self.holding)[self._known(address, 1)] = count
            return data
        if function == 16:
            self._known(address, count)
            written = struct.unpack(f">{count}H", data[5:])
            self.holding.update(zip(range(address, address + count), written, strict=True))
            return data[:4]
        raise _RefusalError(1)

    def _cells(self, table: dict[int, int], address: int, count: int) -> list[int]:
        self._known(address, count)
        return [table.get(each, 0) for each in range(address, address + count)]

    def _known(self, address: int, count: int) -> int:
        if address + count - 1 > self.last_address:
            raise _RefusalError(2)
        return address


class _RefusalError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _packed(bits: list[int]) -> bytes:
    """Return bits as the protocol does: a byte count, the first bit lowest (section 6.1)."""
    number = sum(bit << index for index, bit in enumerate(bits))
    length = (len(bits) + 7) // 8
    return bytes([length]) + number.to_bytes(length, "little")


def crc16(data: bytes) -> bytes:
    """Return the CRC of a frame, low byte first (line, appendix B)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")

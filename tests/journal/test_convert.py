"""What a runtime has, as records; the rest of it is shown by the tests of `part`."""

from __future__ import annotations

from edgekernel.backends.recording import LineEdge, Transaction
from edgekernel.hal import Edge, Pull
from edgekernel.journal.convert import as_record
from edgekernel.journal.records import BusRecord, EdgeRecord, OpaqueRecord
from tests.journal.records import event


def test_transaction() -> None:
    """A transaction keeps its arguments, those given by name last, and its result."""
    args, options = (9600, Pull.UP), {"stop_bits": 2}
    call = Transaction(5, 6, "serial", "uart0", "open", args, options, bytearray(b"x"), None, "", 7)
    assert as_record(call) == BusRecord(
        5, 6, "serial", "uart0", "open", [9600, "up", {"stop_bits": 2}], b"x", None, "", 7
    )


def test_error_without_addresses() -> None:
    """The words of an error tell of no place in memory."""
    call = Transaction(5, 6, "i2c", "i2c1", "read", (1,), {}, None, "OSError", f"{object()}", 0)
    record = as_record(call)
    assert isinstance(record, BusRecord)
    assert record.text == "<object object at 0x...>"


def test_edge() -> None:
    """An edge keeps when it was seen, as how late it was told."""
    assert as_record(LineEdge(50, 60, "GPIO17", Edge(True, 42))) == EdgeRecord(
        50, 60, "GPIO17", True, 8
    )


def test_record_stays() -> None:
    """What is a record already stays one."""
    assert as_record(event(1)) == event(1)


def test_never_raises() -> None:
    """What cannot be made a record is opaque, and says why."""
    broken = Transaction(5, 6, "i2c", "i2c1", "read", 7, {}, None, None, "", 0)  # type: ignore[arg-type]
    record = as_record(broken)
    assert isinstance(record, OpaqueRecord)
    assert (record.of_type, record.time_ns) == ("Transaction", 6)
    assert "TypeError" in record.reason

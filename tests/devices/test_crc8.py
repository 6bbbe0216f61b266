from edgekernel_devices._crc8 import crc8
from hypothesis import given
from hypothesis import strategies as st


def test_published_example() -> None:
    """The checksum of the datasheets of Sensirion comes out: that of 0xBEEF is 0x92."""
    assert crc8(b"\xbe\xef") == 0x92


@given(st.binary(min_size=1, max_size=6), st.integers(0, 55))
def test_detects_every_wrong_bit(data: bytes, bit: int) -> None:
    """Data with its checksum gives 0, and with any one bit wrong something else."""
    sent = data + bytes([crc8(data)])
    assert crc8(sent) == 0
    wrong = int.from_bytes(sent) ^ 1 << bit % (8 * len(sent))
    assert crc8(wrong.to_bytes(len(sent))) != 0


def test_dead_line_is_no_data() -> None:
    """A data line that is stuck low or high carries no valid word, nor an AHT20's answer."""
    for length in (3, 7):
        assert crc8(bytes(length)) != 0
        assert crc8(b"\xff" * length) != 0

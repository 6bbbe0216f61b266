"""The checksum behind the data of several sensors."""


def crc8(data: bytes) -> int:
    """Return the CRC-8 with the polynomial x⁸ + x⁵ + x⁴ + 1 (0x31) that begins with 0xFF.

    Over data followed by its checksum it is 0.
    """
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ (0x31 if crc & 0x80 else 0)) & 0xFF
    return crc

"""The pseudorandom numbers that the published graphs were drawn with.

The seed text is hashed with MurmurHash3, whose mixed state seeds four 32-bit words of sfc32 (the
small fast counter of PractRand).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_MASK = 0xFFFF_FFFF


def _rotated(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & _MASK


def hashes(text: str) -> Iterator[int]:
    """Yield 32-bit words from MurmurHash3 of a text, one character as one block."""
    state = 0x811C_9DC5  # the offset basis of FNV
    for character in text:
        block = _rotated(ord(character) * 0xCC9E_2D51 & _MASK, 15)
        state = _rotated(state ^ block * 0x1B87_3593 & _MASK, 13)
        state = state * 5 + 0xE654_6B64 & _MASK
    state ^= len(text)
    while True:
        state = (state ^ state >> 16) * 0x85EB_CA6B & _MASK
        state = (state ^ state >> 13) * 0xC2B2_AE35 & _MASK
        state ^= state >> 16
        yield state


def pseudorandom(seed: str = "seed") -> Callable[[], float]:
    """Return a function that draws numbers from [0, 1)."""
    words = hashes(seed)
    a, b, c, counter = (next(words) for _ in range(4))

    def draw() -> float:
        nonlocal a, b, c, counter
        drawn = a + b + counter + 1 & _MASK
        counter = counter + 1 & _MASK
        a = b ^ b >> 9
        b = c + (c << 3) & _MASK
        c = _rotated(c, 21) + drawn & _MASK
        return drawn / 2**32

    return draw

"""CRC-32C, held against published values and a plain loop over bits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.ranking.crc32c import BLOCK, crc32c, masked


@pytest.mark.parametrize(  # RFC 3720, B.4, and the check value of the catalogues
    ("data", "expected"),
    [
        (b"", 0),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ],
)
def test_published_values(data: bytes, expected: int):
    assert crc32c(data) == expected


def plain(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.binary(max_size=20), st.integers(0, 5) | st.integers(BLOCK - 10, BLOCK + 10))
def test_any_length_is_as_by_the_bit(end: bytes, length: int):
    data = bytes(number * 37 % 251 for number in range(length)) + end
    assert crc32c(data) == plain(data)


def test_the_mask_is_that_of_tensorflow():
    crc = plain(b"fairdarts")
    assert masked(b"fairdarts") == ((crc >> 15 | crc << 17) % 2**32 + 0xA282EAD8) % 2**32

"""The checksum of TFRecords: CRC-32C (RFC 3720, B.4), fast enough for hundreds of megabytes."""

from functools import cache

import numpy as np

BLOCK = 1024
"""bytes that are looked up at once"""


def masked(data: bytes) -> int:
    """The checksum of bytes as TFRecords hold it: rotated, so that no data holds checksums of itself."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C. A block's is the exclusive or of what each of its bytes does to it, by its distance from the end."""
    table, places = _table()
    crc = 0xFFFFFFFF
    for begin in range(0, len(data), BLOCK):
        block = np.frombuffer(data, np.uint8, min(BLOCK, len(data) - begin), begin).astype(np.intp)
        first = min(4, len(block))
        block[:first] ^= np.frombuffer(crc.to_bytes(4, "little"), np.uint8)[:first]
        crc = crc >> 8 * first ^ int(np.bitwise_xor.reduce(table[places[-len(block) :] + block]))
    return crc ^ 0xFFFFFFFF


@cache
def _table() -> tuple[np.ndarray, np.ndarray]:
    """(what a byte does to a checksum with so many bytes behind it [BLOCK · 256], where a byte's entries begin)."""
    row = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        row = row >> 1 ^ np.where(row & 1, np.uint32(0x82F63B78), np.uint32(0))
    rows = [row]
    while len(rows) < BLOCK:
        rows.append(rows[-1] >> 8 ^ row[rows[-1] & 0xFF])
    return np.concatenate(rows), np.arange(BLOCK - 1, -1, -1) * 256

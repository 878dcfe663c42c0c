"""Writes NAS-Bench-101's files as its authors do: protobuf in base64 in JSON in TFRecords."""

import base64
import json
import struct
from collections.abc import Iterable

from fairdarts.ranking.crc32c import masked

Field = tuple[int, int | float | bytes]
"""number and value: an integer is a varint, a float a double, bytes are those of a text or a message"""


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def message(fields: Iterable[Field]) -> bytes:
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        elif isinstance(value, float):
            parts.append(varint(number << 3 | 1) + struct.pack("<d", value))
        else:
            parts.append(varint(number << 3 | 2) + varint(len(value)) + value)
    return b"".join(parts)


def metrics(evaluations: Iterable[tuple[float, float]]) -> bytes:
    """ModelMetrics of evaluations, each a validation and a test accuracy."""
    each = [
        (1, message([(1, 54.0), (2, 9.5), (3, 1.0), (4, valid), (5, test), (6, b"gs://ckpt")]))
        for valid, test in evaluations
    ]
    return message([*each, (2, 2_694_282), (3, 1157.675)])


def record(content: object) -> bytes:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return b"".join(part + struct.pack("<I", masked(part)) for part in (struct.pack("<Q", len(data)), data))


def training(cell: str, epochs: int, adjacency: str, operations: str, evaluations: Iterable) -> bytes:
    """A record of a training, its base64 in lines of 76 characters."""
    return record([cell, epochs, adjacency, operations, base64.encodebytes(metrics(evaluations)).decode()])

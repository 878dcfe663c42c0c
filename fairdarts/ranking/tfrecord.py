"""The records of NAS-Bench-101's own files (arXiv:1902.09635), read as data, without TensorFlow or protobuf.

A file is TFRecords: the length of the data as a little-endian uint64, a uint32 checksum of the length, the data, a
uint32 checksum of the data. The data of a record is a JSON list: hash of the cell, epochs of its training, adjacency
matrix as a text of 0 and 1, row by row, operations between commas, and metrics, in base64 a protobuf message:

    ModelMetrics    1 repeated EvaluationData, 2 trainable parameters, 3 time of the training
    EvaluationData  1 epoch, 2 time, 3 train, 4 validation and 5 test accuracy (doubles, as shares), 6 checkpoint
"""

import base64
import binascii
import json
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fairdarts.config import UserError
from fairdarts.ranking.crc32c import masked
from fairdarts.reading import open_regular

ACCURACIES = {"validation_accuracy": 4, "test_accuracy": 5}
"""name of an accuracy → its field in EvaluationData"""

VARINT, DOUBLE, LENGTH, FLOAT = 0, 1, 2, 5
"""wire types of protobuf: how a field is written"""


class Training(NamedTuple):
    """A training of a cell."""

    place: str
    """file and number of the record, from 1"""
    cell: str
    """the benchmark's hash of the cell"""
    epochs: int
    """for how long it was trained"""
    matrix: tuple[tuple[int, ...], ...]
    """adjacency, [from][to]"""
    operations: tuple[str, ...]
    """of all vertices, input and output too"""
    accuracy: float
    """of the last evaluation, as a share"""


def trainings(path: Path, column: str, epochs: int) -> Iterator[Training]:
    """The trainings of so many epochs in a file, with the accuracy of that name.

    Raises UserError naming file and record, and what is wrong with it.
    """
    for place, data in records(path):
        try:
            content = json.loads(data)
        except (ValueError, RecursionError):
            raise UserError(f"{place}: should be JSON") from None
        match content:
            case [str(cell), int(length), str(adjacency), str(operations), str(metrics)]:
                if length == epochs:
                    names = tuple(operations.split(","))
                    matrix = _matrix(adjacency, len(names), place)
                    yield Training(place, cell, length, matrix, names, _accuracy(metrics, column, place))
            case _:
                form = "[hash, epochs, adjacency, operations, metrics]"
                raise UserError(f"{place}: should be a list {form}, one number among texts")


def is_tfrecord(path: Path) -> bool:
    """Whether a file begins as one of TFRecords does: with a length of less than 4 GB, which no text does."""
    try:
        with open_regular(path) as file:
            head = file.read(8)
    except OSError:
        return False
    return len(head) == 8 and head[4:] == bytes(4)


def records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Place and data of every record. Raises UserError where the file is cut off, damaged, or cannot be read."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            number = 0
            while file.tell() < size:
                number += 1
                place = f"{path}, record {number}"
                (length,) = struct.unpack("<Q", _checked(_taken(file, 12, size, place), place))
                yield place, _checked(_taken(file, length + 4, size, place), place)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _taken(file: BinaryIO, length: int, size: int, place: str) -> bytes:
    left = size - file.tell()
    if length > left:
        raise UserError(f"{place}: is cut off: {left} bytes are left, should be {length}")
    return file.read(length)


def _checked(data: bytes, place: str) -> bytes:
    """The data before its checksum."""
    content, (checksum,) = data[:-4], struct.unpack("<I", data[-4:])
    if masked(content) != checksum:
        raise UserError(f"{place}: is damaged: its checksum is that of other data")
    return content


def _matrix(text: str, vertices: int, place: str) -> tuple[tuple[int, ...], ...]:
    if len(text) != vertices**2 or set(text) - {"0", "1"}:
        raise UserError(f"{place}: adjacency: should be {vertices}² digits 0 or 1, for {vertices} operations")
    return tuple(tuple(map(int, text[row * vertices : (row + 1) * vertices])) for row in range(vertices))


def _accuracy(metrics: str, column: str, place: str) -> float:
    """That of the last evaluation."""
    try:
        message = base64.b64decode("".join(metrics.split()), validate=True)
    except (binascii.Error, ValueError):
        raise UserError(f"{place}: metrics: should be base64") from None
    try:
        evaluations = _values(message, 1, LENGTH) or [b""]
        values = _values(evaluations[-1], ACCURACIES[column], DOUBLE)
    except ValueError as error:
        raise UserError(f"{place}: metrics: not a protobuf message: {error}") from None
    if not values:
        raise UserError(f"{place}: metrics: no {column} of a last evaluation")
    (accuracy,) = struct.unpack("<d", values[-1])
    if not math.isfinite(accuracy):
        raise UserError(f"{place}: metrics: {column}: {accuracy}: should be a number")
    return accuracy


def _values(message: bytes, number: int, kind: int) -> list[bytes]:
    """The bytes of all fields of this number and wire type."""
    return [value for *field, value in fields(message) if field == [number, kind] and isinstance(value, bytes)]


def fields(message: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of every field of a protobuf message, in their order.

    The value of a varint is an integer, any other the bytes that it has. Raises ValueError saying what is wrong.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield number, kind, value
            continue
        if kind == LENGTH:
            length, at = _varint(message, at)
        elif kind in (DOUBLE, FLOAT):
            length = 8 if kind == DOUBLE else 4
        else:
            raise ValueError(f"field {number} is of unknown wire type {kind}")
        if at + length > len(message):
            raise ValueError(f"field {number} is cut off")
        yield number, kind, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("an integer is cut off")
        byte, at = message[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise ValueError("an integer is longer than 10 bytes")

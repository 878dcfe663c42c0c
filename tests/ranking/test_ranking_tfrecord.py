"""NAS-Bench-101's own records: what is written is read, and every mistake ends in one line."""

import base64
import struct
from pathlib import Path

import pytest
from bench101_records import message, metrics, record, training, varint
from damage import flipped, outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.ranking.crc32c import masked
from fairdarts.ranking.tfrecord import Training, fields, is_tfrecord, records, trainings

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
DOUBLES = st.floats(allow_nan=False)
ACCURACIES = st.floats(0, 1)
FIELDS = st.lists(
    st.tuples(st.integers(1, 2**29 - 1), st.integers(0, 2**64 - 1) | DOUBLES | st.binary(max_size=300)), max_size=8
)


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "n.tfrecord"
    path.write_bytes(content)
    return path


def refusal(tmp_path: Path, content: bytes) -> str:
    """The error that the content ends in, after the folder."""
    with pytest.raises(UserError) as refused:
        list(trainings(written(tmp_path, content), "validation_accuracy", 108))
    assert "\n" not in str(refused.value)
    return str(refused.value).removeprefix(f"{tmp_path}/")


@PROPERTY
@given(FIELDS)
def test_fields_round_trip(given: list):
    kinds = {int: 0, float: 1, bytes: 2}
    plain = [(number, kinds[type(value)], value) for number, value in given]
    found = list(fields(message(given)))
    assert [(n, k, struct.unpack("<d", value)[0] if k == 1 else value) for n, k, value in found] == plain


@PROPERTY
@given(FIELDS.filter(bool), st.data())
def test_a_message_that_is_cut_off_is_refused_or_ends_between_fields(given: list, data):
    whole = message(given)
    cut = data.draw(st.integers(0, len(whole) - 1))
    ends = {len(message(given[:number])) for number in range(len(given) + 1)}
    if cut in ends:
        assert len(list(fields(whole[:cut]))) < len(given)
    else:
        with pytest.raises(ValueError, match="cut off"):
            list(fields(whole[:cut]))


def test_fields_of_four_bytes_are_passed_over_and_groups_refused():
    assert list(fields(varint(7 << 3 | 5) + b"abcd" + message([(1, 300)]))) == [(7, 5, b"abcd"), (1, 0, 300)]
    with pytest.raises(ValueError, match="field 7 is of unknown wire type 3"):
        list(fields(varint(7 << 3 | 3)))
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        list(fields(b"\xff" * 11))


@PROPERTY
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_records_round_trip(tmp_path_factory, given: list[bytes]):
    path = written(tmp_path_factory.getbasetemp(), b"".join(map(record, given)))
    assert list(records(path)) == [(f"{path}, record {number}", data) for number, data in enumerate(given, 1)]
    assert is_tfrecord(path) == bool(given)


CELL = st.integers(2, 7).flatmap(
    lambda n: st.tuples(
        st.text("01", min_size=n * n, max_size=n * n),
        st.lists(st.sampled_from(["conv3x3-bn-relu", "maxpool3x3"]), min_size=n - 2, max_size=n - 2),
    )
)


@PROPERTY
@given(
    st.lists(
        st.tuples(st.sampled_from([4, 108]), CELL, st.lists(st.tuples(ACCURACIES, ACCURACIES), min_size=1, max_size=3)),
        max_size=4,
    )
)
def test_trainings_round_trip(tmp_path_factory, given: list):
    """Those of 108 epochs alone, with the accuracy of the last evaluation."""
    names = [",".join(["input", *operations, "output"]) for _, (_, operations), _ in given]
    whole = (
        training(str(number), epochs, digits, names[number], evaluations)
        for number, (epochs, (digits, _), evaluations) in enumerate(given)
    )
    path = written(tmp_path_factory.getbasetemp(), b"".join(whole))
    for column, index in (("validation_accuracy", 0), ("test_accuracy", 1)):
        expected = []
        for number, (epochs, (digits, _), evaluations) in enumerate(given):
            operations = tuple(names[number].split(","))
            n = len(operations)
            matrix = tuple(tuple(int(digits[row * n + column]) for column in range(n)) for row in range(n))
            place = f"{path}, record {number + 1}"
            expected.append(Training(place, str(number), epochs, matrix, operations, evaluations[-1][index]))
        assert list(trainings(path, column, 108)) == [one for one in expected if one.epochs == 108]


def test_what_is_not_known_of_a_message_is_passed_over(tmp_path):
    """Fields of other numbers, and those of the known numbers that are written otherwise; the last one counts."""
    last = message([(4, 7), (9, b"?"), (4, 0.25), (4, 0.5), (4, b"8 bytes!"), (77, 1.0)])
    text = base64.b64encode(message([(1, 3), (8, 1.5), (1, b""), (1, last), (1, 1.0)])).decode()
    path = written(tmp_path, record(["h", 108, "0100", "input,output", text]))
    assert [one.accuracy for one in trainings(path, "validation_accuracy", 108)] == [0.5]


def changed(**changes) -> bytes:
    """A record of a cell of two vertices, but for changes."""
    whole = {
        "hash": "h",
        "epochs": 108,
        "adjacency": "0100",
        "operations": "input,output",
        "metrics": base64.b64encode(metrics([(0.9, 0.8)])).decode(),
    }
    return record([*(whole | changes).values()])


def encoded(content: bytes) -> bytes:
    return changed(metrics=base64.b64encode(content).decode())


FORM = "should be a list [hash, epochs, adjacency, operations, metrics], one number among texts"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed()[:-1], f"1: is cut off: {len(changed()) - 13} bytes are left, should be {len(changed()) - 12}"),
        (changed() + changed()[:5], "2: is cut off: 5 bytes are left, should be 12"),
        (
            changed() + struct.pack("<QI", 2**60, masked(struct.pack("<Q", 2**60))),
            f"2: is cut off: 0 bytes are left, should be {2**60 + 4}",
        ),
        (record(b"\xff"), "1: should be JSON"),
        (record(b"["), "1: should be JSON"),
        (record(b"[" * 100_000), "1: should be JSON"),
        (record({}), f"1: {FORM}"),
        (record(["h", 108, "0100", "input,output"]), f"1: {FORM}"),
        (changed(epochs="108"), f"1: {FORM}"),
        (changed(adjacency="010"), "1: adjacency: should be 2² digits 0 or 1, for 2 operations"),
        (changed(adjacency="0120"), "1: adjacency: should be 2² digits 0 or 1"),
        (changed(operations="input,x,output"), "1: adjacency: should be 3² digits 0 or 1, for 3 operations"),
        (changed(metrics="?"), "1: metrics: should be base64"),
        (changed(metrics="é"), "1: metrics: should be base64"),
        (encoded(metrics([(0.9, 0.8)])[:-1]), "1: metrics: not a protobuf message: field 3 is cut off"),
        (encoded(message([(1, b"\x21abc")])), "1: metrics: not a protobuf message: field 4 is cut off"),
        (encoded(b""), "1: metrics: no validation_accuracy of a last evaluation"),
        (encoded(message([(1, message([(5, 0.5)]))])), "1: metrics: no validation_accuracy of a last evaluation"),
        (encoded(metrics([(float("nan"), 0.5)])), "1: metrics: validation_accuracy: nan: should be a number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_one_line(tmp_path, content: bytes, message: str):
    assert refusal(tmp_path, content).startswith(f"n.tfrecord, record {message}")


def test_a_flipped_bit_is_refused(tmp_path):
    whole = record(["h", 108, "0100", "input,output", "x"]) + record(["g", 4, "0100", "input,output", "y"])
    for content in flipped(whole, 8 * len(whole)):
        path = written(tmp_path, content)
        assert str(outcome(lambda path=path: list(records(path)))).startswith(f"{path}, record ")


def test_what_is_no_file_is_not_opened(pipe: Path):
    assert not is_tfrecord(pipe)
    assert outcome(lambda: list(records(pipe))) == f"{pipe}: not a regular file"


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="none: No such file"):
        list(records(tmp_path / "none"))
    assert not is_tfrecord(tmp_path / "none")
    assert not is_tfrecord(written(tmp_path, b"hash,matrix,ops"))


@PROPERTY
@given(
    st.binary(max_size=60).map(record)
    | st.binary(max_size=60)
    | st.recursive(
        st.none() | st.floats() | st.integers() | st.booleans() | st.text(), lambda part: st.lists(part, max_size=5)
    ).map(record)
    | st.binary(max_size=40).map(encoded)
)
def test_garbage_is_refused_in_one_line(tmp_path_factory, content: bytes):
    path = written(tmp_path_factory.getbasetemp(), content)
    message = ""
    try:
        list(trainings(path, "test_accuracy", 108))
    except UserError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1

"""Latencies: what is run to measure them, and how a user's table is read. No time is asserted."""

import csv
import io
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from one_shot import BENCH, CHAIN, IRREGULAR, SPACES
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.cost import latency
from fairdarts.cost.latency import latency_csv, measure_latency, read_latency
from fairdarts.cost.parts import parts_of
from fairdarts.cost.table import Table
from fairdarts.runtime.shape import ImageSize, Shape
from fairdarts.spaces.space import Space

PROPERTY = settings(derandomize=True, deadline=None)
CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]
TEXT = """point,choice,milliseconds
rest,,0.5
0,skip_connect,0
0,E2K3,1.5
1,skip_connect,2
1,MBE2K3,2.25
1,E1K5,3e-05
2,skip_connect,4
2,MBE2K3,5
2,E1K5,6
3,skip_connect,7
3,E1K3,8
3,E2K3,9
3,MBE1K5,10
3,E2K5,11
"""
TABLE = Table(0.5, ((0, 1.5), (2, 2.25, 3e-05), (4, 5, 6), (7, 8, 9, 10, 11)))


def shape(table: Table) -> list[int]:
    return [len(own) for own in table.choices]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", SPACES)
def test_every_choice_has_its_time(name: str, device: str):
    table = measure_latency(SPACES[name], torch.device(device))
    assert shape(table) == [len(names) for names in SPACES[name].choices]
    numbers = [table.fixed, *(number for own in table.choices for number in own)]
    assert all(type(number) is float and 0 <= number < math.inf for number in numbers)
    assert 0 < table.least <= table.greatest


@pytest.mark.parametrize("batch", [1, 3])
def test_all_distinct_parts_run_for_inference(monkeypatch, batch: int):
    ran: list[tuple[nn.Module, Tensor]] = []

    def note(steps: list[tuple[nn.Module, Tensor]], device: torch.device) -> list[float]:
        assert device == CPU
        assert not torch.is_grad_enabled()
        ran[:] = steps
        return [1.0] * len(steps)

    monkeypatch.setattr(latency, "_round", note)
    measure_latency(CHAIN, CPU, batch)
    parts = parts_of(CHAIN).distinct
    assert [str(module) for module, _ in ran] == [str(part.build(*part.arguments)) for part in parts]
    assert [x.shape for _, x in ran] == [(batch, part.channels, part.size, part.size) for part in parts]
    assert not any(inner.training for module, _ in ran for inner in module.modules())
    four = [tensor for module, x in ran for tensor in (x, *module.parameters()) if tensor.dim() == 4]
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in four)
    assert all(module(x).shape[0] == batch for module, x in ran)


def test_a_time_is_the_median_of_the_rounds_behind_the_first_ones(monkeypatch):
    parts = parts_of(IRREGULAR)
    rounds = iter([*[1e9] * latency.WARM_UP, *range(1, latency.ROUNDS), 1e6])

    def counted(steps: list, _: torch.device) -> list[float]:
        now = next(rounds)
        return [now + number for number, _ in enumerate(steps)]

    monkeypatch.setattr(latency, "_round", counted)
    middle = (latency.ROUNDS + 1) / 2  # of 1, 2, …: the outlier at the end is but one more
    times = {part: middle + number for number, part in enumerate(parts.distinct)}
    assert measure_latency(IRREGULAR, CPU) == Table(
        sum(times[part] for part in parts.fixed),
        tuple(tuple(sum(times[part] for part in own) for own in point) for point in parts.choices),
    )
    assert next(rounds, None) is None


def test_an_operation_of_nas_bench_201_takes_its_time_in_every_cell(monkeypatch):
    monkeypatch.setattr(latency, "_round", lambda steps, device: [1.0] * len(steps))
    assert measure_latency(BENCH, CPU) == Table(4 + 3, ((3.0,) * 5,) * 6)
    twice = measure_latency(BENCH.model_copy(update={"cells": 2}), CPU)
    assert twice == Table(4 + 6, ((6.0,) * 5,) * 6)


def test_images_need_not_be_square(monkeypatch):
    seen = []
    monkeypatch.setattr(latency, "_round", lambda steps, _: seen.append(steps) or [1.0] * len(steps))
    measure_latency(CHAIN, CPU, shape=Shape(ImageSize(8, 15), 1, 3))
    # X=Shape(ImageSize(8, 15), 1, 3))
    assert {tuple(x.shape[2:]) for _, x in seen[0]} == {(8, 15), (4, 8)}


def test_measuring_draws_none_of_the_caller_s_random_numbers():
    torch.manual_seed(0)
    measure_latency(BENCH, CPU)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))


def read(tmp_path, content: str | bytes, space: Space = IRREGULAR) -> Table:
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_latency(path, space)


def test_a_table_by_hand(tmp_path):
    assert read(tmp_path, TEXT) == TABLE
    assert [*csv.reader(io.StringIO(latency_csv(TABLE, IRREGULAR)))] == [*csv.reader(io.StringIO(TEXT))]
    assert TABLE.costs(np.array([[1, 2, 0, 4]])) == [0.5 + 1.5 + 3e-05 + 4 + 11]


def test_order_quotes_empty_lines_and_line_ends_do_not_matter(tmp_path):
    header, *rows = TEXT.replace(",E2K3", ',"E2K3"').replace("rest,,", '"rest", ,').splitlines()
    assert read(tmp_path, "\ufeff" + "\r\n".join(["", header, *reversed(rows), ",,", "", " "])) == TABLE


@PROPERTY
@given(st.data())
@pytest.mark.parametrize("name", SPACES)
def test_what_is_written_is_read_as_it_was(tmp_path_factory, name: str, data: st.DataObject):
    numbers = st.floats(min_value=0, allow_infinity=False)
    table = Table(
        data.draw(numbers), data.draw(st.tuples(*(st.tuples(*[numbers] * len(own)) for own in SPACES[name].choices)))
    )
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_text(latency_csv(table, SPACES[name]))
    assert read_latency(path, SPACES[name]) == table


def refusal(tmp_path, content: str | bytes) -> str:
    """The error that the content ends in, after the folder."""
    with pytest.raises(UserError) as refused:
        read(tmp_path, content)
    return str(refused.value).removeprefix(f"{tmp_path}/")


FORM = "point,choice,milliseconds"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f"t.csv: '': should be {FORM}"),
        ("\n 0,E2K3,1\n", f"t.csv, line 2: '0,E2K3,1': should be {FORM}"),
        (b"\xff", "t.csv: not a text file"),
        (TEXT + '4,"E', "t.csv, line 16: not valid CSV: unexpected end of data"),
        (TEXT.replace("1,E1K5,3e-05", "1,E1K5"), f"t.csv, line 7: 2 fields, should be 3: {FORM}"),
        (TEXT.replace("2.25", "2,25"), f"t.csv, line 6: 4 fields, should be 3: {FORM}"),
        (
            TEXT.replace("MBE2K3,2.25", "MBE2K4,2.25"),
            "t.csv, line 6: choice: 'MBE2K4' is not a choice of point 1 of tiny (did you mean 'MBE2K3'?)",
        ),
        (
            TEXT.replace("0,E2K3", "0,"),
            "t.csv, line 4: choice: '' is not a choice of point 0 of tiny (known: skip_connect, E2K3)",
        ),
        (TEXT.replace("rest,,", "rest,E2K3,"), "t.csv, line 2: choice: 'E2K3': should be empty for rest"),
        (TEXT + "4,E2K3,1\n", "t.csv, line 16: point: '4': should be from 0 to 3 for tiny, or rest"),
        (TEXT + "-1,E2K3,1\n", "t.csv, line 16: point: '-1': should be from 0 to 3 for tiny, or rest"),
        (
            TEXT.replace("0,E2K3", "first,E2K3"),
            "t.csv, line 4: point: 'first': should be from 0 to 3 for tiny, or rest",
        ),
        (TEXT + "3,E2K5,11\n", "t.csv, line 16: point 3, E2K5: stands twice"),
        (TEXT + "rest,,1\n", "t.csv, line 16: rest: stands twice"),
        (TEXT.replace("rest,,0.5\n", ""), "t.csv: has no row for rest: should have 14 for tiny"),
        (TEXT.replace("2,E1K5,6\n", ""), "t.csv: has no row for point 2, E1K5: should have 14 for tiny"),
        (TEXT.partition("3,E1K3")[0], "t.csv: has no row for point 3, E1K3, nor 3 others: should have 14 for tiny"),
        *(
            (TEXT.replace("2.25", word), f"t.csv, line 6: milliseconds: '{word}': should be a number from 0 up")
            for word in ("fast", "", "-1", "nan", "inf", "1e999", "2.25 ms")
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path, content: str | bytes, message: str):
    assert refusal(tmp_path, content) == message


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_latency(tmp_path / "none.csv", CHAIN)


@PROPERTY
@given(
    st.binary()
    | st.lists(st.text("0123rest,E2K'\"\n. ", max_size=20)).map(lambda rows: "\n".join([FORM, *rows]).encode())
)
@example(FORM.encode() + b'\n"a\nb",c,1\n')
@example(FORM.encode() + b"\n" + b"9" * 5000 + b",E2K3,1\n")
@example(FORM.encode() + b"\n" + b"9" * 200_000)
def test_garbage_is_refused_in_one_line(tmp_path_factory, content: bytes):
    folder = tmp_path_factory.getbasetemp()
    assert len(refusal(folder, content).splitlines()) == 1

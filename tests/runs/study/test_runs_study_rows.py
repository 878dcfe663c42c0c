"""Rows that are not run: what is wrong with them is told in one line, before anything runs."""

from pathlib import Path
from typing import Any

import pytest

import fairdarts
from fairdarts.config import UserError
from fairdarts.runs.study.rows import PublishedNumber, published_number


def test_published_numbers_are_read_as_they_are_printed():
    assert published_number("93.23 ± 0.18") == PublishedNumber(93.23, 0.18)
    assert published_number("93.61±0.09") == PublishedNumber(93.61, 0.09)
    assert published_number("54") == PublishedNumber(54.0, None)
    with pytest.raises(ValueError, match="'about 93': should be a number in percent"):
        published_number("about 93")


DARTS = {"name": "darts", "config": "darts-nasbench201-small"}
SPOS = {"name": "spos", "config": "supernet-nasbench201-small"}
STOP = {"name": "plus", "of": "darts", "stopping": {"kind": "skips", "limit": 3}}
SHARP = {"name": "robust", "of": "darts", "stopping": {"kind": "eigenvalue", "window": 1, "ratio": 0.75}}
PAPER = {"name": "paper", "source": "x", "numbers": {"cifar10_test": 93.2}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stopped": [STOP | {"of": "dart"}]}, r"plus: of: 'dart' is no row of runs \(did you mean 'darts'\?\)"),
        ({"stopped": [STOP | {"name": "darts"}]}, "the name 'darts' stands twice"),
        ({"stopped": [STOP | {"derive": {"method": "argmax"}}]}, "plus: should have either stopping or derive"),
        ({"stopped": [{"name": "plus", "of": "darts"}]}, "plus: should have either stopping or derive"),
        ({"stopped": [SHARP]}, r"robust: of: 'darts' records no eigenvalue; give it changes: \{curvature: true\}"),
        ({"stopped": [STOP | {"of": "spos"}]}, "plus: of: 'spos' is of `fairdarts supernet`; should be a row of"),
        ({"stopped": [STOP | {"stopping": None, "derive": {"method": "edge", "threshold": 0.9}}]},
         "s: stopped: plus: derive.method: edge: is for cell spaces"),
        ({"published": [PAPER | {"numbers": {"acc": "many"}}]}, "'many': should be a number in percent"),
        ({"benchmark": "bench.csv"}, r"--benchmarks FOLDER is missing, the folder of bench\.csv"),
        ({"benchmark": ""}, "benchmark: should name a file, or a list of files"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
):
    monkeypatch.chdir(tmp_path)
    content = {"name": "s", "source": "tests", "seeds": [0], "runs": [DARTS, SPOS]}
    with pytest.raises(UserError, match=message):
        fairdarts.study(content | change)
    assert not Path("runs").exists()


def test_the_benchmark_is_looked_for_and_read_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    content = {"name": "s", "source": "tests", "seeds": [0], "runs": [DARTS], "benchmark": "bench.csv"}
    with pytest.raises(UserError, match=r"^bench\.csv: no such file; --benchmarks should be the folder of bench\.csv"):
        fairdarts.study(content, benchmarks=".")
    Path("bench.csv").write_text("arch,cifar10_test200\n012340,91\n")
    with pytest.raises(UserError, match=r"published: paper: cifar10_test: is no column of bench\.csv \(did you mean"):
        fairdarts.study(content | {"published": [PAPER]}, benchmarks=".")
    with pytest.raises(UserError, match=r"--benchmarks: study names no benchmark"):
        fairdarts.study({key: value for key, value in content.items() if key != "benchmark"}, benchmarks=".")
    assert not Path("runs").exists()

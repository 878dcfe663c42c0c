"""The tables of benchmarks/collapse.py say what a study's results.json says, and docs/collapse.md shows them."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairdarts.ranking.compared import summary

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    from collapse import tables
    from skips import by_skips

COLUMN = "cifar10_test200"


def row_of(name: str, truths: list[list[float | None]], **epochs: list[float | None]) -> dict[str, Any]:
    """A row whose seeds 0, 1, … would have derived cells of these truths at their epochs."""
    seeds = [
        {
            "seed": seed,
            "truth": {COLUMN: one[-1]},
            "epochs": {"epoch": [0, 1, 2], "truth": one, **epochs},
            "correlation": -0.5,
        }
        for seed, one in enumerate(truths)
    ]
    ends = [one[-1] for one in truths]
    regrets = [None if end is None else 94.0 - end for end in ends]
    found = {"truth": {COLUMN: summary(ends)._asdict()}, "regret": {COLUMN: summary(regrets)._asdict()}}
    found |= {key: summary([3.0] * len(truths))._asdict() for key in ("skips", "accuracy")}
    return {"name": name, "of": "", "summary": found, "seeds": seeds}


def cells(table: str) -> dict[str, dict[str, str]]:
    """Row → head → cell."""
    heads, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return {row[0]: dict(zip(heads, row, strict=True)) for row in rows}


@pytest.fixture
def result() -> dict[str, Any]:
    numbers = {"mean": {COLUMN: 80.0}, "deviation": {COLUMN: 5.0}, "best": {COLUMN: 94.0}}
    return {
        "table": {"file": "bench.csv", "columns": [COLUMN], "architectures": 2, **numbers},
        "rows": [
            row_of("darts", [[93.0, 92.0, 54.0], [91.0, 90.0, 56.0]], eigenvalue=[None, 0.75, 0.5]),
            row_of("fairdarts", [[90.0, 92.0, 92.0], [80.0, None, None]]),
        ],
        "published": [{"name": "GDAS", "numbers": {COLUMN: [93.61, 0.09]}}],
    }


def test_ends_are_those_of_the_result(result: dict[str, Any]) -> None:
    found = cells(tables(result)["ends"])
    darts = found["`darts`"]
    assert darts["CIFAR-10 test, %"] == "55.00 ± 1.41 [54.00, 56.00]"
    assert (darts["regret"], darts["skips"]) == ("39.00 ± 1.41", "3.0 ± 0.0")
    assert found["`fairdarts`"]["CIFAR-10 test, %"] == "92.00 (1 of 2 known)"
    assert found["GDAS, published"]["CIFAR-10 test, %"] == "93.61 ± 0.09"
    assert found["random: all 2"]["regret"] == "14.00"


def test_ways_pair_the_seeds(result: dict[str, Any]) -> None:
    found = cells(tables(result)["ways"])
    assert found["`darts`"]["best on the way, %"] == "91.00 ± 1.41"
    assert found["`darts`"]["lost by the end"] == "36.00 ± 2.83"
    assert found["`darts`"]["against `darts`, paired"] == ""
    assert found["`fairdarts`"]["best on the way, %"] == "92.00"
    assert found["`fairdarts`"]["lost by the end"] == "0.00"
    assert found["`fairdarts`"]["against `darts`, paired"] == "+38.00"


def test_the_eigenvalue_is_told_where_it_was_measured(result: dict[str, Any]) -> None:
    table = tables(result)["curvature"]
    assert [line for line in table.splitlines() if "fairdarts" in line] == []
    assert "| `darts` | 1 | 0.750 | 0.750, 1 | 0.500 | −0.50 |" in table
    del result["rows"][0]
    assert "curvature" not in tables(result)


def test_trainings_have_a_table_of_their_own() -> None:
    spread = {"values": [95.0, 97.0], "mean": 96.0, "deviation": 1.4142}
    row = {"name": "darts", "accuracy": spread, "params": spread, "madds": spread, "best": 97.0}
    found = tables({"table": None, "rows": [], "trained": [row]})
    assert list(found) == ["trained"]
    assert cells(found["trained"])["`darts`"]["accuracy, %"] == "96.00 ± 1.41"


def test_cells_are_counted_by_their_skips(tmp_path: Path) -> None:
    edges = [(last, first) for last in ("skip_connect", "none") for first in ("none", "skip_connect")]
    found = [f"|{first}~0|+|none~0|none~1|+|{last}~0|none~1|none~2|" for last, first in edges]
    lines = [f"{cell},{number},1,1" for number, cell in enumerate(found, 1)]
    file = tmp_path / "bench.csv"
    file.write_text("\n".join(["arch,cifar10_test200,cifar100_test200,imagenet16_test200", *lines]) + "\n")
    none, one, two = by_skips(file)
    assert [line["exactly"]["cells"] for line in (none, one, two)] == [1, 2, 1]
    assert [line["at_most"]["cells"] for line in (none, one, two)] == [1, 3, 4]
    assert one["exactly"][COLUMN] == {"mean": 2.5, "deviation": 1.5, "best": 4}
    assert one["at_most"][COLUMN]["mean"] == pytest.approx(8 / 3)
    assert "| 1 | 2 | 2.50 ± 1.50 | 4.00 | 3 | 2.67 ± 1.25 |" in tables({"by_skips": [none, one, two]})["skips"]


RESULTS = ["collapse-nasbench201-small", "collapse-macro-small", "collapse-trained-small", "nasbench201-by-skips"]


@pytest.mark.parametrize("name", RESULTS)
def test_the_page_shows_the_committed_results(name: str) -> None:
    result = json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/collapse.md").read_text(encoding="utf-8")
    for title, table in tables(result).items():
        assert table in page, title

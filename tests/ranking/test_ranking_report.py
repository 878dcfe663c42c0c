"""Truth for the paths of a space: by the names of shipped genotypes, too."""

from pathlib import Path

import pytest
from one_shot import BENCH, settings_of

from fairdarts.config import UserError
from fairdarts.data.sources import open_source
from fairdarts.oneshot.evaluate import Statistics
from fairdarts.ranking.report import chosen_paths, judge, open_benchmark
from fairdarts.runtime.run import RunDirectory
from fairdarts.spaces.space import load_space


def test_the_13_models_may_be_called_by_their_names(tmp_path: Path):
    space, file = load_space("fairnas-a"), tmp_path / "thirteen.csv"
    file.write_text("arch,accuracy\nfairnas-meta-0,69.2\nfairnas-meta-2,70.1\n")
    second = tuple(int(number in (7, 13)) for number in range(16))
    assert open_benchmark(file, space, None).truth == {(0,) * 16: 69.2, second: 70.1}


def test_a_genotype_of_another_space_is_no_architecture(tmp_path: Path):
    file = tmp_path / "other.csv"
    file.write_text("arch,accuracy\nfairnas-a,75.3\n")  # it was found in fairnas-b
    with pytest.raises(UserError, match="line 2: 'fairnas-a': 2 choices, should be 16 for fairnas-a"):
        open_benchmark(file, load_space("fairnas-a"), None)


def test_paths_are_drawn_by_the_seed_from_the_truth_or_from_the_space(tmp_path: Path):
    space = load_space("nas-bench-macro")
    drawn = chosen_paths(space, None, 20, seed=0)
    assert drawn == chosen_paths(space, None, 20, seed=0) != chosen_paths(space, None, 20, seed=1)
    assert len(set(drawn)) == 20
    assert drawn == sorted(drawn)
    file = tmp_path / "few.csv"
    file.write_text("arch,accuracy\n00000000,60\n00000001,61\n")
    assert len(chosen_paths(space, open_benchmark(file, space, None), 20, seed=0)) == 2


@pytest.mark.parametrize(
    ("factors", "statistics", "message"),
    [
        (
            {"track": False},
            "tracked",
            "mine: supernet.track false: BatchNorms have no running statistics, so tracked should be batch",
        ),
        (
            {"track": False},
            4,
            "mine: supernet.track false: BatchNorms have no running statistics, so 4 should be batch",
        ),
        (
            {"operations": "node"},
            4,
            "mine: edges share BatchNorms (supernet.operations node), so no edge has statistics of its own: "
            "statistics 4 should be tracked or batch",
        ),
    ],
)
def test_statistics_that_batch_norms_cannot_take_are_refused(factors: dict, statistics: Statistics, message: str):
    settings = settings_of(**{f"supernet.{key}": value for key, value in factors.items()})
    with pytest.raises(UserError) as error:
        judge(RunDirectory(Path("mine")), settings, BENCH, open_source(settings.data), statistics, None)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("factors", "statistics"),
    [
        ({"track": False}, "batch"),
        ({"operations": "node"}, "tracked"),
        ({"operations": "node"}, "batch"),
        ({"operations": "node", "wsbn": True}, 4),
        ({}, 4),
    ],
)
def test_those_that_they_can_take_are_not(factors: dict, statistics: Statistics, tmp_path: Path):
    """What is missed then is the checkpoint."""
    settings = settings_of(**{f"supernet.{key}": value for key, value in factors.items()})
    with pytest.raises(UserError, match=r"last\.pt"):
        judge(RunDirectory(tmp_path), settings, BENCH, open_source(settings.data), statistics, None)


CELLS = """matrix,ops,108_final_validation_accuracy
"[[0,1,0],[0,0,1],[0,0,0]]","input,conv3x3-bn-relu,output",0.9
,,0.8
"""


def test_what_a_table_has_besides_the_space_s_cells_is_counted(tmp_path: Path):
    file = tmp_path / "cells.csv"
    file.write_text(CELLS)
    benchmark = open_benchmark(file, load_space("nasbench101"), None)
    assert (list(benchmark.truth.values()), benchmark.left_out) == ([90.0], {"without a matrix": 1})
    with pytest.raises(UserError) as error:
        open_benchmark(file, load_space("nasbench101-2"), None)
    told = f"{file}: holds no architecture of space nasbench101-2: 1 of other spaces, 1 without a matrix"
    assert str(error.value) == told

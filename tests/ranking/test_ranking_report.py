"""Truth for the paths of a space: by the names of shipped genotypes, too."""

from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.ranking.report import chosen_paths, open_benchmark
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

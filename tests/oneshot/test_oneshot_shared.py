"""Two processes that share the images or the paths of a step, or the paths to be judged, do what one does alone."""

from pathlib import Path

import pytest
import torch
from one_shot import assert_equal
from processes import launch
from shared_paths import CASES, JUDGED, outcomes
from torch import Tensor

PROGRAM = Path(__file__).with_name("shared_paths.py")
TRAINED = ["-".join(case) for case in CASES]
JUDGMENTS = [f"judge-{name}-{statistics}" for name, statistics in JUDGED]
WHOLE = ["training-data", "training-path"]
Held = dict[str, dict[str, Tensor]]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[Held]:
    """What two processes (gloo) hold at the end of every case."""
    folder = tmp_path_factory.mktemp("ranks")
    done = launch(PROGRAM, folder)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> Held:
    return outcomes()


@pytest.mark.parametrize("name", [name for name in TRAINED if "-data-" in name])
def test_two_processes_that_share_images_equal_one_with_the_same_parts(ranks: list[Held], alone: Held, name: str):
    """One process moves the statistics of BatchNorms by one part after the other, two by the mean of theirs."""
    assert_equal(ranks[0][name], alone[name], 1e-12, without="statistic")


@pytest.mark.parametrize("name", [*(name for name in TRAINED if "-path-" in name), "dead paths"])
def test_two_processes_that_share_paths_equal_one_in_all_that_a_step_changes(ranks: list[Held], alone: Held, name: str):
    assert any(key.startswith("momentum") for key in alone[name])
    assert_equal(ranks[0][name], alone[name], 1e-12)


@pytest.mark.parametrize("name", JUDGMENTS)
def test_two_processes_judge_as_one_does(ranks: list[Held], alone: Held, name: str):
    assert len(set(alone[name]["accuracies"].tolist())) > 1
    assert torch.equal(ranks[0][name]["accuracies"], alone[name]["accuracies"])


def test_an_image_that_one_process_cannot_judge_by_ends_all_of_them_with_one_message(ranks: list[Held], alone: Held):
    assert alone["refused"]["said"] == 1
    assert [own["refused"]["said"] for own in ranks] == [2, 1]


@pytest.mark.parametrize("name", WHOLE)
def test_two_processes_train_a_supernet_as_one_does(ranks: list[Held], alone: Held, name: str):
    """Of the watch with shared images, what BatchNorms remember decides, which is not the same (see above)."""
    assert alone[name]["updates"].tolist() == [[4, 4, 4]] * 4
    assert_equal(ranks[0][name], alone[name], 1e-4, without="watched" if name == "training-data" else "-")


def test_two_processes_train_a_controller_as_one_does(ranks: list[Held], alone: Held):
    assert_equal(ranks[0]["training-controller"], alone["training-controller"], 1e-4)
    assert len(alone["training-controller"]["rewards"].unique()) == 4


@pytest.mark.parametrize("name", [*TRAINED, "dead paths", *JUDGMENTS, *WHOLE, "training-controller"])
def test_the_processes_hold_the_same_bits(ranks: list[Held], name: str):
    first, second = (own[name] for own in ranks)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_parts_of_a_batch_matter(alone: Held):
    """Else the first test would tell little."""
    sums, means = (alone[f"chain-strict_fair-data-{gradient}"] for gradient in ("sum", "mean"))
    whole = alone["chain-strict_fair-path-sum"]
    name = "weight tail.classifier.weight"
    assert not torch.allclose(sums[name], whole[name], rtol=1e-4)
    assert not torch.allclose(sums[name], means[name], rtol=1e-4)

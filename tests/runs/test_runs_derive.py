"""Genotypes of any epoch of a search, and of matrices, from Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.reading import read_yaml
from fairdarts.runs.derive import derive, derive_from
from fairdarts.runs.result import Run
from fairdarts.runtime.run import create
from fairdarts.spaces.space import load_space

CANDIDATES = ("max_pool_3x3", "skip_connect", "dil_conv_3x3")
LOSSES = (None, 1.5, 1.125, 1.25)
"""held-out loss of every epoch, of which the start has none"""


def gates_of(epoch: int) -> dict[str, list[list[float]]]:
    """Gates whose strongest operation tells the epoch: the first candidate at the start, and so on."""
    cell = [[0.9 if column == epoch % 3 else 0.1 for column in range(3)] for _ in range(5)]
    return {"normal": cell, "reduce": cell}


def search_of(recipe: Path, losses: tuple[float | None, ...], **overrides: str) -> Path:
    settings = check(
        SearchSettings, read_yaml(recipe), recipe, {key.replace("__", "."): overrides[key] for key in overrides}
    )
    run = create(recipe.parent / "my-run", settings, load_space(settings.space))
    for epoch, loss in enumerate(losses):
        dominant = {"normal": {"skip_connect": epoch}, "reduce": {}}
        record: dict[str, Any] = {"epoch": epoch, "gates": gates_of(epoch), "dominant": dominant}
        run.log(record | ({} if loss is None else {"valid_loss": loss, "eigenvalue": float(epoch)}))
    return run.path


@pytest.fixture
def run(tiny_recipe: Path) -> Path:
    return search_of(tiny_recipe, LOSSES)


@pytest.mark.parametrize(
    ("epoch", "found", "name", "told"),
    [
        (None, 3, "my-run", "epoch 3, threshold"),
        ("last", 3, "my-run-epoch-3", "epoch 3, threshold"),
        ("best", 2, "my-run-epoch-2", "epoch 2 (lowest held-out loss, 1.1250), threshold"),
        (0, 0, "my-run-epoch-0", "epoch 0, threshold"),
        (1, 1, "my-run-epoch-1", "epoch 1, threshold"),
    ],
)
def test_the_genotype_of_an_epoch(run: Path, epoch: Any, found: int, name: str, told: str):
    genotype = derive(str(run), epoch=epoch)
    assert {op for op, *_ in genotype.normal} == {CANDIDATES[found % 3]}
    assert (genotype.name, genotype.source) == (name, f"search tiny, seed 0, {told} 0.6")
    assert derive(Run(run), epoch=epoch, name="mine").name == "mine"


def test_without_an_epoch_it_is_the_one_that_the_search_keeps(tiny_recipe: Path):
    stopping = {"stopping__kind": "eigenvalue", "stopping__window": "1", "stopping__ratio": "0.75"}
    run = search_of(tiny_recipe, LOSSES[:3], **stopping)
    assert [derive(run, epoch=epoch).source[-22:-15] for epoch in (None, "last")] == ["epoch 1", "epoch 2"]


def test_what_is_given_comes_before_the_run_s_own_rule(run: Path):
    assert len(derive(run).normal) == 4
    with pytest.warns(Notice) as told:
        assert derive(run, threshold=0.95).normal == ()
    nothing = "no operation takes part; the strongest gate is 0.900"
    assert [str(notice.message) for notice in told] == [f"normal: {nothing}", f"reduce: {nothing}"]
    assert derive(run, method="argmax").source.endswith("epoch 3, argmax")
    genotype = derive(run, epoch=1, max_skips=2)
    assert [op for op, *_ in genotype.normal] == ["skip_connect"] * 2
    assert genotype.source.endswith("threshold 0.6, at most 2 skip connections a cell")
    with pytest.raises(
        UserError, match=r"^derive: threshold 0\.7: goes with method threshold or edge; argmax has none$"
    ):
        derive(run, method="argmax", threshold=0.7)
    with pytest.raises(UserError, match=r"^derive: threshold: 1\.5: should be less than or equal to 1$"):
        derive(run, threshold=1.5)
    with pytest.raises(UserError, match=r"^derive: method: 'softmax': should be"):
        derive(run, method="softmax")


@pytest.mark.parametrize("epoch", [4, -1, "first"])
def test_an_epoch_that_there_is_not_is_named_with_those_that_there_are(run: Path, epoch: Any):
    message = rf"my-run/metrics\.jsonl: epoch {epoch}: there is none; should be 0 to 3, last or best$"
    with pytest.raises(UserError, match=message):
        derive(run, epoch=epoch)


@pytest.mark.parametrize(
    ("kind", "why"),
    [("single_level", "a single-level search measures none"), ("first_order", "α has not been trained")],
)
def test_without_a_held_out_loss_none_is_the_best(tiny_recipe: Path, kind: str, why: str):
    run = search_of(tiny_recipe, (None, None), architect__kind=kind)
    with pytest.raises(
        UserError, match=f"epoch best: no epoch has a held-out loss: {why}.*name an epoch by its number"
    ):
        derive(run, epoch="best")


def test_a_search_that_has_just_begun_has_its_start_alone(tiny_recipe: Path):
    run = search_of(tiny_recipe, (None,))
    assert derive(run, epoch=0).normal == derive(run).normal
    with pytest.raises(UserError, match="epoch 1: there is none; should be 0 alone, last or best"):
        derive(run, epoch=1)


TINY = "tiny-space.yaml"
ALPHAS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "kind",
    [np.asarray, torch.tensor, list, lambda rows: torch.tensor(rows, requires_grad=True)],
    ids=["array", "tensor", "list", "with gradient"],
)
def test_gates_may_be_arrays_tensors_or_lists(tiny_recipe: Path, run: Path, kind: Any):
    matrices = {part: kind(rows) for part, rows in gates_of(1).items()}
    space = tiny_recipe.parent / TINY
    genotype = derive_from(matrices, space, threshold=0.6)
    assert genotype.normal == derive(run, epoch=1).normal
    assert (genotype.name, genotype.source) == ("derived", "matrices, threshold 0.6")
    assert derive_from(matrices, load_space(str(space)), threshold=0.6, name="mine").name == "mine"


@pytest.mark.parametrize("relaxation", ["sigmoid", "softmax"])
def test_alphas_become_gates_first(tiny_recipe: Path, relaxation: str):
    space, alphas = str(tiny_recipe.parent / TINY), {"normal": ALPHAS, "reduce": -ALPHAS}
    relax = torch.sigmoid if relaxation == "sigmoid" else lambda alpha: alpha.softmax(-1)
    gates = {part: relax(alpha) for part, alpha in alphas.items()}
    expected = derive_from(gates, space, threshold=0.3)
    for given in (alphas, {part: alpha.numpy() for part, alpha in alphas.items()}):
        genotype = derive_from(given, space, relaxation=relaxation, threshold=0.3)
        assert (genotype.normal, genotype.reduce) == (expected.normal, expected.reduce)
        assert genotype.source == f"matrices, {relaxation} of α, threshold 0.3"
    assert derive_from(gates, space, relaxation="none", threshold=0.3).normal == expected.normal
    torch.save(alphas, file := tiny_recipe.parent / "found.pt")
    genotype = derive_from(file, space, relaxation=relaxation, threshold=0.3)
    assert (genotype.normal, genotype.name) == (expected.normal, "found")


@pytest.mark.parametrize(
    ("matrices", "told", "said"),
    [
        ({"normal": ALPHAS.sigmoid()}, {}, r"^matrices: no 'reduce' in it"),
        ({"normal": ALPHAS, "reduce": ALPHAS}, {}, r"^matrices: normal: should hold gates from 0 to 1"),
        (
            {"normal": ALPHAS.sigmoid(), "reduce": [[1], [1, 2]]},
            {},
            r"^matrices: reduce: should be a matrix of numbers",
        ),
        (
            {"normal": ALPHAS, "reduce": ALPHAS},
            {"relaxation": "softmx"},
            r"^matrices: relaxation: 'softmx' is not known",
        ),
        (
            {"normal": ALPHAS.sigmoid(), "reduce": ALPHAS.sigmoid()},
            {"threshold": None},
            r"^derive: method threshold needs",
        ),
    ],
)
def test_matrices_that_are_none_of_the_space_are_named(tiny_recipe: Path, matrices: Any, told: Any, said: str):
    with pytest.raises(UserError, match=said):
        derive_from(matrices, tiny_recipe.parent / TINY, **{"threshold": 0.3, **told})


def test_a_space_without_gates_is_refused():
    with pytest.raises(UserError, match=r"^derive: space nasbench101: is searched by paths, not by gradients"):
        derive_from({}, "nasbench101", method="argmax")

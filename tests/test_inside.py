"""What benchmarks/inside.py tells of a search, against finite differences and autograd; the search stays the same."""

import json
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from runs import assert_same_run
from search_steps import SPACE, learner_of, settings_of, stream

import fairdarts
from fairdarts.config import UserError
from fairdarts.differentiable.architect import first_order
from fairdarts.differentiable.losses import zero_one
from fairdarts.relaxation import RELAXATIONS, dense, relax

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    from inside import Inside, as_text, measure, moves, pushes
    from inside_figure import inside_figure, inside_info, inside_table

TINY = {"data.kind": "digits", "data.workers": 0, "supernet.cells": 1, "supernet.channels": 2, "epochs": 1}
NASBENCH201 = ["darts-nasbench201", "fairdarts-nasbench201"]


@pytest.mark.parametrize(("relaxation", "weight"), [("softmax", 0), ("sigmoid", 10)])
def test_gains_and_pushes_are_those_of_the_step(relaxation: str, weight: float) -> None:
    learner = learner_of(settings_of("first_order", relaxation, weight, "squared", 1e9))
    supernet, alphas, batches = deepcopy(learner.supernet), deepcopy(learner.alphas), stream(1)
    train, (images, labels) = next(batches), next(batches)

    def loss(gates: dict[str, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(supernet(images, dense(gates, SPACE)), labels)

    watch, run = Inside(), SimpleNamespace(settings=learner.settings, space=SPACE)
    watch.begin(run)
    first_order(learner, train, (images, labels))
    watch.step(1, 1, 1, None, learner.alphas)
    watch.end(run)
    (looked,) = watch.seen

    gates, epsilon = relax(alphas, relaxation), 1e-6
    (loss(gates) + weight * zero_one(dense(gates, SPACE), "squared")).backward()
    gates = {part: matrix.detach() for part, matrix in gates.items()}
    for part, seen in looked.items():
        slopes = torch.zeros_like(gates[part])
        for place in np.ndindex(*slopes.shape):
            step = torch.zeros_like(slopes)
            step[place] = epsilon
            with torch.no_grad():
                high, low = (loss(gates | {part: gates[part] + sign * step}) for sign in (1, -1))
            slopes[place] = (high - low) / (2 * epsilon)
        torch.testing.assert_close(seen["gain"], -slopes, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(seen["own"] + seen["competition"] + seen["zero_one"], -alphas[part].grad)
        after = relax(learner.alphas, relaxation)[part].detach()
        torch.testing.assert_close(seen["moved_own"] + seen["moved_competition"], after - gates[part])
        assert bool(seen["zero_one"].any()) == (weight > 0)


def test_softmax_competes_and_sigmoid_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    alpha, gain, step = torch.randn(3, 4, 5, generator=generator, dtype=torch.float64)
    step *= 1e-5
    for relaxation in ("softmax", "sigmoid"):
        gate = RELAXATIONS[relaxation](alpha)
        own, competition = pushes(alpha, gain, RELAXATIONS[relaxation])
        moved_own, moved_competition = moves(alpha, alpha + step, RELAXATIONS[relaxation])
        torch.testing.assert_close(own, gate * (1 - gate) * gain)
        torch.testing.assert_close(moved_own, gate * (1 - gate) * step, rtol=1e-4, atol=0)
        for seen, of_alpha, off in ((competition, gain, 1e-12), (moved_competition, step, 1e-9)):
            others = (gate * of_alpha).sum(-1, keepdim=True) - gate * of_alpha
            expected = -gate * others if relaxation == "softmax" else torch.zeros_like(gate)
            torch.testing.assert_close(seen, expected, rtol=0, atol=off)


@pytest.mark.parametrize("recipe", NASBENCH201)
def test_a_search_that_is_watched_is_the_same(recipe: str, tmp_path: Path) -> None:
    before, watch = dict(RELAXATIONS), Inside()
    run = fairdarts.search(recipe, settings=TINY, out=tmp_path / "watched" / "run", callbacks=watch)
    assert before == RELAXATIONS
    assert_same_run(run.path, fairdarts.search(recipe, settings=TINY, out=tmp_path / "alone" / "run").path)
    (epoch,) = watch.epochs
    start, end = (np.array(record["gates.edges"]) for record in run.records)
    moved = sum(np.array(epoch["edges"][f"moved_{name}"]) for name in ("own", "competition"))
    np.testing.assert_allclose(moved, end - start, atol=1e-5)
    assert np.abs(end - start).max() > 1e-4
    assert not np.any(np.array(epoch["edges"]["gain"])[:, 0])  # what `none` adds to a sum is nothing


def test_a_search_whose_steps_are_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"architect\.kind should be first_order"):
        fairdarts.search("darts-second-order-nasbench201", settings=TINY, out=tmp_path / "run", callbacks=Inside())
    with pytest.raises(UserError, match="noise and dropout should be left out"):
        Inside().begin(
            SimpleNamespace(
                settings=settings_of("first_order", "softmax", 0, "squared", 1).model_copy(update={"noise": object()}),
                space=SPACE,
            )
        )


def test_the_result_keeps_what_is_derived_beside_the_gates() -> None:
    result = {"runs": {"darts-nasbench201": measure("darts-nasbench201", TINY)}}
    text = as_text(result)
    assert text.count("\n") < 150  # a row of a matrix has a line
    run = json.loads(text)["runs"]["darts-nasbench201"]
    (epoch,) = run["epochs"]
    strongest = 1 + np.array(epoch["edges"]["gate"])[:, 1:].argmax(1)  # never none
    assert epoch["cell"] == [run["candidates"][column] for column in strongest]
    assert epoch["skips"] == epoch["cell"].count("skip_connect")
    (info,) = inside_info(json.loads(text))
    assert info.curves["gain"]["skip connect"] == pytest.approx([np.array(epoch["edges"]["gain"])[:, 1].mean()])


def made_up(relaxation: str) -> dict:
    """A run as inside.py keeps it, of 3 epochs: numbers without meaning, but gates of their sum."""
    rng, candidates = np.random.default_rng(0), ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    signed = ["gain", "gain_std", "own", "moved_own", *["competition", "moved_competition"] * (relaxation == "softmax")]
    epochs = []
    for epoch in (1, 2, 3):
        gates = rng.random((6, 5))
        edges = {name: np.zeros((6, 5)) for name in ("competition", "moved_competition", "zero_one")}
        edges |= {name: rng.normal(size=(6, 5)) for name in signed}
        edges["gate"] = gates / gates.sum(1, keepdims=True) if relaxation == "softmax" else gates
        cell = ["skip_connect"] * epoch + ["none"] * (6 - epoch)
        told = {"epoch": epoch, "valid_accuracy": 0.3, "cell": cell, "skips": epoch}
        epochs.append(told | {"edges": {name: matrix.tolist() for name, matrix in edges.items()}})
    return {"candidates": candidates, "epochs": epochs}


def test_the_figure_and_the_table_are_of_means_over_the_edges() -> None:
    runs = {name: made_up(kind) for name, kind in zip(NASBENCH201, ("softmax", "sigmoid"), strict=True)}
    softmax, sigmoid = info = inside_info({"runs": runs})
    edges = [
        {name: np.array(matrix) for name, matrix in epoch["edges"].items()} for epoch in runs[NASBENCH201[0]]["epochs"]
    ]
    assert softmax.curves["gain"]["convolutions"] == pytest.approx([epoch["gain"][:, 2:4].mean() for epoch in edges])
    assert softmax.sums == pytest.approx([1, 1, 1])
    assert sigmoid.sums.min() > 1.5
    assert softmax.skips.tolist() == [1, 2, 3]
    lines = [[len(ax.lines) for ax in inside_figure((one,)).axes] for one in info]
    assert lines == [[4 + 1, 4 + 1, 3, 1], [4 + 1, 2 + 1, 3, 1]]  # those of zero too; a sigmoid has no competition

    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in inside_table(info).splitlines()]
    assert len(rows) == 2 + 2 * 4
    cells = (rows[2][rows[0].index(name)].replace("−", "-") for name in ("gain", "moved by its own α"))
    gain, moved = (float(cell.split(" ± ")[0]) for cell in cells)
    assert gain == pytest.approx(1e3 * np.mean([epoch["gain"][:, 1].mean() for epoch in edges]), abs=0.005)
    assert moved == pytest.approx(sum(epoch["moved_own"][:, 1].mean() for epoch in edges), abs=0.0005)


def test_the_page_shows_the_committed_result() -> None:
    result = json.loads((ROOT / "benchmarks/results/inside-nasbench201-small-cpu-1-thread.json").read_text())
    assert inside_table(inside_info(result)) in (ROOT / "docs/inside.md").read_text(encoding="utf-8")

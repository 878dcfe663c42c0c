"""Edge weights β: shares by hand, what they multiply and what they leave alone, and that they learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import Interrupts, assert_same_run, metrics
from search_steps import SPACE, settings_of, sgd_of, stream
from torch import Tensor

import fairdarts
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.sources import open_source
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.components import AuxiliarySettings, Gumbel
from fairdarts.differentiable.curvature import held_out_curvature
from fairdarts.differentiable.derive import derive
from fairdarts.differentiable.edges import beta_of, check_edges, edge_shares, initial_betas, with_shares
from fairdarts.differentiable.gates import gates_of_pass, recorded, relaxed, undisturbed
from fairdarts.differentiable.learner import START, Learner
from fairdarts.differentiable.loop import gate_record
from fairdarts.differentiable.passes import losses
from fairdarts.differentiable.settings import DenseSupernetSettings, SearchSettings
from fairdarts.differentiable.setup import make_learner
from fairdarts.reading import read_yaml
from fairdarts.runs.result import Run
from fairdarts.runtime.seed import VALID
from fairdarts.spaces.gates import Gate
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.supernet import make_supernet
from fairdarts.training.inherit import weights_of

BENCH = load_space("nasbench201").model_copy(update={"channels": 4, "cells": 1})
PARTIAL = {
    "derive.method": "argmax",
    "derive.threshold": None,
    "architect.initial_std": 0.1,
    "edges": "softmax",
    "supernet.partial": 2,
    "supernet.channels": 4,
    "epochs": 2,
}


def learner_of(space: Space, kind: str = "first_order", partial: int = 2, **components: Any) -> Learner:
    """A learner in float64 whose edges have weights."""
    torch.manual_seed(0)
    settings = settings_of(kind, "softmax", 0.5, "squared", 5).model_copy(update={"edges": "softmax", **components})
    cells = 3 if space.kind == "cell" else 1
    own = DenseSupernetSettings(cells=cells, channels=4, partial=partial)
    supernet = make_supernet(space, 3, settings=own).double()
    alphas = {part: torch.randn(points.shape, dtype=torch.float64) for part, points in space.parts.items()}
    alphas |= {
        beta_of(part): torch.randn(len(points.points), dtype=torch.float64) for part, points in space.parts.items()
    }
    alphas = {part: alpha.requires_grad_() for part, alpha in alphas.items()}
    adam = torch.optim.Adam(alphas.values(), 0.1, weight_decay=1e-3)
    return Learner(settings, supernet, alphas, sgd_of(supernet.parameters(), settings), adam)


def test_shares_of_a_node_add_up_to_one():
    beta = torch.tensor([5.0, *np.log([1, 3]), *np.log([2, 2, 4])])
    shares = edge_shares({"edges.beta": beta}, BENCH)
    torch.testing.assert_close(shares["edges"], torch.tensor([1, 0.25, 0.75, 0.25, 0.25, 0.5]).to(beta))
    assert edge_shares({"edges": torch.zeros(6, 5)}, BENCH) is None
    drawn = initial_betas(SPACE, 1.0, torch.Generator().manual_seed(1))
    assert {part: list(beta.shape) for part, beta in drawn.items()} == {"normal.beta": [5], "reduce.beta": [5]}
    for of_part in edge_shares(drawn, SPACE).values():
        torch.testing.assert_close(torch.stack([of_part[:2].sum(), of_part[2:].sum()]), torch.ones(2))


def test_a_gate_of_any_kind_is_multiplied_by_the_share_of_its_edge():
    shares = {"edges": torch.tensor([1.0, 0.25, 0.75, 0.2, 0.3, 0.5])}
    gates = (Gate((3,)), Gate((1, 2)), Gate((0,), 0.5), Gate(()), Gate((4,), torch.tensor([2.0])), Gate((1, 3), 0.5))
    found = with_shares(gates, BENCH, shares)
    expected = [[1.0], [0.125, 0.125], [0.375], [], [0.6], [0.25, 0.25]]
    assert [gate.active for gate in found] == [gate.active for gate in gates]
    for gate, weights, share in zip(found, expected, shares["edges"], strict=True):
        torch.testing.assert_close(gate.weights, torch.tensor(weights))
        assert gate.scale == share
    assert with_shares(gates, BENCH, None) is gates


def test_a_tiny_cell_by_hand():
    """With skip connections of weight p alone, and K = 2, a node is s·(p·first, others), shuffled."""
    space = BENCH.model_copy(update={"candidates": ("none", "skip_connect")})
    learner = learner_of(space, partial=2)
    shares, p = edge_shares(learner.alphas, space)["edges"], learner.alphas["edges"].softmax(-1)[:, 1]
    gates = gates_of_pass(learner, learner.alphas, START, VALID, 0, True).seen
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)

    def edge(row: int, node: Tensor) -> Tensor:
        a, b, c, d = node.unbind(1)
        return torch.stack([p[row] * a, c, p[row] * b, d], dim=1) * shares[row]

    one = edge(0, x)
    two = edge(1, x) + edge(2, one)
    three = edge(3, x) + edge(4, one) + edge(5, two)
    torch.testing.assert_close(learner.supernet.stages[0](x, gates), three)


@pytest.mark.parametrize(
    "components",
    [
        {},
        {"sampling": Gumbel(kind="gumbel", hard=True, temperature=(1.0, 1.0))},
        {"auxiliary": AuxiliarySettings(weight=1.0, schedule="falling")},
    ],
    ids=["dense", "sampled", "auxiliary"],
)
@pytest.mark.parametrize("space", [SPACE, BENCH], ids=lambda space: space.kind)
def test_beta_has_the_gradient_of_finite_differences(space: Space, components: dict[str, Any]):
    learner, batch = learner_of(space, **components), next(stream(1))

    def loss() -> Tensor:
        return losses(learner, learner.alphas, batch, START, VALID, 0, True)[0]

    part = [*space.parts][-1]
    beta, length = learner.alphas[beta_of(part)], 1e-5
    (gradient,) = torch.autograd.grad(loss(), beta)
    slopes = []
    for row in range(len(beta)):
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                beta[row] += sign * length
                ends.append(loss())
                beta[row] -= sign * length
        slopes.append((ends[0] - ends[1]) / (2 * length))
    torch.testing.assert_close(gradient, torch.stack(slopes), rtol=1e-4, atol=1e-7)
    assert gradient.abs().max() > 1e-4


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_of_any_kind_moves_beta(kind: str):
    learner, batches = learner_of(SPACE, kind), stream(1)
    before = {part: alpha.detach().clone() for part, alpha in learner.alphas.items()}
    STEPS[kind](learner, next(batches), next(batches))
    assert [part for part, alpha in learner.alphas.items() if torch.equal(alpha, before[part])] == []


def test_the_curvature_is_that_of_the_weighed_edges():
    learner, batch = learner_of(BENCH), next(stream(1))
    seen = gates_of_pass(learner, learner.alphas, START, VALID, 0, True).seen
    for one, other in zip(undisturbed(learner, learner.alphas), seen, strict=True):
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.scale, other.scale)
    assert np.isfinite(held_out_curvature(learner, batch))


def test_zero_one_loss_and_cost_are_those_of_the_gates_alone():
    learner, batch = learner_of(SPACE), next(stream(1))
    loss, _, push = losses(learner, learner.alphas, batch, START, VALID, 0, True)
    moved = {
        part: alpha.detach() + ("beta" in part) * torch.randn_like(alpha) for part, alpha in learner.alphas.items()
    }
    other_loss, _, other_push = losses(learner, moved, batch, START, VALID, 0, True)
    assert push == other_push
    assert loss != other_loss
    assert relaxed(learner, moved).keys() == {"normal", "reduce"}


def test_what_is_recorded_and_derived_from_are_products():
    learner = learner_of(SPACE)
    gates, record = relaxed(learner, learner.alphas), gate_record(1, learner, SPACE)
    shares = edge_shares(learner.alphas, SPACE)
    for part, found in recorded(learner, learner.alphas).items():
        np.testing.assert_allclose(found, (gates[part] * shares[part][:, None]).detach().numpy(), rtol=1e-12)
        assert record["gates"][part] == found.tolist()
        assert record["edges"][part] == shares[part].tolist()
    assert record["alphas"].keys() == SPACE.parts.keys()

    def kept(beta: list[float]) -> set[tuple[int, int]]:
        """The edges into the last node of the normal cell."""
        alphas = dict(learner.alphas) | {"normal.beta": torch.tensor([0, 0, *beta], dtype=torch.float64)}
        genotype = derive(recorded(learner, alphas), SPACE, "argmax", None, "name", "tests")
        return {(node, source) for _, node, source in genotype.normal if node == 3}

    assert kept([9, 9, 0]) == {(3, 0), (3, 1)}
    assert kept([0, 9, 9]) == {(3, 1), (3, 2)}


def test_alpha_starts_with_the_same_bits(tiny_recipe: Path):
    found = []
    for told in ({}, {"edges": "softmax"}):
        content = read_yaml(tiny_recipe)
        content["architect"]["initial_std"], content["derive"] = 0.1, {"method": "argmax"}
        settings = check(SearchSettings, content | told, tiny_recipe)
        learner = make_learner(settings, load_space(settings.space), open_source(settings.data), torch.device("cpu"))
        found.append(learner.alphas)
    plain, weighed = found
    assert weighed.keys() == {*plain, "normal.beta", "reduce.beta"}
    assert all(torch.equal(weighed[part], alpha) for part, alpha in plain.items())
    assert 0 < weighed["normal.beta"].std() < 1


def test_a_search_that_was_stopped_ends_as_if_it_never_was(tiny_recipe: Path):
    folder = tiny_recipe.parent
    whole = fairdarts.search(tiny_recipe, out=folder / "whole", settings=PARTIAL)
    with pytest.raises(KeyboardInterrupt):
        fairdarts.search(tiny_recipe, out=folder / "stopped", settings=PARTIAL, callbacks=Interrupts())
    Run(folder / "stopped").resume()
    assert_same_run(folder / "stopped", folder / "whole")
    first, *_, last = metrics(whole.path)
    assert first["edges"] != last["edges"]
    assert fairdarts.derive(folder / "whole").normal == whole.genotype.normal


def test_what_cannot_go_on_with_such_a_search_says_so(tiny_recipe: Path):
    run = tiny_recipe.parent / "run"
    fairdarts.search(tiny_recipe, out=run, settings=PARTIAL | {"epochs": 1})
    with pytest.raises(UserError, match=r"derive: threshold 0\.5: in this search edges compete .* argmax"):
        fairdarts.derive(run, method="threshold", threshold=0.5)
    with pytest.raises(UserError, match=r"its operations have 1/2 of a network's channels \(supernet\.partial 2\)"):
        weights_of(run)


def test_what_edges_do_not_go_with_is_named():
    settings = settings_of("first_order", "softmax", 0, "squared", 5).model_copy(update={"edges": "softmax"})
    with pytest.raises(UserError) as refused:
        check_edges(settings, load_space("s2"))
    assert str(refused.value) == "edges: softmax: is for cells, but space s2 is of kind chain"
    for method in ("threshold", "edge"):
        content = settings.model_dump() | {"derive": {"method": method, "threshold": 0.85}}
        with pytest.raises(UserError) as refused:
            check(SearchSettings, content, "test")
        assert "derive.threshold 0.85: with edges softmax, edges compete for shares of their node" in str(refused.value)
        assert "\n" not in str(refused.value)

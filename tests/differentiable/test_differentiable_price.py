"""The cost that gates let expect: held against all networks one by one, its gradients, and that its target is met."""

from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from one_shot import BENCH, CHAIN, IRREGULAR

from fairdarts import search
from fairdarts.cost.table import Table, count_tables
from fairdarts.differentiable.price import FORMS, Price, kept_edges, least_expected, make_price
from fairdarts.differentiable.settings import CostSettings, DeriveSettings
from fairdarts.reading import dump_yaml
from fairdarts.relaxation import Matrices, relax
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space, load_space

ARGMAX, EDGE = DeriveSettings(method="argmax"), DeriveSettings(method="edge", threshold=0.5)
DOUBLE = torch.zeros((), dtype=torch.float64)


def alphas_of(space: Space) -> Matrices:
    generator = torch.Generator().manual_seed(0)
    parts = space.parts.items()
    return {name: torch.randn(part.shape, generator=generator, dtype=torch.float64) for name, part in parts}


def price_of(space: Space, table: Table, target: float = 1.0, rule: DeriveSettings = ARGMAX, **asked: object) -> Price:
    return make_price(CostSettings(quantity="madds", target=target, **asked), rule, table, space, DOUBLE, steps=4)


def rows_of(gates: Matrices, space: Space) -> list[list[float]]:
    rows = {point: gates[name][row] for name, part in space.parts.items() for row, point in enumerate(part.points)}
    return [rows[point].tolist() for point in range(len(rows))]


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR, BENCH], ids=lambda space: space.name)
def test_under_softmax_it_is_the_mean_over_all_paths(space: Space):
    table, gates = count_tables(space)["madds"], relax(alphas_of(space), "softmax")
    rows = rows_of(gates, space)
    every = [range(len(names)) for names in space.choices]
    if space is BENCH:  # of 15,625 paths: two edges, the others fixed
        every = [*every[:2], *([1] for _ in every[2:])]
        for row in rows[2:]:
            row[:] = [float(index == 1) for index in range(len(row))]
        gates = {"edges": torch.tensor(rows, dtype=torch.float64)}
    mean = sum(prod(row[i] for row, i in zip(rows, path, strict=True)) * table.cost(path) for path in product(*every))
    assert float(price_of(space, table, 1e3).expected(gates)) == pytest.approx(mean / 1e3, rel=1e-12)


def test_under_sigmoid_it_is_the_mean_over_all_subsets_of_candidates():
    table, gates = count_tables(CHAIN)["params"], relax(alphas_of(CHAIN), "sigmoid")
    rows = zip(rows_of(gates, CHAIN), table.choices, strict=True)
    flat = [both for row, costs in rows for both in zip(row, costs, strict=True)]
    mean = 0.0
    for chosen in product((0, 1), repeat=len(flat)):
        probability = prod(gate if there else 1 - gate for there, (gate, _) in zip(chosen, flat, strict=True))
        mean += probability * (table.fixed + sum(cost for there, (_, cost) in zip(chosen, flat, strict=True) if there))
    assert float(price_of(CHAIN, table).expected(gates)) == pytest.approx(mean, rel=1e-9)


def test_of_the_edges_into_a_node_two_are_expected_to_be_kept():
    space = load_space("s1")
    shares = kept_edges(space, ARGMAX)
    assert shares[:5] == (1, 1, 2 / 3, 2 / 3, 2 / 3)
    assert sum(shares) == pytest.approx(2 * 2 * space.nodes)
    assert set(kept_edges(space, EDGE)) == {1.0}
    table = Table(10, tuple((0, 5, 7, 1, 1, 1, 3) for _ in space.points))
    uniform = {name: torch.full(part.shape, 1 / 7, dtype=torch.float64) for name, part in space.parts.items()}
    assert float(price_of(space, table).expected(uniform)) == pytest.approx(10 + 16 * 18 / 7)
    assert least_expected(table, ARGMAX, space) == 10


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid"])
def test_gradients_are_those_of_finite_differences(form: str, relaxation: str):
    table = count_tables(CHAIN)["madds"]
    price = price_of(CHAIN, table, 0.4 * table.greatest, form=form, weight=0.7)
    price.multiplier.fill_(0.3)
    alphas = alphas_of(CHAIN)
    (name,) = alphas
    alphas[name].requires_grad_()
    loss = torch.tensor(1.5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda alpha: price.added(loss, relax({name: alpha}, relaxation)), (alphas[name],))


def test_the_forms_are_those_of_their_settings():
    loss, cost = torch.tensor(2.0, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64)
    price = price_of(CHAIN, count_tables(CHAIN)["madds"], weight=3)
    price.multiplier.fill_(0.25)
    values = {form: float(added(loss, cost, price)) for form, added in FORMS.items()}
    expected = {
        "weighted": 2 + 3 * 1.5,
        "power": 2 * 1.5**3,
        "hinge": 2 + 3 * 0.5,
        "lagrange": 2 + 0.25 * 0.5 + 15 * 0.25,
    }
    assert values == pytest.approx(expected)
    assert float(FORMS["hinge"](loss, cost / 2, price)) == 2


def test_the_multiplier_follows_the_excess_and_only_that_of_lagrange():
    table = count_tables(CHAIN)["madds"]
    gates = relax(alphas_of(CHAIN), "softmax")
    price = price_of(CHAIN, table, table.least, weight=2)
    excess = float(price.expected(gates)) - 1
    price.ascend(gates)
    assert float(price.multiplier) == pytest.approx(2 / 4 * excess)
    other = price_of(CHAIN, table, table.least, form="hinge")
    other.ascend(gates)
    assert float(other.multiplier) == 0
    assert "multiplier" in price.record(gates, None)
    assert "multiplier" not in other.record(gates, 3.0)


def start_of(space: Space) -> float:
    """What equal probabilities are expected to cost for digits."""
    table = count_tables(space, Shape(8, 1, 10))["madds"]
    return table.fixed + sum(sum(costs) / len(costs) for costs in table.choices)


@pytest.mark.usefixtures("few_digits")
@pytest.mark.parametrize(("recipe", "share"), [("darts-macro-small", 1.4), ("fairdarts-macro-small", 0.7)])
def test_the_target_is_met_within_three_percent_on_digits(tmp_path: Path, recipe: str, share: float):
    """From below; and from above, as sigmoid gates begin with half of all candidates."""
    space = load_space("nas-bench-macro-small")
    stages = tuple(stage.model_copy(update={"channels": 8, "layers": 1}) for stage in space.stages)
    space = space.model_copy(update={"stages": stages, "head": 16})
    (tmp_path / "space.yaml").write_text(dump_yaml(space))
    digits = {"kind": "digits", "batch_size": 20, "workers": 0, "train_portion": 0.5, "cutout": 0}
    start = start_of(space)
    asked = {
        "data": digits,
        "space": str(tmp_path / "space.yaml"),
        "cost.quantity": "madds",
        "cost.target": share * start,
    }
    run = search(recipe, settings=asked, epochs=10, threads=1, out=tmp_path / "run")
    costs = [record["cost.expected"] / (share * start) for record in run.records]
    assert abs(costs[0] - 1) > 0.2
    assert max(abs(cost - 1) for cost in costs[-2:]) < 0.03
    assert run.records[-1]["cost.multiplier"] != 0
    assert np.isfinite(run.records[-1]["cost.derived"])

"""The end of a search by its supernet: what is drawn, that the best of it is kept, and that a stop changes nothing."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from one_shot import BENCH, CELLS, IRREGULAR
from runs import Watch, metrics, same

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.sources import open_source
from fairdarts.differentiable.choose import DRAWN, drawn_path
from fairdarts.differentiable.derive import as_matrices
from fairdarts.differentiable.loop import search
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner
from fairdarts.differentiable.state import put_back
from fairdarts.genotype import Genotype, read
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.reading import read_yaml
from fairdarts.runs.truth import genotypes_of
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.runtime.seed import PATHS, fold
from fairdarts.runtime.stop import Interrupted
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space

CHOOSES = {"choose.networks": "6"}


def gates_of(space: Space, seed: int = 0) -> dict[str, np.ndarray]:
    numbers = np.random.default_rng(seed)
    return {name: numbers.dirichlet(np.ones(part.shape[1]), part.shape[0]) for name, part in space.parts.items()}


def drawn(space: Space, gates: dict[str, np.ndarray], count: int) -> list[SinglePath]:
    generator = torch.Generator().manual_seed(0)
    return [drawn_path(gates, space, generator) for _ in range(count)]


def settings_of(recipe: Path, **overrides: Any) -> SearchSettings:
    return check(SearchSettings, read_yaml(recipe), recipe, overrides)


def searched(recipe: Path, name: str, watch: Watch | None = None, resume: bool = False, **overrides: Any) -> Genotype:
    settings, watch = settings_of(recipe, **overrides), watch or Watch()
    path, space = recipe.parent / name, load_space(settings.space)
    run = open_run(path) if resume else create(path, settings, space)
    return search(settings, space, open_source(settings.data), run, watch, watch.stop, resume)


@pytest.mark.parametrize("space", [IRREGULAR, BENCH], ids=["irregular", "bench"])
def test_every_point_draws_its_candidates_in_proportion_to_its_gates(space: Space):
    gates = gates_of(space)
    columns = list(zip(*drawn(space, gates, 3000), strict=True))
    assert len(columns) == len(space.choices)
    for name, part in space.parts.items():
        for point, row in zip(part.points, gates[name], strict=True):
            shares = np.bincount(columns[point], minlength=len(row)) / 3000
            assert shares == pytest.approx(row, abs=0.04)


def test_a_node_draws_two_edges_by_their_strongest_gates_and_never_none():
    gates = gates_of(CELLS)
    for matrix in gates.values():
        matrix *= 0.5  # as sigmoid gates, of no sum
    none, last = CELLS.candidates.index("none"), CELLS.topology[1]
    paths = drawn(CELLS, gates, 3000)
    assert all(path[point] != none for path in paths for point in CELLS.operation_points)
    strongest = [gates["normal"][2 + source][1:].max() for source in range(3)]  # of the second node, behind two edges
    total, pairs = sum(strongest), Counter(path[last] for path in paths)
    for number, (one, other) in enumerate(((0, 1), (0, 2), (1, 2))):
        a, b = strongest[one] / total, strongest[other] / total
        assert pairs[number] / 3000 == pytest.approx(a * b / (1 - a) + b * a / (1 - b), abs=0.04)
    assert all(CELLS.path_of(CELLS.genotype_of(path, "drawn", "tests")) == path for path in paths[:20])


def test_a_gate_of_zero_is_not_drawn():
    gates = {"edges": np.eye(5)[[0, 1, 2, 3, 4, 0]]}
    assert set(drawn(BENCH, gates, 50)) == {(0, 1, 2, 3, 4, 0)}


def test_the_final_genotype_is_the_best_of_those_drawn_by_held_out_accuracy(tiny_recipe: Path):
    genotype, run = searched(tiny_recipe, "run", **CHOOSES), RunDirectory(tiny_recipe.parent / "run")
    settings, records = settings_of(tiny_recipe, **CHOOSES), run.records()
    space, source, device = load_space(settings.space), open_source(settings.data), torch.device("cpu")
    learner = make_learner(settings, space, source, device)
    put_back(learner, checkpoint.load(run.last))
    generator = torch.Generator().manual_seed(fold(settings.seed, PATHS))
    gates = as_matrices(records[-1]["gates"], space, "run")
    paths = [drawn_path(gates, space, generator) for _ in range(6)]
    _, held_out = check_fit(settings, space, source)
    images = partial(evaluation_batches, source, settings.data, held_out, device, torch.contiguous_format)
    accuracies = Evaluator(learner.supernet, images)(paths)
    assert len(set(accuracies)) > 1
    best = paths[accuracies.index(max(accuracies))]
    assert records[-1]["chosen"] == list(best)
    assert records[-1]["chosen_accuracy"] == max(accuracies)
    assert space.path_of(genotype) == best
    assert f"the best of 6 networks drawn from the gates: {max(accuracies):.2f} % on held-out images" in genotype.source
    assert read(run.path / "genotypes" / "final.yaml") == genotype
    found = genotypes_of(records, settings, space)[-1]
    assert (found.normal, found.reduce) == (genotype.normal, genotype.reduce)


def test_a_search_that_was_stopped_chooses_the_same(tiny_recipe: Path):
    whole = searched(tiny_recipe, "whole", **CHOOSES)
    with pytest.raises(Interrupted):
        searched(tiny_recipe, "cut", Watch(step=6), **CHOOSES)
    cut = searched(tiny_recipe, "cut", resume=True, **CHOOSES)
    paths = [tiny_recipe.parent / name for name in ("whole", "cut")]
    assert (cut.normal, cut.reduce) == (whole.normal, whole.reduce)
    assert metrics(paths[0]) == metrics(paths[1])
    (paths[1] / "genotypes" / "final.yaml").unlink()  # as if it was killed just before
    assert searched(tiny_recipe, "cut", resume=True, **CHOOSES) == cut
    assert metrics(paths[0]) == metrics(paths[1])


def test_to_choose_changes_no_step(tiny_recipe: Path):
    searched(tiny_recipe, "chosen", **CHOOSES)
    searched(tiny_recipe, "derived")
    states = [checkpoint.load(RunDirectory(tiny_recipe.parent / name).last) for name in ("chosen", "derived")]
    assert same(states[0]["supernet"], states[1]["supernet"])
    assert same(states[0]["alphas"], states[1]["alphas"])


def test_a_study_s_other_derivation_is_not_what_was_chosen(tiny_recipe: Path):
    searched(tiny_recipe, "run", **CHOOSES)
    settings = settings_of(tiny_recipe, **CHOOSES)
    records, space = RunDirectory(tiny_recipe.parent / "run").records(), load_space(settings.space)
    chosen, derived = (
        genotypes_of(records, own, space)[-1] for own in (settings, settings.model_copy(update={"choose": None}))
    )
    assert "networks drawn" in chosen.source
    assert "networks drawn" not in derived.source


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data.train_portion": "1.0", "architect.kind": "single_level"}, "leaves no images to choose a network by"),
        ({"derive.max_skips": "2"}, "derive.max_skips 2: binds what is derived, not networks that are drawn"),
        ({"choose.networks": "0"}, r"choose.networks: "),
        (
            {"edges": "softmax", "derive.method": "argmax", "derive.threshold": "null"},
            r"choose.networks \d+: judges networks whose edges have no shares",
        ),
    ],
)
def test_what_has_no_meaning_is_refused_in_one_line(tiny_recipe: Path, overrides: dict[str, str], message: str):
    with pytest.raises(UserError, match=message) as error:
        settings_of(tiny_recipe, **(CHOOSES | overrides))
    assert "\n" not in str(error.value)


def test_a_kind_of_space_without_drawn_paths_is_refused(tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch):
    settings = settings_of(tiny_recipe, **CHOOSES)
    monkeypatch.delitem(DRAWN, "cell")
    with pytest.raises(UserError, match=r"^choose: space .* is of kind cell, of which no paths are drawn"):
        check_fit(settings, load_space(settings.space), open_source(settings.data))

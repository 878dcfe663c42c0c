"""The supernet of NAS-Bench-101 against a plain form of its rules, in float64."""

from random import Random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from norms import lived_in
from plain_graph import CONV1, CONV3, POOL, Path, Plain, ways
from torch import Tensor, nn

from fairdarts.genotype import GraphGenotype
from fairdarts.networks.nasbench101 import Bench101Network, Cell
from fairdarts.spaces.gates import Gate, subnet
from fairdarts.spaces.nasbench101 import Bench101Space
from fairdarts.spaces.space import load_space
from fairdarts.supernet.nasbench101 import GraphCell, planned
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import Supernet, make_supernet

WHOLE = load_space("nasbench101")
SPACE = WHOLE.model_copy(update={"channels": 9, "cells": 1, "stacks": 2})


def masks(*sources: str) -> Path:
    """The inputs of vertices 1 to 6, each given as the digits of the vertices that it reads."""
    return tuple(sum(1 << int(source) for source in digits) for digits in sources)


PATHS = {
    "two branches of the input": (CONV3, CONV1, POOL, CONV3, CONV1, *masks("0", "01", "2", "0", "4", "035")),
    "input to output alone": (CONV3,) * 5 + masks("0", "1", "2", "3", "", "0"),
    "a chain": (CONV1, CONV3, POOL, CONV1, CONV3, *masks("0", "1", "2", "3", "4", "5")),
    "three into the output": (CONV3, CONV1, CONV3, POOL, CONV1, *masks("0", "01", "1", "", "4", "0123")),
    "pooling before a narrower vertex": (POOL, CONV3, CONV3, POOL, CONV3, *masks("0", "1", "", "", "12", "15")),
}
RANDOM = Random(0)
PATHS |= {f"random {number}": SPACE.random_path(RANDOM.randrange) for number in range(3)}


def whole_of(space: Bench101Space, settings: SupernetSettings) -> Supernet:
    torch.manual_seed(0)
    return lived_in(make_supernet(space, 4, 2, settings))


def run(whole: Supernet, path: Path, x: Tensor | None = None) -> Tensor:
    return whole(image() if x is None else x, whole.space.gates(subnet(path)))


def active_of(whole: Supernet, path: Path) -> list[nn.Module]:
    """The modules that run between stem and tail."""
    *active, tail = whole.active(whole.space.gates(subnet(path)))
    assert tail is whole.tail
    return active


def image() -> Tensor:
    return torch.randn(3, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def compare(whole: Supernet, path: Path, settings: SupernetSettings) -> None:
    """A pass and its gradients, of the supernet and of the plain form."""
    weights = dict(whole.named_parameters())
    plain, outcomes = Plain(whole, path, settings, SPACE.widths), []
    for form in (plain, lambda x: run(whole, path, x)):
        torch.manual_seed(2)
        out = form(image())
        grads = torch.autograd.grad((out * out.cos()).sum(), list(weights.values()), allow_unused=True)
        outcomes.append((out, dict(zip(weights, grads, strict=True))))
    (expected, wanted), (out, grads) = outcomes
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-10)
    for name, grad in grads.items():
        assert (grad is None) == (wanted[name] is None), name
        if grad is not None:
            torch.testing.assert_close(grad, wanted[name], rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("cut", ["fixed", "shuffle", "interpolate"])
def test_a_path_is_the_plain_network_of_cut_weights(cut: str, path: Path):
    settings = SupernetSettings(dynamic_channels=cut)
    compare(whole_of(SPACE, settings), path, settings)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_is_the_stand_alone_network_of_the_first_weights(path: Path):
    whole, graph = whole_of(SPACE, SupernetSettings()), SPACE.pruned(path)
    about = {"schema": 1, "name": "n", "space": "nasbench101", "source": ""}
    genotype = GraphGenotype(**about, operations=graph.operations, matrix=graph.matrix)
    alone = Bench101Network(genotype, SPACE, classes=4, in_channels=2).double()
    on_a_way = sorted({vertex for way in ways(path[5:]) for vertex in way})
    fill([*alone.stem.parameters(), *alone.stem.buffers()], [*whole.stem.parameters(), *whole.stem.buffers()])
    fill([*alone.tail.parameters()], [*whole.tail.parameters()])
    for cell, own in zip(alone.stages, whole.stages, strict=True):
        if not isinstance(cell, Cell):
            continue
        pairs = [(op, own.operations[v - 1][path[v - 1]]) for op, v in zip(cell.ops, on_a_way[1:-1], strict=True)]
        pairs += [(op, own.projections[on_a_way[int(place)] - 1]) for place, op in cell.projections.items()]
        for op, large in pairs:
            fill([*op.parameters(), *op.buffers()], [*large.parameters(), *large.buffers()])
    for training in (False, True):
        out = run(whole.train(training), path)
        torch.testing.assert_close(out, alone.train(training)(image()), rtol=1e-9, atol=1e-10)


def fill(small: list[Tensor], large: list[Tensor]) -> None:
    """Copies the first channels."""
    with torch.no_grad():
        for one, other in zip(small, large, strict=True):
            one.copy_(other[tuple(slice(size) for size in one.shape)] if one.dim() else other)


def of_one_number(edges: int) -> Path:
    space = load_space(f"nasbench101-{edges}")
    return space.random_path(Random(edges).randrange)


@pytest.mark.parametrize("edges", [1, 2, 4])
def test_channels_need_not_be_dynamic(edges: int):
    settings = SupernetSettings(dynamic_channels="disabled")
    space = SPACE.model_copy(update={"output_edges": edges})
    whole = whole_of(space, settings)
    compare(whole, of_one_number(edges), settings)
    equal = 9 // edges
    assert whole.tail[-1].in_features == 18 // edges * edges
    assert {norm.num_features for op in whole.stages[0].operations for norm in norms(op)} == {equal}
    assert whole.stages[2].projections[0].conv.weight.shape[:2] == (18 // edges, equal * edges)


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


SETTINGS = {
    "wsbn": SupernetSettings(wsbn=True),
    "path dropout": SupernetSettings(path_dropout=0.4),
    "ofa": SupernetSettings(ofa_kernel=True),
    "ofa and interpolation": SupernetSettings(ofa_kernel=True, dynamic_channels="interpolate"),
    "no weights": SupernetSettings(affine=False),
    "all": SupernetSettings(wsbn=True, path_dropout=0.3, ofa_kernel=True, affine=False, dynamic_channels="shuffle"),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", ["two branches of the input", "three into the output"])
def test_a_path_under_every_setting(name: str, settings: SupernetSettings):
    whole = whole_of(SPACE, settings)
    for part in whole.parameters():
        if part.shape == (1, 1):
            part.data.fill_(-0.7)  # a projection of a kernel that is not the identity
    compare(whole, PATHS[name], settings)
    compare(whole.eval(), PATHS[name], settings)


def test_batch_norms_need_not_track():
    settings = SupernetSettings()
    whole = whole_of(SPACE, settings)
    for norm in norms(whole):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    path = PATHS["two branches of the input"]
    compare(whole, path, settings)
    training = run(whole, path)
    torch.testing.assert_close(run(whole.eval(), path), training, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_active_names_exactly_the_modules_that_run(path: Path, settings: SupernetSettings):
    whole = whole_of(SPACE, settings)
    for norm in norms(whole):
        norm.num_batches_tracked.zero_()
    run(whole, path).sum().backward()
    active = active_of(whole, path)
    ran = nn.ModuleList([whole.stem, *active, whole.tail])
    assert {id(weight) for weight in whole.parameters() if weight.grad is not None} == {id(w) for w in ran.parameters()}
    moved = {id(norm) for norm in norms(whole) if norm.num_batches_tracked}
    assert moved == {id(norm) for norm in norms(ran)}
    assert len({*map(id, active)}) == len(active)


def test_sets_of_inputs_have_batch_norms_of_their_own_and_one_convolution():
    whole = whole_of(SPACE, SupernetSettings(wsbn=True))
    cell = whole.stages[0]
    assert [len(choices[CONV3].norms) for choices in cell.operations] == [1, 3, 7, 15, 31]
    assert [len(choices[CONV1].norms) for choices in cell.operations] == [1, 3, 7, 15, 31]
    assert {len(projection.norms) for projection in cell.projections} == {1}
    one = (CONV3, CONV3, CONV3, CONV3, CONV3, *masks("0", "01", "", "", "", "2"))
    other = (CONV3, CONV3, CONV3, CONV3, CONV3, *masks("0", "1", "", "", "", "2"))
    pruned = (CONV3, CONV3, CONV3, CONV3, CONV3, *masks("", "01", "", "", "", "2"))  # nothing feeds vertex 1
    moved = []
    for path in (one, other, pruned):
        before = [norm.running_mean.clone() for norm in cell.operations[1][CONV3].norms]
        with torch.no_grad():
            run(whole, path)
        after = [norm.running_mean for norm in cell.operations[1][CONV3].norms]
        moved.append([not old.equal(new) for old, new in zip(before, after, strict=True)])
    assert moved == [[False, False, True], [False, True, False], [True, False, False]]  # {0, 1}, {1}, {0}
    convs = [{id(part) for part in active_of(whole, path)} for path in (one, other)]
    assert id(cell.operations[1][CONV3].conv) in convs[0] & convs[1]


def test_dropout_before_the_mean_is_in_training_alone():
    torch.manual_seed(0)
    tail, x = (
        make_supernet(SPACE, 4, 2, SupernetSettings(global_dropout=0.5)).tail.double(),
        torch.randn(2, 18, 3, 3).double(),
    )
    plain = make_supernet(SPACE, 4, 2).tail.double()
    plain[-1].load_state_dict(tail[-1].state_dict())
    assert tail.eval()(x).equal(plain(x))
    torch.manual_seed(1)
    out = tail.train()(x)
    torch.manual_seed(1)
    assert out.equal(plain(F.dropout(x, 0.5)))


def test_stages_and_the_size_that_settings_give():
    stages = make_supernet(WHOLE.model_copy(update={"channels": 4}), 10).stages
    cells = [number for number, stage in enumerate(stages) if isinstance(stage, GraphCell)]
    assert cells == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert [stages[number].points for number in (0, 3)] == [tuple(range(11)), ()]
    shapes = [stages[number].projections[-1].conv.weight.shape[:2] for number in cells]
    assert shapes == [(4, 4)] * 3 + [(8, 4), (8, 8), (8, 8), (16, 8), (16, 16), (16, 16)]
    whole = make_supernet(WHOLE, 10, 3, SupernetSettings(cells=1, channels=6))
    cells = [stage for stage in whole.stages if isinstance(stage, GraphCell)]
    assert [cell.projections[-1].conv.weight.shape[:2] for cell in cells] == [(6, 6), (12, 6), (24, 12)]
    assert whole.stem[0].weight.shape[:2] == (6, 3)
    assert whole.tail[-1].in_features == 24


@pytest.mark.parametrize("affine", [True, False])
def test_affine_is_that_of_the_cells(affine: bool):
    whole = whole_of(SPACE, SupernetSettings(affine=affine))
    assert {norm.affine for norm in norms(whole.stages)} == {affine}
    assert {norm.affine for norm in norms(whole.stem)} == {True}


inputs_of_vertices = st.tuples(*(st.integers(0, 2**vertex - 1) for vertex in range(1, 7)))


@tries(max_examples=200, deadline=None)
@given(inputs_of_vertices, st.integers(5, 40))
def test_what_is_on_a_way_runs_with_the_channels_of_the_rule(inputs: Path, width: int):
    on_a_way = sorted({vertex for way in ways(inputs) for vertex in way})
    if not on_a_way:
        with pytest.raises(ValueError, match="no way leads from the cell's input to its output"):
            planned(inputs, width, False)
        return
    plan, equal = planned(inputs, width, False), planned(inputs, width, True)
    assert [vertex.number for vertex in plan.vertices] == on_a_way[1:-1]
    for number, sources, mask, _ in (*plan.vertices, (6, plan.sources, sum(1 << s for s in plan.sources), width)):
        assert list(sources) == [source for source in on_a_way if inputs[number - 1] >> source & 1]
        assert mask == sum(1 << source for source in sources)
    own = {vertex.number: vertex.channels for vertex in plan.vertices}
    ends = [source for source in plan.sources if source]
    if ends:
        assert sum(own[end] for end in ends) == width
        assert {own[end] - width // len(ends) for end in ends} <= {0, 1}
        assert {vertex.channels for vertex in equal.vertices} == {width // len(ends)}
    for number, _, _, channels in plan.vertices:
        readers = [vertex for vertex in plan.vertices if number in vertex.sources]
        assert all(vertex.channels <= channels for vertex in readers)
        if number not in ends:
            assert channels == max(vertex.channels for vertex in readers)


@pytest.mark.parametrize(
    "gate", [Gate((0, 1)), Gate(()), Gate((0,), 0.5), Gate((0,), torch.ones(1)), Gate((0, 1), torch.ones(2))], ids=str
)
@pytest.mark.parametrize("point", [0, 8])
def test_weights_and_several_active_candidates_are_refused(point: int, gate: Gate):
    whole = whole_of(SPACE, SupernetSettings())
    gates = list(SPACE.gates(subnet(PATHS["a chain"])))
    gates[point] = gate
    for use in (lambda: whole(image(), tuple(gates)), lambda: list(whole.active(tuple(gates)))):
        with pytest.raises(
            ValueError, match="NAS-Bench-101 runs paths only: one active candidate at every choice point"
        ):
            use()

"""Paths of DARTS' cells in their supernet against the stand-alone network and plain forms, in float64."""

from itertools import product
from random import Random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.genotype import CellGenotype
from fairdarts.networks.cell import CellNetwork
from fairdarts.ops.cell import FactorizedReduce
from fairdarts.ops.drop_path import drop_path
from fairdarts.spaces.cell import CellSpace, Size
from fairdarts.spaces.cell_paths import cells_of_path, input_pairs
from fairdarts.spaces.gates import Gates, SinglePath, subnet
from fairdarts.spaces.space import load_space
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import Supernet, make_supernet

DARTS = load_space("darts").model_copy(
    update={"nodes": 2, "supernet": Size(cells=3, channels=4), "reductions": ("1/3", "2/3"), "stem_multiplier": 2}
)
NONE, MAX, AVG, SKIP, SEP3, SEP5, DIL3, DIL5 = range(8)
RANDOM = Random(0)


def random_path(operations: tuple[int, ...] = tuple(range(8)), space: CellSpace = DARTS) -> SinglePath:
    points = enumerate(space.choices)
    return tuple(
        RANDOM.randrange(len(names)) if point in space.topology else RANDOM.choice(operations)
        for point, names in points
    )


WITHOUT_NONE = [random_path((MAX, AVG, SKIP, SEP3, SEP5, DIL3, DIL5)) for _ in range(4)]
EMPTY = [
    (0, SEP3, SEP5, 1, NONE, NONE, 0, SKIP, NONE, 2, MAX, AVG),  # a normal node without input
    (0, NONE, NONE, 1, AVG, SEP3, 0, NONE, NONE, 2, DIL3, SEP5),  # what reads one has none, too
    (0, SKIP, SEP3, 0, SEP3, SEP3, 0, NONE, NONE, 0, NONE, NONE),  # a reduction cell that gives zeros
]
PATHS = [*WITHOUT_NONE[:2], *EMPTY, random_path()]


def supernet(space: CellSpace = DARTS, **settings) -> Supernet:
    """A supernet in float64, with BatchNorms and projections that matter."""
    torch.manual_seed(0)
    whole = make_supernet(space, 3, 2, SupernetSettings(**settings))
    for name, weight in whole.named_parameters():
        if weight.dim() == 1 or "projection" in name:
            nn.init.normal_(weight, 0.5)
    return whole.double()


def gates_of(path: SinglePath, space: CellSpace = DARTS) -> Gates:
    return space.gates(subnet(path))


def run(whole: Supernet, path: SinglePath, x: Tensor) -> Tensor:
    return whole(x, gates_of(path, whole.space))


def plain(whole: Supernet, path: SinglePath, x: Tensor, drop: float = 0.0, dropout: float = 0.0) -> Tensor:
    """The same with the same modules, edge after edge, as the paper tells it."""
    stem, stages, tail = whole.stem, whole.stages, whole.tail
    s0 = s1 = stem(x)
    cells, width = cells_of_path(path, DARTS), 4
    for number, stage in enumerate(stages):
        reduction = number in DARTS.reduction_cells(3)
        width *= 2 if reduction else 1
        small = -(-s1.shape[2] // 2) if reduction else s1.shape[2]
        states: list[Tensor | None] = [stage.preprocess[0](s0), stage.preprocess[1](s1), None, None]
        for op, node, source in cells[reduction]:
            if op == "none" or states[source] is None:
                continue
            out = stage.candidates[DARTS.edges.index((node, source))][DARTS.candidates.index(op)](states[source])
            out = drop_path(out, drop)
            states[node] = out if states[node] is None else states[node] + out
        nodes = [torch.zeros(len(x), width, small, small).double() if y is None else y for y in states[2:]]
        s0, s1 = s1, torch.cat(nodes, 1)
    return tail.classifier(F.dropout(s1, dropout).mean((2, 3)))


def images(size: int = 8) -> Tensor:
    return torch.randn(4, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def gradients(logits: Tensor, weights: list[Tensor]) -> list[Tensor]:
    loss = F.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    return list(torch.autograd.grad(loss, weights, materialize_grads=True, allow_unused=True))


def close(one, other) -> None:
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def alone(whole: Supernet, path: SinglePath) -> tuple[nn.Module, list[tuple[nn.Module, nn.Module]]]:
    """The stand-alone network of a path, with copies of the supernet's weights, and what corresponds to what."""
    stem, stages, tail = whole.stem, whole.stages, whole.tail
    normal, reduce = ([edge for edge in edges if edge[0] != "none"] for edges in cells_of_path(path, DARTS))
    genotype = CellGenotype(schema=1, name="g", space="darts", source="", normal=normal, reduce=reduce)
    network = CellNetwork("cifar", genotype, DARTS, cells=3, channels=4, classes=3, in_channels=2).double()
    pairs = [(stem, network.stem.conv), (tail.classifier, network.classifier)]
    for stage, cell in zip(stages, network.cells, strict=True):
        pairs += [(stage.preprocess[int(key)], module) for key, module in cell.preprocess.items()]
        edges = normal if 0 in stage.points else reduce
        for (op, node, source), own in zip(edges, cell.ops, strict=True):
            pairs.append((stage.candidates[DARTS.edges.index((node, source))][DARTS.candidates.index(op)], own))
    for ours, its in pairs:
        its.load_state_dict(ours.state_dict())
    return network, pairs


CONVOLUTIONS = [random_path((SKIP, SEP3, SEP5, DIL3, DIL5)) for _ in range(3)]
ONE_INPUT = (0, SEP3, NONE, 1, SKIP, SEP5, 0, NONE, SKIP, 2, DIL5, NONE)


@pytest.mark.parametrize(
    ("path", "size"), [*((path, 8) for path in CONVOLUTIONS), (CONVOLUTIONS[2], 7), (ONE_INPUT, 8)]
)
def test_a_path_is_the_stand_alone_network(path: SinglePath, size: int):
    """Without poolings, behind which only a supernet has a BatchNorm; in training and in evaluation."""
    whole = supernet()
    network, pairs = alone(whole, path)
    logits = run(whole, path, images(size)), network(images(size))
    close(*logits)
    for ours, its in pairs:
        for one, other in zip(gradients_kept(logits[0], ours), gradients_kept(logits[1], its), strict=True):
            close(one, other)
    for module in (whole, network):
        module.eval()
    close(run(whole, path, images(size)), network(images(size)))  # statistics have moved alike


def gradients_kept(logits: Tensor, module: nn.Module) -> list[Tensor]:
    loss = F.cross_entropy(logits, torch.tensor([0, 1, 2, 0]))
    wanted = list(module.parameters())
    if not wanted:
        return []
    return list(torch.autograd.grad(loss, wanted, retain_graph=True, materialize_grads=True, allow_unused=True))


@pytest.mark.parametrize("path", PATHS, ids=str)
@pytest.mark.parametrize("settings", [{}, {"operations": "node", "affine": False}], ids=str)
def test_a_path_is_a_plain_loop_over_its_edges(path: SinglePath, settings: dict):
    whole = supernet(**settings)
    weights = list(whole.parameters())
    ours, other = run(whole, path, images()), plain(whole, path, images())
    close(ours, other)
    for one, two in zip(gradients(ours, weights), gradients(other, weights), strict=True):
        close(one, two)


@pytest.mark.parametrize("wsbn", [False, True])
@pytest.mark.parametrize("ofa_kernel", [False, True])
def test_operations_on_nodes_are_those_on_edges_with_equal_weights(wsbn: bool, ofa_kernel: bool):
    """Of edges into one node with one stride; with WSBN the BatchNorms are not equal."""
    node = supernet(operations="node", wsbn=wsbn, ofa_kernel=ofa_kernel)
    edge = supernet(operations="edge", ofa_kernel=ofa_kernel)
    edge.load_state_dict(node.state_dict())
    both = (0, SEP5, SEP5, 0, SKIP, SKIP, 0, SEP3, SEP3, 1, DIL3, DIL5)  # a node whose edges share
    for path in (both, WITHOUT_NONE[0]):
        logits = run(node, path, images()), run(edge, path, images())
        close(*logits)
        of_node, of_edge = (
            {key: weight for key, weight in whole.state_dict(keep_vars=True).items() if weight.requires_grad}
            for whole in (node, edge)
        )
        unique = list({id(weight): weight for weight in of_node.values()}.values())
        assert len(unique) == len(list(node.parameters())) < len(of_node)
        summed = {id(weight): torch.zeros_like(weight) for weight in unique}
        own = {id(weight): weight for weight in of_edge.values()}  # with OFA a kernel stands twice even on an edge
        found = dict(zip(own, gradients(logits[1], list(own.values())), strict=True))
        done = set()
        for key, weight in of_node.items():
            if id(of_edge[key]) not in done:
                summed[id(weight)] += found[id(of_edge[key])]
                done.add(id(of_edge[key]))
        for one, other in zip(gradients(logits[0], unique), summed.values(), strict=True):
            close(one, other)


def test_what_is_shared_on_nodes():
    row = {edge: number for number, edge in enumerate(DARTS.edges)}
    node = [supernet(operations="node", wsbn=wsbn).stages for wsbn in (False, True)]
    reduction = next(stage for stage in node[0] if 0 not in stage.points)
    assert reduction.candidates[row[3, 0]][SEP3] is reduction.candidates[row[3, 1]][SEP3]
    assert reduction.candidates[row[3, 0]][SEP3] is not reduction.candidates[row[3, 2]][SEP3]  # of stride 1
    assert reduction.candidates[row[3, 0]][SEP3] is not reduction.candidates[row[2, 0]][SEP3]
    ordinary, own = (next(stage for stage in stages if 0 in stage.points) for stages in node)
    assert len({id(ordinary.candidates[row[3, source]][SEP5]) for source in range(3)}) == 1
    assert len({id(own.candidates[row[3, source]][SEP5][2].weight) for source in range(3)}) == 1
    assert len({id(own.candidates[row[3, source]][SEP5][3].weight) for source in range(3)}) == 3
    assert len({id(own.candidates[row[3, source]][MAX][1].weight) for source in range(3)}) == 3


@pytest.mark.parametrize("operations", ["edge", "node"])
def test_kernels_of_one_kind_are_one(operations: str):
    """A 3×3 kernel is the centre of the 5×5 one, projected; what is pointwise is the same."""
    reduction = next(
        stage for stage in supernet(ofa_kernel=True, operations=operations).stages if 0 not in stage.points
    )
    x = images().repeat(1, 4, 1, 1)
    for row, (_, source) in enumerate(DARTS.edges):
        stride = 2 if source < 2 else 1
        for small, large, units, dilation in ((SEP3, SEP5, 2, 1), (DIL3, DIL5, 1, 2)):
            op, other = reduction.candidates[row][small], reduction.candidates[row][large]
            y = x
            for unit in range(units):
                depthwise, pointwise, norm = op[4 * unit + 1], op[4 * unit + 2], op[4 * unit + 3]
                centre = other[4 * unit + 1].weight[:, :, 1:4, 1:4].reshape(8, 9) @ depthwise.projection
                y = F.conv2d(
                    F.relu(y), centre.view(8, 1, 3, 3), None, 1 if unit else stride, dilation, dilation, groups=8
                )
                y = F.batch_norm(F.conv2d(y, other[4 * unit + 2].weight), None, None, norm.weight, norm.bias, True)
                assert norm is not other[4 * unit + 3]
                assert pointwise.weight is other[4 * unit + 2].weight
            close(op(x), y)


def test_projections_begin_as_identity():
    stage = make_supernet(DARTS, 3, 3, SupernetSettings(ofa_kernel=True)).stages[0]
    assert torch.equal(stage.candidates[0][SEP3][1].projection, torch.eye(9))


@pytest.mark.parametrize("path", [WITHOUT_NONE[0], EMPTY[0]], ids=str)
def test_dropout_of_edges_and_before_the_mean(path: SinglePath):
    """All edges, skip connections, too; in training alone, however BatchNorms are."""
    whole = supernet(path_dropout=0.3, global_dropout=0.4)
    outcomes = []
    for form in (lambda: run(whole, path, images()), lambda: plain(whole, path, images(), 0.3, 0.4)):
        torch.manual_seed(5)
        logits = form()
        outcomes.append([logits, *gradients(logits, list(whole.parameters()))])
    for one, other in zip(*outcomes, strict=True):
        close(one, other)
    whole.eval()
    close(run(whole, path, images()), plain(whole, path, images()))
    for module in whole.modules():
        module.train(isinstance(module, nn.BatchNorm2d))
    close(run(whole, path, images()), plain(whole, path, images()))


VARIANTS = [
    {},
    {"affine": False},
    {"operations": "node"},
    {"operations": "node", "wsbn": True, "ofa_kernel": True},
    {"ofa_kernel": True},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_what_is_active_is_what_gets_gradients(settings: dict):
    whole = supernet(**settings)
    for path in WITHOUT_NONE:
        whole.zero_grad()
        F.cross_entropy(run(whole, path, images()), torch.tensor([0, 1, 2, 0])).backward()
        trained = {id(weight) for weight in whole.parameters() if weight.grad is not None}
        active = [whole.stem, *whole.active(gates_of(path))]
        assert trained == {id(weight) for part in active for weight in part.parameters()}


@pytest.mark.parametrize("path", EMPTY, ids=str)
def test_what_is_active_is_what_runs(path: SinglePath):
    whole, ran = supernet(), set()
    for module in whole.stages.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(lambda module, *_: ran.add(module))
    run(whole, path, images())
    active = {module for part in whole.active(gates_of(path)) for module in part.modules()}
    assert ran == {module for module in active if isinstance(module, nn.Conv2d | nn.BatchNorm2d)}


def test_which_batchnorms_have_weights():
    whole = supernet(affine=False)
    stem = whole.stem
    assert not any(norm.affine for norm in whole.stages.modules() if isinstance(norm, nn.BatchNorm2d))
    assert stem[1].affine
    assert all(norm.affine for norm in supernet().stages.modules() if isinstance(norm, nn.BatchNorm2d))


def test_size_and_places():
    """Settings say how many cells and channels there are, else the space; nodes choose from all inputs before them."""
    whole = make_supernet(DARTS, 3, 3, SupernetSettings(cells=4, channels=6))
    stages = whole.stages
    assert [stage.channels for stage in stages] == [6, 12, 24, 24]
    assert [0 in stage.points for stage in stages] == [True, False, False, True]
    assert [isinstance(stage.preprocess[0], FactorizedReduce) for stage in stages] == [False, False, True, True]
    assert whole.tail.classifier.in_features == 2 * 24
    own = make_supernet(DARTS, 3).stages
    assert [stage.channels for stage in own] == [4, 8, 16]
    full = load_space("darts")
    assert (
        len(make_supernet(full, 3, 3, SupernetSettings(channels=2, cells=1)).stages[0].candidates)
        == len(full.edges)
        == 14
    )
    assert [len(input_pairs(node)) for node in (2, 3, 4, 5)] == [1, 3, 6, 10]


def test_all_paths_of_a_small_space_are_different_networks():
    space = DARTS.model_copy(update={"nodes": 1, "candidates": ("none", "skip_connect", "sep_conv_3x3")})
    whole = supernet(space).eval()
    found = [run(whole, path, images()) for path in product(range(1), range(3), range(3), range(1), range(3), range(3))]
    flat = torch.stack([logits.flatten() for logits in found])
    apart = torch.cdist(flat, flat) + torch.eye(len(flat))
    silent = [path for path in product(range(3), repeat=4) if path[2:] == (0, 0)]  # the last cell gives nothing
    assert len(found) == 81
    assert (apart < 1e-9).sum() == len(silent) * (len(silent) - 1)


def test_a_choice_too_many_is_refused():
    with pytest.raises(ValueError, match="too many values"):
        DARTS.gates(((0,), (1, 2), *((0,),) * 10))

"""Stand-alone networks: published sizes, what is built and left out, and that every shipped genotype trains."""

import math

import pytest
import torch
from torch import nn

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.genotype import CellGenotype, Edge
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.cell import Cell, CellNetwork
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.cell import FactorizedReduce
from fairdarts.spaces.space import load_space

S1 = load_space("s1")
SKIP = ("skip_connect", 2, 0)

PUBLISHED = {  # with the released models: parameters with the auxiliary head [M], multiply-adds [M]
    "a": ("2.83", "371.46"),  # published as 373, which counts more than convolutions and linear layers
    "b": ("3.88", "536"),
    "d": ("3.84", "532"),
    "e": ("3.12", "414"),
    "f": ("3.62", "497"),
    "g": ("3.38", "453"),
}


def printed(value: float, digits: str) -> bool:
    """Whether a value prints as these digits, cut or rounded."""
    scale = 10 ** len(digits.partition(".")[2])
    return round(float(digits) * scale) in (math.floor(value * scale), math.floor(value * scale + 0.5))


def cost_of(name: str, network: str = "cifar", image: int = 32) -> Cost:
    genotype, space = load_genotype(name)
    with torch.device("meta"):
        return count(build(genotype, space, NetworkSettings(size=network), auxiliary=True), image=image)


@pytest.mark.parametrize(("letter", "params", "madds"), [(letter, *values) for letter, values in PUBLISHED.items()])
def test_published_cifar_networks(letter, params, madds):
    cost = cost_of(f"fairdarts-{letter}")
    assert printed(cost.params_with_auxiliary / 1e6, params)
    assert printed(cost.madds / 1e6, madds)


def test_published_fairdarts_c_counts_parameters_without_the_head():
    cost = cost_of("fairdarts-c")
    assert printed(cost.params / 1e6, "2.59")
    assert printed(cost.madds / 1e6, "400")


def test_published_imagenet_network():
    cost = cost_of("fairdarts-b", "imagenet", 224)
    assert printed(cost.params / 1e6, "4.87")
    assert printed(cost.madds / 1e6, "541")


def genotype(normal: tuple[Edge, ...] = (SKIP,), reduce: tuple[Edge, ...] = (SKIP,)) -> CellGenotype:
    return CellGenotype(schema=1, name="g", space="s1", source="", normal=normal, reduce=reduce)


def test_a_network_of_one_operation_counted_by_hand():
    # one reduction cell of 8 channels behind a stem of 3·4 = 12; 16×16 images become 8×8
    network = CellNetwork("cifar", genotype(reduce=(("sep_conv_3x3", 2, 0),)), S1, cells=1, channels=4, classes=10)
    stem, preprocess, separable, classifier = 3 * 12 * 9, 12 * 8, 8 * 9 + 8 * 8, 8 * 10
    norms = 2 * 12 + 2 * 8 + 2 * (2 * 8)
    params = stem + preprocess + 2 * separable + classifier + 10 + norms
    madds = 256 * (stem + preprocess) + 64 * 2 * separable + classifier
    assert count(network, image=16) == Cost(params, params, madds)


def test_the_same_operation_at_stride_one():
    space = S1.model_copy(update={"reductions": ()})
    network = CellNetwork("cifar", genotype((("dil_conv_5x5", 2, 1),)), space, 1, 4, 10, in_channels=1)
    madds = 64 * (1 * 12 * 9 + 12 * 4 + 4 * 25 + 4 * 4) + 4 * 10
    assert count(network, in_channels=1, image=8).madds == madds


def test_forward_on_odd_images_gives_logits():
    darts, _ = load_genotype("darts-v2")
    network = CellNetwork("cifar", darts, S1, 4, 4, 7, in_channels=1).eval()
    assert network(torch.zeros(2, 1, 13, 10)).shape == (2, 7)


def test_auxiliary_logits_in_training_only():
    torch.manual_seed(0)
    darts, _ = load_genotype("darts-v2")
    network = CellNetwork("cifar", darts, S1, 3, 2, 5, auxiliary=True)
    x = torch.randn(2, 3, 32, 32)
    logits, auxiliary = network(x)
    assert logits.shape == auxiliary.shape == (2, 5)
    assert network.eval()(x).shape == (2, 5)
    assert CellNetwork("cifar", darts, S1, 3, 2, 5).train()(x).shape == (2, 5)


def test_the_auxiliary_head_stands_behind_the_second_reduction():
    fair, _ = load_genotype("fairdarts-a")
    for cells in (8, 14, 20):
        with torch.device("meta"):
            network = CellNetwork("cifar", fair, S1, cells, 2, 5, auxiliary=True)
        assert network.auxiliary_at == max(S1.reduction_cells(cells))
        assert network.auxiliary[2].in_channels == network.cells[network.auxiliary_at].channels == 4 * 8


def test_nodes_that_nothing_feeds_do_not_widen_the_concatenation():
    fair, _ = load_genotype("fairdarts-a")
    network = CellNetwork("cifar", fair, S1, 3, 4, 5)
    assert [cell.concat for cell in network.cells] == [(2, 4, 5), (2, 3, 4, 5), (2, 3, 4, 5)]
    assert [cell.channels for cell in network.cells] == [3 * 4, 4 * 8, 4 * 16]
    assert network.classifier.in_features == 4 * 16


def test_an_operation_that_reads_an_unfed_node_is_not_built():
    cell = Cell((SKIP, ("sep_conv_5x5", 4, 3), ("dil_conv_3x3", 4, 2)), 6, 6, 4, False, False)
    assert [op for op, _, _ in cell.edges] == ["skip_connect", "dil_conv_3x3"]
    assert len(cell.ops) == 2
    assert cell(torch.ones(2, 6, 4, 4), torch.ones(2, 6, 4, 4), 0.0).shape == (2, 2 * 4, 4, 4)


@pytest.mark.parametrize("kind", ["normal", "reduce"])
@pytest.mark.parametrize("edges", [(), (("sep_conv_3x3", 4, 3),)])
def test_a_cell_without_operations_makes_no_network(kind, edges):
    with pytest.raises(UserError, match=f"^g: the {kind} cell has no operation"):
        CellNetwork("cifar", genotype(**{kind: edges}), S1, 3, 4, 5)


def test_an_input_that_no_operation_reads_has_no_preprocessing():
    for source in (0, 1):
        cell = Cell((("max_pool_3x3", 2, source),), 6, 8, 4, False, True)
        assert list(cell.preprocess) == [str(source)]
    assert isinstance(Cell((SKIP,), 6, 8, 4, False, True).preprocess["0"], FactorizedReduce)


def test_a_cell_sums_what_reads_its_inputs():
    torch.manual_seed(0)
    edges = (("skip_connect", 2, 0), ("max_pool_3x3", 2, 1), ("avg_pool_3x3", 3, 2))
    cell = Cell(edges, 6, 6, 4, False, False).eval()
    s0, s1 = torch.randn(2, 2, 6, 5, 5)
    first, second = cell.preprocess["0"](s0), cell.preprocess["1"](s1)
    node = first + nn.functional.max_pool2d(second, 3, 1, 1)
    after = nn.functional.avg_pool2d(node, 3, 1, 1, count_include_pad=False)
    torch.testing.assert_close(cell(s0, s1, 0.0), torch.cat([node, after], 1))


def test_a_cell_concatenates_the_nodes_it_is_told():
    torch.manual_seed(0)
    edges = (("skip_connect", 2, 0), ("skip_connect", 2, 1), ("avg_pool_3x3", 3, 2), ("max_pool_3x3", 4, 2))
    whole, some = (Cell(edges, 6, 6, 4, False, False, concat).eval() for concat in (None, (3, 4)))
    some.load_state_dict(whole.state_dict())
    s0, s1 = torch.randn(2, 2, 6, 5, 5)
    assert torch.equal(some(s0, s1, 0.0), whole(s0, s1, 0.0)[:, 4:])
    assert (whole.channels, some.channels) == (12, 8)
    assert torch.equal(torch.jit.script(some)(s0, s1, 0.0), some(s0, s1, 0.0))


def test_a_reduction_cell_halves_inputs_but_not_nodes():
    cell = Cell((("max_pool_3x3", 2, 0), ("skip_connect", 2, 1), ("skip_connect", 3, 2)), 6, 6, 4, True, False)
    assert [type(op) for op in cell.ops] == [nn.MaxPool2d, FactorizedReduce, nn.Identity]
    assert cell(torch.ones(2, 6, 8, 8), torch.ones(2, 6, 8, 8), 0.0).shape == (2, 8, 4, 4)


def test_drop_path_in_training_only():
    torch.manual_seed(0)
    cell = Cell((("max_pool_3x3", 2, 0),), 4, 4, 4, False, False)
    x = torch.randn(32, 4, 4, 4)
    whole, dropped = cell(x, x, 0.0), cell(x, x, 0.5)
    kept = dropped.flatten(1).any(1)
    assert 0 < int(kept.sum()) < 32
    torch.testing.assert_close(dropped[kept], 2 * whole[kept])
    cell.eval()
    assert torch.equal(cell(x, x, 0.5), cell(x, x, 0.0))


def test_drop_path_spares_identities_only():
    torch.manual_seed(0)
    x = torch.randn(32, 4, 4, 4)
    identity = Cell((SKIP, ("skip_connect", 3, 2)), 4, 4, 4, False, False)
    assert torch.equal(identity(x, x, 0.9), identity(x, x, 0.0))
    factorized = Cell((SKIP,), 4, 4, 4, True, False)
    assert not factorized(x, x, 0.9).flatten(1).any(1).all()


def test_drop_probability_may_be_raised_while_training():
    torch.manual_seed(0)
    network = CellNetwork("cifar", genotype((("max_pool_3x3", 2, 1),), (("max_pool_3x3", 2, 1),)), S1, 3, 4, 5)
    x = torch.randn(8, 3, 8, 8)
    plain = network(x)
    assert torch.equal(plain, network(x))
    network.drop_probability = 0.5
    assert not torch.equal(plain, network(x))


CELLS = [name for name in resources.names("genotypes") if isinstance(load_genotype(name)[0], CellGenotype)]


@pytest.mark.parametrize("name", CELLS)
def test_every_shipped_genotype_of_cells_trains(name):
    torch.manual_seed(0)
    network = CellNetwork("cifar", *load_genotype(name), cells=4, channels=4, classes=3)
    logits = network(torch.randn(4, 3, 8, 8))
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", ["fairdarts-b", "darts-v2"])
def test_imagenet_networks_run_at_64_pixels(name):
    network = CellNetwork("imagenet", *load_genotype(name), cells=4, channels=4, classes=11)
    logits = network(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 11)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    s0, s1 = network.stem(torch.zeros(1, 3, 64, 64))
    assert (s0.shape, s1.shape) == ((1, 4, 16, 16), (1, 4, 8, 8))


def test_the_imagenet_auxiliary_head_wants_224_pixels():
    fair, _ = load_genotype("fairdarts-a")
    network = CellNetwork("imagenet", fair, S1, 3, 2, 11, auxiliary=True)
    assert isinstance(network.auxiliary[6], nn.Identity)  # DARTS' ImageNet head lacks this BatchNorm
    logits, auxiliary = network(torch.zeros(2, 3, 224, 224))
    assert logits.shape == auxiliary.shape == (2, 11)

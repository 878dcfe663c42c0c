"""Networks of chain genotypes: published counts, and how choices add up."""

import pytest
import torch
from torch import nn

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import ChainGenotype
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.chain import ChainNetwork
from fairdarts.networks.sizes import sizes
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.mbconv import SqueezeExcite, choice
from fairdarts.spaces.space import load_space

S2 = load_space("s2")
SMALL = load_space("s2-small")
# Exact counts at 1000 classes and 224 px of the networks that FairNAS' authors released.
FAIRNAS = {
    "fairnas-a": (4_651_352, 388_122_848),
    "fairnas-b": (4_506_272, 345_297_632),
    "fairnas-c": (4_397_864, 321_024_992),
}
CHAINS = [name for name in resources.names("genotypes") if isinstance(load_genotype(name)[0], ChainGenotype)]


def small(*changed: tuple[int, tuple[str, ...]]) -> ChainGenotype:
    layers = [("E3K3",)] * 19
    for number, choices in changed:
        layers[number] = choices
    return ChainGenotype(schema=1, name="n", space="s2-small", source="", layers=tuple(layers))


@pytest.mark.parametrize("name", FAIRNAS)
def test_counts_are_those_of_fairnas(name: str):
    params, madds = FAIRNAS[name]
    with torch.device("meta"):
        network = build(*load_genotype(name))
    assert count(network, image=224) == (params, params, madds)


@pytest.mark.parametrize("name", CHAINS)
def test_every_shipped_genotype_of_layers_trains(name: str):
    torch.manual_seed(0)
    logits = build(*load_genotype(name))(torch.randn(2, 3, 32, 32))
    nn.functional.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert logits.shape == (2, 1000)


def test_the_13_models_of_the_ranking_are_those_of_table_5():
    space = load_space("fairnas-a")
    paths = [space.path_of(load_genotype(f"fairnas-meta-{number}")[0]) for number in range(13)]
    assert paths[0] == (0,) * 16
    assert paths[12] == (1, 5, 3, 2, 1, 4, 3, 4, 1, 5, 1, 1, 3, 5, 5, 3)
    assert [sum(path) for path in paths] == [0, 1, 2, 4, 5, 5, 10, 15, 17, 22, 33, 32, 47]  # of the printed digits
    assert space.size() == 6**16


def test_a_residual_block_adds_its_input_where_the_shape_is_kept():
    torch.manual_seed(0)
    block = choice("MBE3K5", 4, 4, 1, True)
    x = torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x + block.block(x))
    for c_out, stride in ((6, 1), (4, 2)):
        names = [key for key, _ in choice("MBE3K5", 4, c_out, stride, True).named_parameters()]
        assert names == [key for key, _ in choice("E3K5", 4, c_out, stride, True).named_parameters()]


@pytest.mark.parametrize("key", ["00000000", "22222222", "02012100", "11111221", "00000001", "20000000"])
def test_counts_are_those_of_nas_bench_macro(macro: dict, key: str):
    space = load_space("nas-bench-macro")
    with torch.device("meta"):
        network = build(space.genotype_of(tuple(map(int, key)), key, ""), space)
    cost = count(network)
    assert (cost.params, cost.madds) == (macro[key]["params"], macro[key]["flops"])


def test_a_block_alone_has_no_residual_and_with_a_skip_it_is_the_residual_block():
    torch.manual_seed(0)
    alone, beside = ChainNetwork(small(), SMALL, 3), ChainNetwork(small((1, ("E3K3", "skip_connect"))), SMALL, 3)
    beside.load_state_dict(alone.state_dict())  # an identity has no weights
    x = torch.randn(2, 8, 6, 6)
    for network in (alone, beside):
        network.eval()
    torch.testing.assert_close(beside.layers[1](x), alone.layers[1](x) + x)


def test_two_blocks_of_a_layer_are_summed():
    torch.manual_seed(0)
    layer = ChainNetwork(small((0, ("E6K5", "E3K7"))), SMALL, 3).eval().layers[0]
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(layer(x), layer.choices["E6K5"](x) + layer.choices["E3K7"](x))
    assert layer(x).shape == (2, 8, 4, 4)


def test_a_removed_layer_is_the_identity_and_costs_nothing():
    whole, removed, skipped = (
        count(ChainNetwork(small((1, choices)), SMALL, 3), image=32) for choices in (("E3K3",), (), ("skip_connect",))
    )
    assert removed == skipped
    assert removed.params < whole.params
    assert type(ChainNetwork(small((1, ())), SMALL, 3).layers[1]) is nn.Identity


def test_options_of_the_network():
    network = ChainNetwork(small(), SMALL, 5, in_channels=1, dropout=0.5, se_ratio=1.0, activation="swish")
    assert network(torch.randn(2, 1, 32, 32)).shape == (2, 5)
    assert sum(isinstance(module, SqueezeExcite) for module in network.modules()) == 19
    assert not any(isinstance(module, nn.ReLU6) for module in network.modules())
    assert network.dropout.p == 0.5
    assert ChainNetwork(small(), SMALL, 5).dropout.p == SMALL.networks.imagenet.dropout
    assert not any(isinstance(module, SqueezeExcite) for module in ChainNetwork(small(), SMALL, 5).modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "tanh"}, "activation: 'tanh': should be one of relu6, relu, swish"),
        ({"se_ratio": 2.0}, "se_ratio: 2"),
        ({"dropout": 1.0}, "dropout: 1.0: should be from 0 to below 1"),
    ],
)
def test_options_out_of_range_are_named(options: dict, message: str):
    with pytest.raises(UserError, match=message):
        ChainNetwork(small(), SMALL, 5, **options)


def test_a_network_that_the_space_does_not_state_is_named():
    assert sizes(S2) == ("imagenet",)
    assert sizes(load_space("s1")) == ("cifar", "imagenet")
    with pytest.raises(UserError, match="n: space s2-small has no cifar network, only imagenet"):
        build(small(), SMALL, NetworkSettings(size="cifar"))

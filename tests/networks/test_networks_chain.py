"""Networks of chain genotypes: published counts, and how choices add up."""

import pytest
import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import ChainGenotype
from fairdarts.networks.chain import ChainNetwork
from fairdarts.networks.zoo import build, sizes
from fairdarts.ops.mbconv import SqueezeExcite
from fairdarts.spaces.space import load_space

S2 = load_space("s2")
SMALL = load_space("s2-small")
# (expansion, kernel) of every layer, and exact counts at 1000 classes and 224 px (FairNAS, as its authors released it).
FAIRNAS = {
    "a": ("37 33 37 63 67 33 33 67 67 35 63 35 35 63 63 67 63 67 65", 4_651_352, 388_122_848),
    "b": ("35 33 35 33 63 35 37 33 63 35 33 63 37 33 67 65 67 63 65", 4_506_272, 345_297_632),
    "c": ("35 33 37 33 33 33 33 33 33 63 33 33 33 33 67 67 63 63 65", 4_397_864, 321_024_992),
}


def residual(blocks: str) -> ChainGenotype:
    """Every block with a skip connection beside it where the shape is kept, as in MobileNetV2."""
    layers = [
        (f"E{block[0]}K{block[1]}", *(("skip_connect",) if layer.keeps_shape else ()))
        for block, layer in zip(blocks.split(), S2.layers, strict=True)
    ]
    return ChainGenotype(schema=1, name="n", space="s2", source="", layers=tuple(layers))


def small(*changed: tuple[int, tuple[str, ...]]) -> ChainGenotype:
    layers = [("E3K3",)] * 19
    for number, choices in changed:
        layers[number] = choices
    return ChainGenotype(schema=1, name="n", space="s2-small", source="", layers=tuple(layers))


@pytest.mark.parametrize("name", FAIRNAS)
def test_counts_are_those_of_fairnas(name: str):
    blocks, params, madds = FAIRNAS[name]
    with torch.device("meta"):
        network = build(residual(blocks), S2)
    cost = count(network, image=S2.networks.imagenet.image)
    assert (cost.params, cost.params_with_auxiliary, cost.madds) == (params, params, madds)


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
        ({"activation": "relu"}, "activation: 'relu': should be one of relu6, swish"),
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
        build(small(), SMALL, "cifar")

"""What a network costs, counted another way."""

import pytest
import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.zoo import load_genotype


def small(name: str = "fairdarts-b", auxiliary: bool = True) -> CellNetwork:
    return CellNetwork("cifar", *load_genotype(name), cells=4, channels=4, classes=10, auxiliary=auxiliary)


def by_hooks(network: nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds from the shapes that every convolution and linear layer sees."""
    total = 0

    def add(module: nn.Module, _: tuple, out: torch.Tensor) -> None:
        nonlocal total
        total += out.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    with torch.no_grad():
        network.eval()(x)
    return total


@pytest.mark.parametrize("name", ["fairdarts-b", "fairdarts-a", "darts-v2"])
def test_multiply_adds_are_those_of_convolutions_and_linear_layers(name):
    network = small(name)
    assert count(network, image=15).madds == by_hooks(network, torch.zeros(1, 3, 15, 15))


@pytest.mark.parametrize("name", ["fairdarts-a", "nasnet-a"])
def test_fairdarts_authors_count_what_averages_too(name: str):
    """thop: a pooling of a kernel k gives every value for k + 1, and a mean every value for its pixels + 1."""
    network, image, pooled = small(name), 16, 0

    def add(module: nn.Module, _: tuple, out: torch.Tensor) -> None:
        nonlocal pooled
        pooled += (3 + 1) * out.numel()

    for cell in network.cells:
        for op in cell.ops:
            if isinstance(op, nn.AvgPool2d):
                op.register_forward_hook(add)
    cost = count(network, image=image, rule="fairdarts")
    assert pooled > 0
    assert cost.madds == count(small(name), image=image).madds + pooled + network.num_features * (4 * 4 + 1)


def test_poolings_of_every_form_are_counted_by_fairdarts_authors_rule():
    x = torch.zeros(1, 2, 6, 6)
    for layer, madds in (
        (nn.AvgPool2d(2), 2 * 9 * (2 + 1)),
        (nn.AvgPool2d((2, 3)), 2 * 6 * (6 + 1)),
        (nn.AdaptiveAvgPool2d(1), 2 * (36 + 1)),
        (nn.MaxPool2d(2), 0),
    ):
        assert count(layer, 2, 6, rule="fairdarts").madds == madds, layer
        assert count(layer, 2, 6).madds == 0
        assert layer(x).shape[1] == 2


def test_a_scripted_network_is_not_counted_by_fairdarts_authors_rule():
    layer = nn.Conv2d(3, 4, 3)
    scripted = torch.jit.script(layer)
    assert count(scripted).madds == count(layer).madds > 0
    with pytest.raises(UserError, match=r"^count: fairdarts: a scripted network shows"):
        count(scripted, rule="fairdarts")


@pytest.mark.parametrize("image", [8, 16])
def test_a_network_without_memory_costs_the_same(image):
    with torch.device("meta"):
        there = small()
    assert count(there, image=image) == count(small(), image=image)


def test_the_auxiliary_head_counts_only_where_it_is_named():
    cost, bare = count(small()), count(small(auxiliary=False))
    assert cost.params == bare.params == bare.params_with_auxiliary
    assert cost.madds == bare.madds
    assert cost.params_with_auxiliary - cost.params == sum(p.numel() for p in small().auxiliary.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_network_as_it_was(training):
    network = small().train(training)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    count(network)
    assert {module.training for module in network.modules()} == {training}
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_counting_leaves_a_frozen_part_frozen():
    network = small().train()
    network.stem.eval()
    count(network)
    assert network.training
    assert not network.stem.training

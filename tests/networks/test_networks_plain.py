"""A stand-alone network is plain PyTorch: modules that other tools know, and a trace that can be saved."""

import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fairdarts.cost.count import count
from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.networks.atrous import DilatedAvgPool, DilatedMaxPool
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.create import create_model
from fairdarts.networks.deeplab import DeepLabSettings, build_deeplab
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.cell import Zero
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import load_space

CIFAR = NetworkSettings(cells=3, channels=4)
IMAGENET = NetworkSettings(size="imagenet", cells=4, channels=4)
OURS = {Zero, DilatedAvgPool, DilatedMaxPool}
"""modules without children that are none of torch's; nothing in them is counted"""

SUMS = ChainGenotype(name="sums", space="s2-small", source="", layers=((("E3K3", "skip_connect"), ()) * 10)[:19])
"""layers of two choices, and between them layers that were removed"""


def every_operation(space: CellSpace) -> CellGenotype:
    """Cells that have all operations, on both kinds of input."""
    names = [name for name in space.candidates if name != "none"]
    edges = tuple((name, 2 + number % 4, number % 2) for number, name in enumerate(names * 2))
    return CellGenotype(name="every", space="s1", source="", normal=edges, reduce=edges[::-1])


def of_space(name: str, path: tuple[int, ...], **shrunk: object) -> nn.Module:
    space = load_space(name).model_copy(update=shrunk)
    return build(space.genotype_of(path, "own", ""), space, classes=5)


def atrous(stride: int) -> nn.Module:
    space = load_space("s1")
    genotype = every_operation(space)
    return build_deeplab(genotype, space, IMAGENET, DeepLabSettings(output_stride=stride, decoder=False), 5)


def recomputed() -> nn.Module:
    network = create_model("fairdarts-b", network=CIFAR)
    network.set_grad_checkpointing()
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cells": lambda: build(every_operation(load_space("s1")), load_space("s1"), CIFAR),
    "cells with auxiliary head": lambda: build(*load_genotype("fairdarts-a"), CIFAR, auxiliary=True),
    "cells for large images": lambda: build(every_operation(load_space("s1")), load_space("s1"), IMAGENET),
    "cells, recomputed": recomputed,
    "chain": lambda: create_model("fairnas-a", num_classes=5),
    "chain with squeeze-and-excitation": lambda: create_model("fairnas-c-se", num_classes=5),
    "chain of sums": lambda: build(SUMS, load_space("s2-small"), classes=5),
    "output stride": lambda: create_model("fairdarts-b", network=IMAGENET, output_stride=8, num_classes=5),
    "features": lambda: create_model("fairnas-b", features_only=True),
    "DeepLab": lambda: atrous(16),
    "DeepLab, stride 8": lambda: atrous(8),
    "NAS-Bench-101": lambda: of_space("nasbench101-1", (0, 1, 2, 0, 1) * 3, channels=4),
    "NAS-Bench-201": lambda: of_space("nasbench201", (0, 1, 2, 3, 4, 3), channels=4, cells=1),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    built = NETWORKS[request.param]().eval()
    for norm in (module for module in built.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean, std=0.1)  # else the signal dies out on its way
    return built


def outputs(network: Callable, x: Tensor) -> list[Tensor]:
    out = network(x)
    return out if isinstance(out, list) else [out]


def test_its_modules_are_exactly_those_that_counters_know(network: nn.Module):
    leaves = {type(module) for module in network.modules() if next(module.children(), None) is None}
    assert {kind for kind in leaves if not kind.__module__.startswith("torch.nn.modules.")} <= OURS
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert {type(module) for module in convolutions} == {nn.Conv2d}
    assert not any("forward" in vars(module) for module in network.modules())


ALIKE = ("DeepLab, stride 8", "chain with squeeze-and-excitation", "cells, recomputed")
"""whose traces take long, and are as others are"""


@pytest.mark.parametrize(
    "network",
    [pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in NETWORKS],
    indirect=True,
)
@pytest.mark.filterwarnings("error::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit.(trace|save|load)")
def test_its_trace_can_be_saved_and_gives_the_same(network: nn.Module):
    strict = not hasattr(network, "out_indices")  # a list of maps is traced as timm's is
    trace = torch.jit.trace(network, torch.randn(1, 3, 64, 64), strict=strict)
    torch.jit.save(trace, file := io.BytesIO())
    file.seek(0)
    read, x = torch.jit.load(file), torch.randn(2, 3, 64, 64)
    for own, expected in zip(outputs(read, x), outputs(network, x), strict=True):
        assert torch.equal(own, expected)


def test_a_trace_shows_every_convolution_that_runs(network: nn.Module):
    ran = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, *_: ran.append(module))
    graph, _ = torch.jit._get_trace_graph(network, torch.randn(1, 3, 64, 64), strict=False)
    assert [node.kind() for node in graph.nodes()].count("aten::_convolution") == len(ran) > 0


def test_it_is_counted_alike_with_gradients_and_without(network: nn.Module):
    expected = count(network, image=64).madds
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(1, 3, 64, 64))
    assert counter.get_total_flops() == 2 * expected


@pytest.mark.parametrize("kind", ["cells", "chain", "DeepLab"])
def test_functions_of_its_weights_can_be_transformed(kind: str):
    """Gradients image by image, as torch.func gives them: a function of our own would have to bring a rule for it."""
    torch.manual_seed(0)
    network = NETWORKS[kind]().eval()
    weights = {name: weight.detach() for name, weight in network.named_parameters()}

    def total(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(network, weights, (x[None],)).square().sum()

    x = torch.randn(2, 3, 32, 32)
    each = torch.func.vmap(torch.func.grad(total), in_dims=(None, 0))(weights, x)
    network(x).square().sum().backward()
    for name, weight in network.named_parameters():
        torch.testing.assert_close(each[name].sum(0), weight.grad, rtol=1e-2, atol=1e-3)

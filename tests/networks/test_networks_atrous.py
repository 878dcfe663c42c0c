"""Output stride: the dense network has the strided one's features at every n-th pixel."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.config import UserError
from fairdarts.networks.atrous import DilatedAvgPool, DilatedMaxPool, dilate, set_output_stride
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.create import create_model
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.cell import OPS, FactorizedReduce
from fairdarts.ops.depthwise import convolve, depthwise

CIFAR = NetworkSettings(cells=4, channels=4)
IMAGENET = NetworkSettings(size="imagenet", cells=4, channels=4)
CASES = [
    ("fairnas-a", None, 64, 16, [2, 4, 8, 16, 16]),
    ("fairnas-a", None, 64, 8, [2, 4, 8, 8, 8]),
    ("fairnas-a", None, 32, 2, [2, 2, 2, 2, 2]),
    ("fairdarts-a", CIFAR, 32, 2, [1, 2, 2]),
    ("fairdarts-a", CIFAR, 32, 1, [1, 1, 1]),
    ("darts-v2", CIFAR, 32, 2, [1, 2, 2]),
    ("fairdarts-a", IMAGENET, 64, 16, [4, 8, 16, 16]),
    ("fairdarts-b", IMAGENET, 64, 8, [4, 8, 8, 8]),
]


@pytest.mark.parametrize(("name", "network", "image", "stride", "reductions"), CASES)
def test_the_dense_features_are_the_strided_ones_at_every_nth_pixel(name, network, image, stride, reductions):
    torch.manual_seed(0)
    options = {"features_only": True, "network": network, "dtype": torch.float64}
    strided, dense = create_model(name, **options), create_model(name, output_stride=stride, **options)
    x = torch.randn(2, 3, image, image, dtype=torch.float64)
    strided.train()(x)  # statistics that are not those of a fresh BatchNorm
    dense.load_state_dict(strided.state_dict())
    assert dense.feature_info.reduction() == reductions
    pairs = zip(strided.eval()(x), dense.eval()(x), strided.feature_info.reduction(), reductions, strict=True)
    for few, many, old, new in pairs:
        assert many.shape[2:] == (image // new, image // new)
        step = old // new
        torch.testing.assert_close(many[:, :, ::step, ::step], few, atol=1e-12, rtol=0)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("gap", [1, 2, 4])
def test_an_operation_loses_its_stride(op: str, gap: int):
    torch.manual_seed(0)
    strided = OPS[op](4, 2, True).double().eval()
    dense = OPS[op](4, 2, True).double().eval()
    dense.load_state_dict(strided.state_dict())
    x = torch.randn(2, 4, 16 * gap, 16 * gap, dtype=torch.float64)
    if op == "none":
        return  # no genotype has it
    out = dilate(dense, gap)(x)
    assert out.shape == x.shape
    torch.testing.assert_close(out[:, :, :: 2 * gap, :: 2 * gap], strided(x[:, :, ::gap, ::gap]), atol=1e-12, rtol=0)


def test_pools_of_neighbouring_pixels_are_torch_s_own():
    x = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(DilatedAvgPool(1)(x), F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))
    torch.testing.assert_close(DilatedMaxPool(1)(x), F.max_pool2d(x, 3, 1, 1))


@pytest.mark.parametrize("size", [37, 45])
def test_odd_images_are_rounded_up(size: int):
    features = create_model("fairdarts-b", features_only=True, network=IMAGENET, output_stride=8).eval()
    assert [x.shape[2] for x in features(torch.zeros(1, 3, size, size))] == [-(-size // s) for s in (4, 8, 8, 8)]


@pytest.mark.parametrize("name", ["fairnas-a", "fairdarts-a"])
def test_a_dense_network_trains(name: str):
    network = create_model(name, num_classes=3, output_stride=2, network=CIFAR if "darts" in name else None)
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("dilation", [2, 3, 4, 8])
def test_gradients_of_wide_dilations(kernel: int, dilation: int):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 11, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(2, 3, 11, 12, dtype=torch.float64)
    ours, torchs = (torch.autograd.grad(f(x, weight, 1, dilation), (x, weight), pull) for f in (depthwise, convolve))
    for own, expected in zip(ours, torchs, strict=True):
        torch.testing.assert_close(own, expected)


def test_a_whole_network_has_the_strides_that_stand_behind_its_stem():
    network = create_model("fairnas-a", output_stride=32)
    assert not any(isinstance(module, DilatedAvgPool | FactorizedReduce) for module in network.modules())
    assert [module.stride for module in network.modules() if isinstance(module, nn.Conv2d)].count((2, 2)) == 5


@pytest.mark.parametrize(
    ("name", "stride", "known"),
    [("fairnas-a", 64, "2, 4, 8, 16, 32"), ("fairdarts-a", 3, "1, 2, 4"), ("fairdarts-a-imagenet", 4, "8, 16, 32")],
)
def test_other_strides_are_named(name: str, stride: int, known: str):
    with torch.device("meta"), pytest.raises(UserError, match=f"^output_stride: {stride}: should be one of {known}$"):
        create_model(name, output_stride=stride)


def test_an_auxiliary_head_is_for_one_resolution():
    network = build(*load_genotype("fairdarts-a"), CIFAR, auxiliary=True)
    with pytest.raises(UserError, match="output_stride: 2: not with an auxiliary head"):
        set_output_stride(network, 2)

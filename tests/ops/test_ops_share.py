"""Operations that share their convolutions and keep their BatchNorms (WSBN)."""

import pytest
import torch
from torch import nn

from fairdarts.ops import cell
from fairdarts.ops.ofa import share_kernels
from fairdarts.ops.share import with_own_norms


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "skip_connect", "max_pool_3x3"])
def test_all_weights_are_shared_but_those_of_norms(name: str, affine: bool):
    first = cell.OPS[name](4, 2, affine)
    other = with_own_norms(first)
    of_norms = {id(weight) for norm in norms(first) for weight in norm.parameters()}
    for (key, one), (again, two) in zip(first.named_parameters(), other.named_parameters(), strict=True):
        assert key == again
        assert (one is two) == (id(one) not in of_norms)
        assert torch.equal(one, two)
    assert len(norms(other)) == len(norms(first))
    assert not set(norms(first)) & set(norms(other))


def test_statistics_are_own_and_convolutions_learn_from_both():
    first = cell.OPS["dil_conv_3x3"](4, 1, True)
    other = with_own_norms(first)
    x = torch.randn(2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    other(x).sum().backward()
    assert norms(first)[0].num_batches_tracked == 0
    assert norms(other)[0].num_batches_tracked == 1
    assert first[1].weight.grad is not None
    assert norms(first)[0].weight.grad is None


def test_a_projected_kernel_is_shared_as_well():
    candidates = {name: cell.OPS[name](4, 1, True) for name in ("dil_conv_3x3", "dil_conv_5x5")}
    share_kernels(candidates, {"dil_conv_3x3": "dil_conv_5x5"})
    small = candidates["dil_conv_3x3"]
    other = with_own_norms(small)
    assert other[1].projection is small[1].projection
    assert other[1].whole.weight is candidates["dil_conv_5x5"][1].weight

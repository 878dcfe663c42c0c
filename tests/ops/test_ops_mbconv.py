"""The choices of a layer, each against its definition."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.ops.depthwise import is_depthwise
from fairdarts.ops.mbconv import Bottleneck, SqueezeExcite, bottleneck, choice


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "out"), [(8, {1: 8, 2: 4}), (7, {1: 7, 2: 4})])
@pytest.mark.parametrize("name", ["E3K3", "E6K5", "E1K7", "skip_connect"])
def test_every_choice_halves_or_keeps_the_resolution(name: str, size: int, out: dict, stride: int):
    module = choice(name, 4, 6, stride, affine=False)
    assert module(torch.randn(2, 4, size, size)).shape == (2, 6, out[stride], out[stride])


def test_a_bottleneck_is_expand_spread_project_with_a_norm_behind_each():
    torch.manual_seed(0)
    module = bottleneck(3, 4, expansion=6, kernel=5, stride=2, affine=False).double()
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    expand, spread, project = (module[place].weight for place in (0, 3, 6))
    assert (expand.shape, spread.shape, project.shape) == ((18, 3, 1, 1), (18, 1, 5, 5), (4, 18, 1, 1))
    out = F.relu6(F.batch_norm(F.conv2d(x, expand), None, None, training=True))
    out = F.relu6(F.batch_norm(F.conv2d(out, spread, stride=2, padding=2, groups=18), None, None, training=True))
    torch.testing.assert_close(module(x), F.batch_norm(F.conv2d(out, project), None, None, training=True))


def test_without_expansion_there_is_no_first_convolution():
    module = bottleneck(3, 4, expansion=1, kernel=3, stride=1, affine=True)
    assert [type(part) for part in module][:2] == [nn.Conv2d, nn.BatchNorm2d]
    assert is_depthwise(module[0])
    assert type(module) is Bottleneck


def test_a_skip_is_the_identity_where_the_shape_is_kept_and_a_projection_elsewhere():
    assert type(choice("skip_connect", 4, 4, 1, affine=False)) is nn.Identity
    for c_out, stride in ((4, 2), (6, 1), (6, 2)):
        projection = choice("skip_connect", 4, c_out, stride, affine=False).eval()
        conv, norm = projection
        assert (conv.kernel_size, conv.bias) == ((1, 1), None)
        x = torch.arange(2 * 4 * 5 * 6.0).view(2, 4, 5, 6)
        expected = norm(F.conv2d(x, conv.weight, stride=stride))
        torch.testing.assert_close(projection(x), expected)
        assert norm.num_features == c_out
        assert not norm.affine


def test_squeeze_and_excitation_stands_before_the_last_convolution_and_scales_by_means():
    torch.manual_seed(0)
    module = bottleneck(4, 4, 3, 3, 1, affine=True, activation="swish", se_ratio=0.5)
    place = [type(part) for part in module].index(SqueezeExcite)
    assert place == len(module) - 3
    excite = module[place].double()
    assert excite.squeeze.out_channels == 2  # of the block's input, not of its widened one
    x = torch.randn(2, 12, 5, 5, dtype=torch.float64)
    weights = [excite.squeeze.weight.flatten(1), excite.excite.weight.flatten(1)]
    hidden = F.silu(x.mean((2, 3)) @ weights[0].T + excite.squeeze.bias)
    scale = (hidden @ weights[1].T + excite.excite.bias).sigmoid()
    torch.testing.assert_close(excite(x), x * scale[..., None, None])
    assert sum(type(part) is nn.SiLU for part in module) == 2

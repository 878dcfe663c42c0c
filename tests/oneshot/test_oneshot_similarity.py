"""Cosines of feature maps, worked out by hand."""

import math

import pytest
import torch
from fairdarts.supernet.path import ChoiceLayer
from one_shot import CHAIN, batches_of, supernet_of

from fairdarts.oneshot.similarity import feature_maps, likeness, similarity


def maps(*choices: list[list[float]]) -> torch.Tensor:
    """Maps of one image of two pixels: [m, 1, C, 1, 2] from of every choice the channels."""
    return torch.tensor(choices)[:, None, :, None, :]


@pytest.mark.parametrize(("factor", "cosine"), [(1.0, 1.0), (3.0, 1.0), (-1.0, -1.0), (-0.2, -1.0)])
def test_maps_that_differ_by_a_factor(factor: float, cosine: float):
    own = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = similarity([torch.stack([own, factor * own])])
    expected = torch.tensor([[1, cosine], [cosine, 1]], dtype=torch.float64).expand(3, 2, 2)
    torch.testing.assert_close(found.per_channel, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.across[1], cosine * found.within[0], rtol=1e-6, atol=1e-6)
    assert likeness(found) == pytest.approx(cosine, rel=1e-6)


def test_two_channels_by_hand():
    """The first choice has (1, 0) and (1, 1), the second (0, 2) and (3, 3): 45° are between some, 90° between one."""
    found = similarity([maps([[1, 0], [1, 1]], [[0, 2], [3, 3]])])
    half = math.sqrt(0.5)
    expected = {
        "per_channel": [[[1, 0], [0, 1]], [[1, 1], [1, 1]]],
        "within": [[[1, half], [half, 1]], [[1, half], [half, 1]]],
        "across": [[[1, half], [half, 1]], [[0, half], [half, 1]]],
    }
    for name, values in expected.items():
        tensor = torch.tensor(values, dtype=torch.float64)
        torch.testing.assert_close(getattr(found, name), tensor, rtol=1e-12, atol=1e-12)
    assert likeness(found) == pytest.approx(0.5)


def test_across_goes_from_the_first_choice_s_channel_to_the_others():
    found = similarity([maps([[1, 0], [0, 1]], [[1, 0], [1, 0]])])
    assert found.across[1].tolist() == [[1, 1], [0, 0]]


def test_a_map_of_zeros_has_no_direction():
    found = similarity([maps([[1, 0], [1, 1]], [[0, 0], [1, 1]])])
    assert found.per_channel.isnan().tolist() == [[[False, True], [True, True]], [[False] * 2] * 2]
    assert found.within[1].isnan().tolist() == [[True, True], [True, False]]
    assert not found.within[0].isnan().any()
    assert likeness(found) == pytest.approx(1)  # that of the other channel


def test_the_mean_is_over_images_of_all_batches():
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(3, size, 2, 2, 2, generator=generator) for size in (4, 1)]
    parts, whole = similarity(batches), similarity([torch.cat(batches, 1)])
    single = [similarity([image[:, None]]) for image in torch.cat(batches, 1).unbind(1)]
    for name in ("per_channel", "within", "across"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))
        torch.testing.assert_close(getattr(parts, name), torch.stack([getattr(one, name) for one in single]).mean(0))


@pytest.mark.parametrize("training", [True, False])
def test_feature_maps_are_those_of_every_choice_behind_the_same_layers(training: bool):
    supernet, ((images, _),) = supernet_of(CHAIN).train(training), batches_of(1)
    before = {name: held.clone() for name, held in supernet.state_dict().items()}
    found = feature_maps(supernet, 2, (1, 2, 0, 0), images)
    assert all(torch.equal(held, before[name]) for name, held in supernet.state_dict().items())
    assert supernet.training is training
    supernet.eval()
    layer = supernet.stages[2]
    assert isinstance(layer, ChoiceLayer)
    with torch.no_grad():
        x = supernet.stages[1].candidates[2](supernet.stages[0].candidates[1](supernet.stem(images)))
        expected = torch.stack([candidate(x) for candidate in layer.candidates])
    assert found.shape == (3, 8, 6, 4, 4)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

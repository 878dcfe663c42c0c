"""Semantic segmentation over the zoo: sizes, counts of the papers, what is trained."""

import pytest
import torch
from shipped import as_parameters
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import ChainGenotype, EdgeGenotype
from fairdarts.networks.atrous import set_output_stride
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.create import create_model
from fairdarts.networks.deeplab import DeepLab, DeepLabSettings, build_deeplab
from fairdarts.networks.features import FeatureInfo, Features
from fairdarts.networks.models import find, models
from fairdarts.networks.zoo import load_genotype
from fairdarts.spaces.space import load_space

PLAIN = DeepLabSettings(aspp=False, decoder=False)
SMALL = NetworkSettings(cells=4, channels=4)
LARGE = [name for name, model in models().items() if model.size == "imagenet"]


def deeplab(name: str, settings: DeepLabSettings = DeepLabSettings(), classes: int = 21) -> DeepLab:  # noqa: B008
    model = find(name)
    return build_deeplab(model.genotype, model.space, model.network, settings, classes)


def small(settings: DeepLabSettings = DeepLabSettings(), classes: int = 5) -> DeepLab:  # noqa: B008
    torch.manual_seed(0)
    return build_deeplab(*load_genotype("fairdarts-b"), SMALL, settings, classes)


def maps(network: DeepLab, *size: int) -> dict[str, list[tuple[int, ...]]]:
    """Height and width of what the parts of the network give, the encoder several."""
    sizes = {}

    def note(name: str, out: Tensor | list[Tensor]) -> None:
        sizes[name] = [tuple(x.shape[2:]) for x in (out if isinstance(out, list) else [out])]

    for name, module in network.named_children():
        module.register_forward_hook(lambda _, args, out, name=name: note(name, out))
    network.eval()(torch.zeros(1, 3, *size))
    return sizes


@pytest.mark.parametrize(
    ("name", "params", "madds"),
    [("fairnas-a", 3_260_037, 3.98e9), ("fairnas-b", 3_114_957, 3.74e9), ("fairnas-c", 3_006_549, 3.60e9)],
)
def test_sizes_are_those_of_fairnas_table_5(name: str, params: int, madds: float):
    with torch.device("meta"):
        cost = count(deeplab(name, PLAIN), image=513)
    assert cost.params == params  # 3.26, 3.11 and 3.01 M
    assert cost.madds == pytest.approx(madds, rel=0.015)


def test_pyramid_and_decoder_cost_what_their_convolutions_cost():
    with torch.device("meta"):
        plain, pyramid, decoder = (
            count(deeplab("fairnas-a", settings), image=513)
            for settings in (PLAIN, DeepLabSettings(decoder=False), DeepLabSettings(aspp=False))
        )
    branch = 9 * 320 + 320 * 256  # a depthwise and a 1×1 convolution
    widths = 3 * (branch + 256 * 256)
    assert pyramid.madds - plain.madds == 33**2 * widths
    assert pyramid.params - plain.params == widths + 3 * 2 * (320 + 256)
    refine = 32 * 48 + 9 * 304 + 304 * 256 + 9 * 256 + 256 * 256
    classifier = 256 * 21
    assert decoder.madds - plain.madds == 129**2 * (refine + classifier) - 33**2 * classifier
    assert decoder.params - plain.params == refine + 2 * (48 + 304 + 256 + 256 + 256)


@pytest.mark.parametrize("size", [(513, 513), (500, 375), (360, 480), (33, 47), (16, 16), (1, 1)])
@pytest.mark.parametrize("settings", [PLAIN, DeepLabSettings(), DeepLabSettings(output_stride=8)], ids=str)
def test_an_image_of_any_size_has_logits_of_that_size(size: tuple[int, int], settings: DeepLabSettings):
    with torch.device("meta"):
        assert deeplab("fairnas-c", settings)(torch.empty(2, 3, *size)).shape == (2, 21, *size)
        assert small(settings)(torch.empty(2, 3, *size)).shape == (2, 5, *size)


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("size", [(64, 96), (33, 47)])
def test_the_maps_within(stride: int, size: tuple[int, int]):
    low, deep = ([tuple(-(-side // s) for side in size)] for s in (4, stride))
    behind = {"project": deep, "dropout": deep, "refine": low, "classifier": low}
    expected = {"encoder": low + deep, "pool": [(1, 1)], "low": low, **behind}
    assert maps(small(DeepLabSettings(output_stride=stride)), *size) == expected
    plain = maps(small(DeepLabSettings(output_stride=stride, decoder=False)), *size)
    assert plain == {"encoder": deep, "pool": [(1, 1)], "project": deep, "dropout": deep, "classifier": deep}


def rates(network: nn.Module) -> list[int]:
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [convolution.dilation[0] for convolution in convolutions if convolution.kernel_size != (1, 1)]


def test_rates_double_at_output_stride_8():
    coarse, fine = small(), small(DeepLabSettings(output_stride=8))
    assert rates(coarse.branches) == [6, 12, 18]
    assert rates(fine.branches) == [12, 24, 36]
    assert rates(small(PLAIN).branches) == []
    assert [name for name, _ in fine.named_parameters()] == [name for name, _ in coarse.named_parameters()]
    assert max(rates(fine.encoder)) > max(rates(coarse.encoder))


class MobileNet(nn.Module):
    """MobileNetV2 as an encoder of output stride 16, without its last convolution, as TensorFlow's DeepLab has it."""

    def __init__(self):
        super().__init__()
        self.features = mobilenet_v2(weights=None).features[:-1]
        self.features[14].conv[1][0].stride = (1, 1)  # that from 16 to 32; dilation counts the same
        self.feature_info = FeatureInfo([{"num_chs": 320, "reduction": 16, "module": "features"}], [0])

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.features(x)]


def test_the_head_counts_as_others_count_it():
    with torch.device("meta"):
        cost = count(DeepLab(MobileNet(), PLAIN, 21), image=513)
    assert cost.params == 2_113_557  # 2.11 M, and not the 4.52 M of FairNAS' Table 5
    assert cost.madds == pytest.approx(2.75e9, rel=0.004)  # TensorFlow's model zoo, and the same table


def test_the_head_is_what_the_paper_says():
    """The plain head written out with the network's own modules, image pooling by hand."""
    network = small(PLAIN).double().eval()
    x = torch.randn(2, 3, 48, 64, dtype=torch.float64)
    (features,) = network.encoder(x)
    mean = network.pool(features.flatten(2).mean(2)[..., None, None])
    y = torch.cat([mean.repeat(1, 1, 3, 4), network.branches[0](features)], 1)
    y = nn.Upsample((48, 64), mode="bilinear")(network.classifier(network.project(y)))
    torch.testing.assert_close(network(x), y)


def test_the_encoder_has_the_features_of_the_classifier_s_network():
    model = create_model("fairdarts-b", network=SMALL.model_copy(update={"size": "imagenet"}))
    set_output_stride(model, 16)
    torch.manual_seed(0)
    network = small().eval()
    missing, unexpected = model.load_state_dict(network.encoder.model.state_dict(), strict=False)
    assert (set(missing), unexpected) == ({"classifier.weight", "classifier.bias"}, [])
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(network.encoder(x)[1], model.eval().forward_features(x))


@pytest.mark.parametrize("name", as_parameters(LARGE))
def test_every_large_model_is_an_encoder(name: str):
    with torch.device("meta"):
        network, plain = deeplab(name, classes=3), deeplab(name, PLAIN)
        assert network(torch.empty(2, 3, 33, 47)).shape == (2, 3, 33, 47)
    assert network.encoder.feature_info.reduction() == [4, 16]
    assert plain.encoder.feature_info.reduction() == [16]


@pytest.mark.parametrize("settings", [PLAIN, DeepLabSettings(dropout=0)], ids=str)
def test_all_of_it_is_trained(settings: DeepLabSettings):
    network = small(settings)
    network(torch.randn(2, 3, 33, 47)).square().mean().backward()
    unreached = [name for name, own in network.named_parameters() if own.grad is None or not own.grad.any()]
    assert unreached == []


def test_dropout_is_before_the_classifier_and_in_training_alone():
    network = small(DeepLabSettings(dropout=0.5, decoder=False))
    zeros: list[float] = []
    network.classifier.register_forward_pre_hook(
        lambda module, args: zeros.append((args[0] == 0).float().mean().item())
    )
    x = torch.randn(2, 3, 64, 64)
    network(x)
    network.dropout.p = 0.0
    network(x)
    assert zeros[0] == pytest.approx(0.5 + zeros[1] / 2, abs=0.05)  # of those that ReLU leaves, half
    network.dropout.p = 0.5
    assert torch.equal(network.eval()(x), network(x))


def test_one_image_is_no_batch_to_train_on():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        small()(torch.randn(1, 3, 64, 64))
    assert small().eval()(torch.randn(1, 3, 64, 64)).shape == (1, 5, 64, 64)


def test_cells_have_the_size_for_large_images_where_nothing_else_is_said():
    with torch.device("meta"):
        network = build_deeplab(*load_genotype("fairdarts-b"), NetworkSettings(), PLAIN, 21)
        large = create_model("fairdarts-b-imagenet", features_only=True)
        assert isinstance(network.encoder, Features)
        assert {name: own.shape for name, own in network.encoder.state_dict().items()} == {
            name: own.shape for name, own in large.state_dict().items()
        }


def test_images_of_other_channels():
    network = build_deeplab(*load_genotype("fairdarts-b"), SMALL, PLAIN, 2, in_channels=1).eval()
    out: Tensor = network(torch.zeros(1, 1, 20, 30))
    assert out.shape == (1, 2, 20, 30)


def test_a_network_without_the_stride_is_refused():
    macro = ChainGenotype(schema=1, name="m", space="nas-bench-macro", source="", layers=(("MBE3K3",),) * 8)
    cases = [
        (load_genotype("fairdarts-b"), NetworkSettings(size="cifar"), "fairdarts-b has 1, 2, 4"),
        ((macro, load_space("nas-bench-macro")), NetworkSettings(), "m has 1, 2, 4, 8"),
    ]
    for (genotype, space), network, have in cases:
        message = f"^output_stride: 16: should be a stride of the network, but {have}$"
        with torch.device("meta"), pytest.raises(UserError, match=message):
            build_deeplab(genotype, space, network, DeepLabSettings(), 21)
    with torch.device("meta"):
        network = build_deeplab(*cases[1][0], NetworkSettings(), DeepLabSettings(output_stride=8), 2)
    assert network.encoder.feature_info.reduction() == [4, 8]


def test_a_network_that_gives_no_features_is_refused():
    edges = EdgeGenotype(schema=1, name="e", space="nasbench201", source="", edges=("skip_connect",) * 6)
    message = "^e: networks of space nasbench201 give no features; should be cells or a chain$"
    with torch.device("meta"), pytest.raises(UserError, match=message):
        build_deeplab(edges, load_space("nasbench201"), NetworkSettings(), PLAIN, 21)


@pytest.mark.parametrize("wrong", [{"output_stride": 32}, {"dropout": 1.0}, {"rates": [6]}])
def test_other_settings_are_refused(wrong: dict):
    with pytest.raises(UserError, match=next(iter(wrong))):
        check(DeepLabSettings, wrong, "test")

"""Models by name: which there are, that they are the published ones, and what a user may ask of them."""

from pathlib import Path

import pytest
import torch
from shipped import as_parameters
from torch import nn

import fairdarts
from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.data.sources import CIFAR10_STATISTICS, IMAGENET_STATISTICS
from fairdarts.genotype import CellGenotype, EdgeGenotype, to_yaml
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.create import create_model
from fairdarts.networks.models import STATISTICS, find, model_names, models
from fairdarts.networks.zoo import load_genotype

NAMES = model_names()
EXCITED = {  # parameters at 10 classes of the networks that FairNAS' authors released
    "fairnas-a-se": 5_835_322,
    "fairnas-b-se": 5_603_242,
    "fairnas-c-se": 5_429_530,
    "fairnas-a-se05": 4_613_730,
    "fairnas-b-se05": 4_424_850,
    "fairnas-c-se05": 4_283_586,
}
FAIRNAS = {"fairnas-a": 4_651_352, "fairnas-b": 4_506_272, "fairnas-c": 4_397_864}


def params(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def on_meta(name: str, **options) -> nn.Module:
    return create_model(name, device="meta", **options)


def test_the_names():
    genotypes = resources.names("genotypes")
    cells = [name for name in genotypes if isinstance(load_genotype(name)[0], CellGenotype)]
    assert sorted([*genotypes, *(f"{name}-imagenet" for name in cells), *EXCITED]) == NAMES
    assert len(NAMES) == 100


@pytest.mark.parametrize("name", as_parameters(NAMES))
def test_every_name_is_the_network_of_its_space(name: str):
    model, network = find(name), on_meta(name)
    cfg = network.default_cfg
    size = getattr(model.space.networks, "imagenet" if cfg["num_classes"] == 1000 else "cifar")
    with torch.device("meta"):
        assert params(network) == params(build(model.genotype, model.space, model.network, size.classes))
    assert (network.num_classes, network.in_chans) == (size.classes, 3)
    assert cfg["input_size"] == (3, size.image, size.image)
    keys = network.state_dict().keys()
    assert {f"{cfg['first_conv']}.weight", f"{cfg['classifier']}.weight"} <= keys
    assert cfg["pool_size"] == (-(-size.image // network.feature_info[-1]["reduction"]),) * 2
    assert len(network.feature_info) == (3 if size.classes == 10 else 4 if "imagenet" in name else 5)


@pytest.mark.parametrize(("name", "known"), [*FAIRNAS.items(), *EXCITED.items()])
def test_fairnas_has_the_published_parameters(name: str, known: int):
    network = on_meta(name, num_classes=10 if name in EXCITED else None)
    assert params(network) == known
    activations = {type(module) for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6 | nn.SiLU)}
    assert activations == ({nn.ReLU, nn.SiLU} if name in EXCITED else {nn.ReLU6})


def test_the_first_names_are_the_networks_of_the_tables():
    cost = count(on_meta("fairdarts-b-imagenet"), image=224)
    assert (round(cost.params / 1e6, 2), round(cost.madds / 1e6)) == (4.87, 541)
    cost = count(on_meta("fairdarts-a"))
    assert round(cost.madds / 1e6, 2) == 371.46
    assert create_model("fairdarts-a-imagenet", device="meta").cells[0].channels == 3 * 48


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_model_gives_features_and_trains(name: str):
    torch.manual_seed(0)
    image = 32 if find(name).size == "cifar" else 64
    network = create_model(name, num_classes=4, output_stride=4 if image == 32 else 16)
    network(torch.randn(2, 3, image, image)).square().sum().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []
    features = create_model(name, features_only=True).eval()
    out = features(torch.randn(1, 3, image, image))
    assert [x.shape[1] for x in out] == features.feature_info.channels()
    assert [image // x.shape[2] for x in out] == features.feature_info.reduction()


def test_top_level_names():
    assert fairdarts.create_model is create_model
    assert fairdarts.model_names is model_names
    assert {"create_model", "model_names", "load"} <= set(dir(fairdarts))
    with pytest.raises(AttributeError, match="module 'fairdarts' has no attribute 'make_model'"):
        _ = fairdarts.make_model


def test_what_may_be_asked():
    network = create_model("fairdarts_a", num_classes=5, in_chans=1, drop_rate=0.3, drop_path_rate=0.1)
    assert (network.num_classes, network.in_chans, network.dropout.p, network.drop_probability) == (5, 1, 0.3, 0.1)
    assert network.stem.conv[0].in_channels == 1
    network = on_meta("fairnas-a", num_classes=0, global_pool="", dtype=torch.bfloat16)
    assert network(torch.zeros(1, 3, 64, 64, device="meta", dtype=torch.bfloat16)).shape == (1, 1280, 2, 2)
    assert on_meta("fairnas-a", num_classes=1).classifier.out_features == 1
    assert on_meta("fairnas-a").dropout.p == 0.2
    assert on_meta("fairnas-a", drop_rate=0).dropout.p == 0
    assert len(on_meta("fairdarts-a", network=NetworkSettings(cells=3)).cells) == 3


def test_a_file_and_a_run_make_models_too(tmp_path: Path):
    genotype, space = load_genotype("fairdarts-a")
    file = tmp_path / "my_own.yaml"
    file.write_text(to_yaml(genotype))
    (tmp_path / "genotypes").mkdir()
    (tmp_path / "genotypes" / "final.yaml").write_text(to_yaml(genotype))
    (tmp_path / "space.yaml").write_text(resources.find("search_spaces", space.name).read_text())
    known = params(on_meta("fairdarts-a"))
    assert params(on_meta(str(file))) == params(on_meta(str(tmp_path))) == known


def test_a_network_that_is_no_backbone_is_refused(tmp_path: Path):
    edges = EdgeGenotype(schema=1, name="e", space="nasbench201", source="", edges=("skip_connect",) * 6)
    (tmp_path / "e.yaml").write_text(to_yaml(edges))
    with pytest.raises(UserError, match="networks of space nasbench201 give no features"):
        create_model(str(tmp_path / "e.yaml"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fairnas-d", {}, r"^fairnas-d: neither a model, a file nor a run \(did you mean 'fairnas-[abc]'\?\)$"),
        ("fairnas_a_sse", {}, r"did you mean 'fairnas-a-se'"),
        ("x" * 5000, {}, "neither a model"),
        ("fairnas-a", {"pretrained": True}, "no weights are shipped.*`fairdarts export FILE --genotype NAME`"),
        ("fairnas-a", {"num_classes": -1}, "num_classes: -1: should be 0 or more"),
        ("fairnas-a", {"in_chans": 0}, "in_chans: 0: should be 1 or more"),
        ("fairnas-a", {"drop_rate": 1.0}, "drop_rate: 1.0: should be from 0 to below 1"),
        ("fairnas-a", {"drop_path_rate": 0.2}, "drop_path_rate: 0.2: should be 0, as fairnas-a is no network of cells"),
        ("fairdarts-a", {"drop_path_rate": -0.2}, "drop_path_rate: -0.2: should be from 0 to below 1"),
        ("fairnas-a", {"features_only": True, "out_indices": (5,)}, "out_indices: 5: should be from -5 to 4"),
        ("fairnas-a", {"global_pool": "max"}, "global_pool: 'max'"),
    ],
)
def test_a_wrong_argument_is_one_line(name: str, options: dict, message: str):
    with pytest.raises(UserError, match=message) as caught:
        on_meta(name, **options)
    assert "\n" not in str(caught.value)


def test_what_no_model_knows_is_a_type_error():
    with pytest.raises(TypeError):
        create_model("fairnas-a", not_a_model_arg=1)


def test_statistics_are_those_of_the_data():
    assert {"cifar": CIFAR10_STATISTICS, "imagenet": IMAGENET_STATISTICS} == STATISTICS
    assert models() is models()  # files are read once

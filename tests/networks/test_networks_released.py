"""Files as the authors released them, made of plain renderings with random weights, and read into our networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from layouts import CellNetwork, DartsCell, FairDartsCell, FairNas
from norms import lived_in
from torch import Tensor, nn

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.foreign import tensors_in
from fairdarts.networks.released import fill_released
from fairdarts.networks.zoo import load_genotype
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import load_space

S1 = load_space("s1")
SMALL = NetworkSettings(cells=3, channels=4)
SEVERAL = CellGenotype(  # an edge of two operations, a node that is never fed, one that reads it, an input unread
    schema=1,
    name="several",
    space="s1",
    source="tests",
    normal=(
        ("sep_conv_3x3", 2, 0),
        ("dil_conv_3x3", 2, 0),
        ("sep_conv_5x5", 4, 3),
        ("skip_connect", 5, 4),
        ("dil_conv_5x5", 5, 2),
        ("sep_conv_3x3", 5, 4),
    ),
    reduce=(("skip_connect", 3, 1), ("sep_conv_3x3", 3, 1), ("avg_pool_3x3", 3, 1), ("max_pool_3x3", 5, 3)),
)
CHAIN = check(
    ChainSpace,
    {
        "schema": 1,
        "name": "tiny",
        "kind": "chain",
        "source": "tests",
        "candidates": ["MBE3K3", "MBE3K5", "MBE3K7", "MBE6K3", "E6K5", "skip_connect"],
        "stem": {"channels": 16, "stride": 2, "separable": 8},
        "stages": [{"channels": 16, "layers": 2, "stride": 2}, {"channels": 24, "layers": 1, "stride": 1}],
        "head": 32,
        "networks": {"imagenet": {"image": 32, "classes": 10, "dropout": 0.2}},
    },
    "tiny.yaml",
)
BLOCKS = ("MBE3K7", "MBE6K3", "MBE3K5")
SQUEEZED = {"activation": "swish", "outer_activation": "relu"}


def chain_genotype(*layers: tuple[str, ...]) -> ChainGenotype:
    return ChainGenotype(schema=1, name="three", space="tiny", source="tests", layers=layers)


def randomized(module: nn.Module) -> nn.Module:
    """In float64, with weights and memories of BatchNorms that matter, the same every time."""
    torch.manual_seed(0)
    return lived_in(module)


def cells_of(genotype: CellGenotype, cell: type = FairDartsCell, large: bool = False) -> nn.Module:
    return randomized(CellNetwork(cell, genotype.normal, genotype.reduce, 3, 4, 10, large))


def fairnas() -> nn.Module:
    return randomized(FairNas(16, 8, [(16, 3, 7, 2), (16, 6, 3, 1), (24, 3, 5, 1)], 32, 10))


def timm_model(ratio: float, stages: list[list[str]] | None = None, classes: int = 10) -> nn.Module:
    models = pytest.importorskip("timm.models", reason="needs the extra: pip install 'fairdarts[dev]'")
    builder = pytest.importorskip("timm.models._efficientnet_builder")
    se = f"_se{ratio:.6f}" if ratio else ""
    first, second, third = (f"ir_r1_{text}{se}_nsw" for text in ("k7_s2_e3_c16", "k3_s1_e6_c16", "k5_s1_e3_c24"))
    blocks = builder.decode_arch_def(stages or [["ds_r1_k3_s1_e1_c8"], [first, second], [third]])
    model = models.EfficientNet(blocks, num_classes=classes, num_features=32, stem_size=16, act_layer=nn.ReLU)
    return randomized(model)


def read_released(path: Path, network: nn.Module, name: str) -> str:
    return fill_released(network, tensors_in(path)[0], name, path)


def write(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def ours(genotype: Any, space: Any = S1, network: NetworkSettings = SMALL, **options: Any) -> nn.Module:
    return build(genotype, space, network, **({"classes": 10} | options)).double()


def assert_same(network: nn.Module, plain: nn.Module, image: int = 32) -> None:
    x = torch.randn(2, 3, image, image, dtype=torch.float64)
    expected = plain.eval()(x)
    assert expected.std() > 1e-3
    torch.testing.assert_close(network.eval()(x), expected, rtol=1e-9, atol=1e-9)


def as_saved(plain: nn.Module, prefix: str = "", drop: str = " ") -> dict[str, Tensor]:
    return {prefix + key: value for key, value in plain.state_dict().items() if not key.endswith(drop)}


@pytest.mark.parametrize("genotype", [*(load_genotype(f"fairdarts-{letter}")[0] for letter in "adg"), SEVERAL])
def test_fairdarts(genotype: CellGenotype, tmp_path: Path):
    plain = cells_of(genotype)
    about = {"epoch": 599, "dur_time": 9.5, "drop_path_prob": 0.2, "best_acc_top1": np.float64(97.5), "optimizer": {}}
    path = write(
        tmp_path / "a.tar", {**about, "state_dict": as_saved(plain, "module."), "scheduler": {"last_epoch": 3}}
    )
    network = ours(genotype, auxiliary=True)
    assert read_released(path, network, genotype.name) == "FairDARTS"
    assert_same(network, plain)
    features = torch.randn(2, plain.cells[2].width, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(network.auxiliary(features), plain.auxiliary_head(features))


def test_the_auxiliary_head_is_left_out_where_ours_has_none(tmp_path: Path):
    genotype, _ = load_genotype("fairdarts-b")
    plain = cells_of(genotype)
    network = ours(genotype)
    assert read_released(write(tmp_path / "b.tar", {"state_dict": as_saved(plain)}), network, "b") == "FairDARTS"
    assert_same(network, plain)


@pytest.mark.parametrize("large", [False, True], ids=["cifar", "imagenet"])
def test_darts(large: bool, tmp_path: Path):
    genotype, space = load_genotype("darts-v2")
    plain = cells_of(genotype, DartsCell, large)
    settings = NetworkSettings(cells=3, channels=4, size="imagenet" if large else "cifar")
    network = ours(genotype, space, settings, auxiliary=True)
    path = write(tmp_path / "model.pt", as_saved(plain, drop="num_batches_tracked"))
    assert read_released(path, network, genotype.name) == "DARTS"
    assert_same(network, plain, 64 if large else 32)
    features = torch.randn(2, plain.cells[2].width, 7, 7, dtype=torch.float64)
    if large:
        torch.testing.assert_close(network.auxiliary(features), plain.auxiliary_head(features))


@pytest.mark.parametrize("under", ["model_state", None])
def test_fairnas(under: str | None, tmp_path: Path):
    plain = fairnas()
    counted = {"total_ops": torch.zeros(1), "mb_module.0.total_params": torch.zeros(1)}
    state = as_saved(plain, drop="num_batches_tracked") | counted
    path = write(tmp_path / "FairNasA.pth.tar", {under: state, "epoch": 3} if under else state)
    network = ours(chain_genotype(*((name,) for name in BLOCKS)), CHAIN, NetworkSettings())
    assert read_released(path, network, "three") == "FairNAS"
    assert_same(network, plain)


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_timm_with_squeeze_and_excitation(ratio: float, tmp_path: Path):
    plain = timm_model(ratio)
    path = write(tmp_path / "fairnas_a_se.pth.tar", plain.state_dict())
    network = ours(chain_genotype(*((name,) for name in BLOCKS)), CHAIN, NetworkSettings(se_ratio=ratio, **SQUEEZED))
    assert read_released(path, network, "three") == "timm"
    assert_same(network, plain)


def test_timm_of_another_grouping_behind_a_dropout(tmp_path: Path):
    stages = [["ds_r1_k3_s1_e1_c8"], ["ir_r1_k7_s2_e3_c16_nsw"], ["ir_r1_k3_s1_e6_c16_nsw", "ir_r1_k5_s1_e3_c24_nsw"]]
    plain = timm_model(0.0, stages)
    plain.classifier = nn.Sequential(nn.Dropout(0.2), plain.classifier)
    path = write(tmp_path / "a_transfer.pt.tar", {"model_state": as_saved(plain, "module.")})
    network = ours(chain_genotype(*((name,) for name in BLOCKS)), CHAIN, NetworkSettings(**SQUEEZED))
    assert read_released(path, network, "three") == "timm"
    assert_same(network, plain)


def refusal(path: Path, network: nn.Module, name: str = "n") -> str:
    """The error of a reading, which leaves the network as it was."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as error:
        read_released(path, network, name)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return text.removeprefix(f"{path}: ")


ANOTHER = "is it another genotype?"


@pytest.mark.parametrize(
    ("change", "network", "message"),
    [
        ({}, {"cells": 4}, "cells.3.preprocess0.conv_1.weight: is missing, but cells.3.preprocess.0.conv_1."),
        ({}, {"cells": 4}, "should be --network.cells 3"),
        ({}, {"cells": 2}, "should be --network.cells 3"),
        ({}, {"channels": 8}, "stem.0.weight: shape [12, 3, 3, 3], but stem.conv.0.weight of n needs [24, 3, 3, 3]: "),
        ({}, {"channels": 8}, "should be --network.channels 4"),
        ({}, {"size": "imagenet"}, "stem0.0.weight: is missing, but stem.stem0.0.weight of n needs [2, 3, 3, 3]"),
        ({}, {"size": "imagenet"}, "should be --network.size cifar"),
        (
            {},
            {"classes": 100},
            "classifier.weight: shape [10, 32], but classifier.weight of n needs [100, 32]: it knows",
        ),
        ({}, {"classes": 100}, "10 classes, so the network should be built for as many, not 100"),
        (
            {"cells.0._ops.2.0.1.op.2.weight": None},
            {},
            "cells.0._ops.2.0.1.op.2.weight: is missing, but cells.0.ops.1.",
        ),
        ({"cells.0.more": (4, 2)}, {}, f"cells.0.more: shape [4, 2], has no place in n: {ANOTHER}"),
        ({"cells.0.preprocess0.more": (4,)}, {}, f"cells.0.preprocess0.more: shape [4], has no place in n: {ANOTHER}"),
        (
            {"cells.0._ops.2.1.0.op.1.weight": (2,)},
            {},
            "cells.0._ops.2.1.0.op.1.weight: shape [2], has no place in n: ",
        ),
        (
            {"cells.0._ops.2.0.1.op.1.weight": (4, 1, 5, 5)},
            {},
            "shape [4, 1, 5, 5], but cells.0.ops.1.1.weight of n needs",
        ),
    ],
)
def test_what_does_not_fit_cells_is_named(change: dict, network: dict, message: str, tmp_path: Path):
    state = as_saved(cells_of(SEVERAL))
    state |= {key: torch.zeros(shape) for key, shape in change.items() if shape}
    state = {key: value for key, value in state.items() if key not in change or change[key]}
    options = {"classes": network.pop("classes")} if "classes" in network else {}
    made = ours(SEVERAL, S1, NetworkSettings(**({"cells": 3, "channels": 4} | network)), **options)
    assert message in refusal(write(tmp_path / "a.tar", {"state_dict": state}), made)


def test_a_missing_auxiliary_head_is_named(tmp_path: Path):
    state = {key: value for key, value in as_saved(cells_of(SEVERAL)).items() if "auxiliary" not in key}
    text = refusal(write(tmp_path / "a.tar", {"state_dict": state}), ours(SEVERAL, auxiliary=True))
    assert text == "auxiliary_head.*: is not in it, so n should be built without an auxiliary head"


def test_nodes_that_darts_cannot_say_are_named(tmp_path: Path):
    genotype, _ = load_genotype("darts-v2")
    path = write(tmp_path / "a.pt", as_saved(cells_of(genotype, DartsCell)))
    assert refusal(path, ours(SEVERAL)) == (
        "n does not fit the layout of DARTS: its nodes have other than two inputs, which files of DARTS cannot say"
    )


OTHER_KERNEL = ("MBE3K7",), ("MBE3K3",), ("MBE3K5",)
NO_RESIDUAL = ("MBE3K7",), ("E6K5",), ("MBE3K5",)
REMOVED = ("MBE3K7",), (), ("MBE3K5",)
SUMMED = ("MBE3K7",), ("MBE6K3", "skip_connect"), ("MBE3K5",)
SAME = tuple((name,) for name in BLOCKS)


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        (
            OTHER_KERNEL,
            {},
            "mb_module.1.conv1.weight: shape [96, 16, 1, 1], "
            f"but layers.1.choices.MBE3K3.block.0.weight of n needs [48, 16, 1, 1]: {ANOTHER}",
        ),
        (NO_RESIDUAL, {}, "n does not fit the layout of FairNAS: the network's layers[1] is E6K5; in such files it is"),
        (REMOVED, {}, "the network's layers[1] is removed; "),
        (SUMMED, {}, "the network's layers[1] is MBE6K3 + skip_connect; "),
        (SAME, {"se_ratio": 1.0, **SQUEEZED}, "mb_module.0.se.conv_reduce.weight: is missing"),
        (SAME, {"se_ratio": 1.0, **SQUEEZED}, "should be --network.se_ratio 0"),
        (SAME, {"activation": "swish"}, "should be --network.activation relu6"),
    ],
)
def test_what_does_not_fit_fairnas_is_named(layers: tuple, settings: dict, message: str, tmp_path: Path):
    path = write(tmp_path / "a.tar", {"model_state": as_saved(fairnas())})
    assert message in refusal(path, ours(chain_genotype(*layers), CHAIN, NetworkSettings(**settings)))


@pytest.mark.parametrize(
    ("settings", "classes", "message"),
    [
        (
            SQUEEZED,
            10,
            "blocks.1.0.se.conv_reduce.weight: shape [8, 24, 1, 1], has no place in n: should be --network.se_",
        ),
        ({"se_ratio": 0.5, **SQUEEZED}, 10, "should be --network.se_ratio 1"),
        ({"se_ratio": 1.0}, 10, "should be --network.activation swish --network.outer_activation relu"),
        (
            {"se_ratio": 1.0, **SQUEEZED},
            100,
            "classifier.weight: shape [10, 32], but classifier.weight of n needs [100, 32]",
        ),
    ],
)
def test_what_does_not_fit_timm_is_named(settings: dict, classes: int, message: str, tmp_path: Path):
    path = write(tmp_path / "a.tar", timm_model(1.0).state_dict())
    assert message in refusal(path, ours(chain_genotype(*SAME), CHAIN, NetworkSettings(**settings), classes=classes))


def test_another_number_of_blocks_is_named(tmp_path: Path):
    path = write(tmp_path / "a.tar", timm_model(0.0, [["ds_r1_k3_s1_e1_c8"], ["ir_r1_k7_s2_e3_c16"]]).state_dict())
    text = refusal(path, ours(chain_genotype(*SAME), CHAIN, NetworkSettings()))
    assert text.endswith("it has 2 blocks, but the network 3 layers behind one in its stem: is it of another space?")


def test_a_file_of_no_known_layout_is_named(tmp_path: Path):
    path = write(tmp_path / "a.tar", {"state_dict": {"features.0.weight": torch.zeros(2)}})
    text = refusal(path, ours(SEVERAL))
    called = "its tensors are called features.0.weight, as in no layout that is known: "
    assert text.startswith(f"{called}FairDARTS (cells.0._ops.2.0.0.")
    for kind in ("DARTS", "FairNAS", "timm"):
        assert f", {kind} (" in text
    path = write(tmp_path / "b.tar", {name: torch.zeros(1) for name in "abcd"})
    assert refusal(path, ours(SEVERAL)).startswith("its tensors are called a, b, c and so on, as in no layout")


def test_a_file_of_another_kind_of_network_is_named(tmp_path: Path):
    path = write(tmp_path / "a.tar", as_saved(fairnas()))
    assert refusal(path, ours(SEVERAL)) == "holds a chain of layers in the layout of FairNAS, which n is not"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    assert "no such checkpoint" in refusal(tmp_path / "none.tar", ours(SEVERAL))
    (tmp_path / "a.tar").write_bytes(write(tmp_path / "b.tar", as_saved(fairnas())).read_bytes()[:-400])
    assert "not a readable checkpoint" in refusal(tmp_path / "a.tar", ours(SEVERAL))


@pytest.mark.parametrize("genotype", [SEVERAL, chain_genotype(("MBE3K7",), (), ("E6K5", "skip_connect"))])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_state_dict_of_our_own_network_is_read(genotype: Any, auxiliary: bool, tmp_path: Path):
    space = S1 if genotype is SEVERAL else CHAIN
    network = NetworkSettings(cells=3, channels=4) if genotype is SEVERAL else NetworkSettings()
    trained = randomized(ours(genotype, space, network, auxiliary=auxiliary))
    path = write(tmp_path / "own.pt", {"net": as_saved(trained, "_orig_mod.")})
    own = ours(genotype, space, network)
    assert read_released(path, own, "n") == "fairdarts"
    assert_same(own, trained)
    other = SEVERAL.model_copy(update={"normal": SEVERAL.normal[1:]}) if genotype is SEVERAL else genotype
    text = refusal(path, ours(other, space, network, classes=11))
    assert text.endswith("it another genotype or size?" if genotype is SEVERAL else "as many, not 11")

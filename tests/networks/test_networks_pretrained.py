"""Weights of files of every kind put into networks that are cut off, and what is refused."""

from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from norms import lived_in
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.create import create_model
from fairdarts.networks.models import find
from fairdarts.networks.pretrained import load_backbone
from fairdarts.networks.published import random_model, save_model
from fairdarts.networks.released_chains import fairnas_names

SMALL = NetworkSettings(size="imagenet", cells=4, channels=4)
CELLS = find("fairdarts-b")
CHAIN = find("fairnas-a")
FIRST = "stem.stem0.0.weight"
"""the first tensor of a network of cells for large images"""


def cut(name: str = "fairdarts-b", network: NetworkSettings | None = SMALL, level: int = 2) -> Backbone:
    """A network with other weights than the files', cut off behind a level."""
    made = create_model(name, network=network)
    made.prune_intermediate_layers([level], prune_norm=True)
    return made


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Of a whole network of cells, its classifier included."""
    torch.manual_seed(0)
    return lived_in(build(CELLS.genotype, CELLS.space, SMALL, 10)).float().state_dict()


def prefixed(weights: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in weights.items()}


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def assert_taken(network: Backbone, weights: dict[str, Tensor]) -> None:
    own = network.state_dict()
    assert len(own) < len(weights)
    assert all(torch.equal(value, weights[key]) for key, value in own.items())


def assert_refused(network: Backbone, path: Path, *said: str, **words: object) -> None:
    """One line with all of this, and no tensor has changed."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_backbone(network, path, **({"genotype": CELLS.genotype, "settings": SMALL} | words))
    assert "\n" not in str(caught.value)
    for part in (str(path), *said):
        assert part in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "backbone.features.model.", "a.b.stem."])
def test_the_prefix_is_what_stands_before_the_first_key(prefix: str, weights: dict[str, Tensor], tmp_path: Path):
    around = {"bbox_head.cls.weight": torch.zeros(3), "my_stem.stem0.0.weight": torch.zeros(2)}
    path = write(tmp_path / "a.pth", {"state_dict": around | prefixed(weights, prefix), "meta": {"epoch": 3}})
    load_backbone(network := cut(), path, CELLS.genotype, settings=SMALL)
    assert_taken(network, weights)


@pytest.mark.parametrize("level", range(3))
def test_a_network_may_be_cut_anywhere(level: int, weights: dict[str, Tensor], tmp_path: Path):
    load_backbone(network := cut(level=level), write(tmp_path / "a.pt", weights), CELLS.genotype, settings=SMALL)
    assert_taken(network, weights)


def test_plain_safetensors(weights: dict[str, Tensor], tmp_path: Path):
    safetensors.torch.save_file(prefixed(weights, "encoder."), tmp_path / "a.safetensors")
    load_backbone(network := cut(), tmp_path / "a.safetensors", CELLS.genotype, settings=SMALL)
    assert_taken(network, weights)


def test_a_published_model_says_which_genotype_it_is_of(tmp_path: Path):
    model, path = random_model("fairdarts-b", SMALL), tmp_path / "a.safetensors"
    save_model(path, model)
    load_backbone(network := cut(), path, CELLS.genotype, settings=SMALL)
    assert_taken(network, model.network.state_dict())
    renamed = CELLS.genotype.model_copy(update={"name": "other", "source": "elsewhere"})
    load_backbone(network, path, renamed, settings=SMALL)
    reduce = [("avg_pool_3x3" if op == "max_pool_3x3" else op, *edge) for op, *edge in CELLS.genotype.reduce]
    pooled = CELLS.genotype.model_copy(update={"name": "pooled", "reduce": tuple(reduce)})  # of the very same shapes
    assert_refused(network, path, "is of fairdarts-b, another genotype than pooled", genotype=pooled)


def test_an_activation_has_no_shape_but_is_compared(tmp_path: Path):
    model, path = random_model("fairnas-a", image=32), tmp_path / "a.safetensors"
    save_model(path, model)
    swish = NetworkSettings(activation="swish")
    words = {"genotype": CHAIN.genotype, "settings": swish}
    said = "network.activation: is relu6, but that of this fairnas-a is swish"
    assert_refused(cut("fairnas-a", swish), path, said, **words)


def test_the_authors_file_of_a_model(tmp_path: Path):
    whole = create_model("fairnas-a")
    theirs = {there: whole.state_dict()[key] for key, there in fairnas_names(whole, {}).items()}
    path = write(tmp_path / "FairNasA.pth.tar", {"model_state": theirs})
    load_backbone(network := cut("fairnas-a", None), path, CHAIN.genotype, "fairnas-a")
    assert_taken(network, whole.state_dict())
    way = "in the layout of FairNAS, which only the name of a model, without other settings, can tell; else rewrite it"
    assert_refused(network, path, way, genotype=CHAIN.genotype, settings=NetworkSettings())


def test_what_counts_for_nothing_may_be_missing(weights: dict[str, Tensor], tmp_path: Path):
    few = {key: value for key, value in weights.items() if not key.endswith(".num_batches_tracked")}
    load_backbone(network := cut(), write(tmp_path / "a.pth", {"model": few}), CELLS.genotype, settings=SMALL)
    assert_taken(network, weights)


def test_a_checkpoint_of_mmengine_is_read_without_executing_it(weights: dict[str, Tensor], tmp_path: Path):
    logging = pytest.importorskip("mmengine.logging")
    history = logging.HistoryBuffer([1.0, 2.0], [1, 1])
    hub = {"log_scalars": OrderedDict(loss=history), "runtime_info": OrderedDict(iter=2), "resumed_keys": OrderedDict()}
    content = {"meta": {"epoch": 1}, "state_dict": prefixed(weights, "backbone."), "message_hub": hub}
    load_backbone(network := cut(), write(tmp_path / "epoch_1.pth", content), CELLS.genotype, settings=SMALL)
    assert_taken(network, weights)


class Evil:
    def __reduce__(self) -> tuple:
        return (print, ("executed",))


def test_what_is_refused(weights: dict[str, Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    network, path = cut(), tmp_path / "a.pth"
    few = {"neck.conv.weight": torch.zeros(1)}
    looked = f"has no weights of fairdarts-b: looked for {FIRST} behind any prefix, but its tensors are called"
    assert_refused(network, write(path, few), f"{looked} neck.conv.weight")
    assert_refused(
        network, write(path, {"epoch": 3}), "holds no tensors by name, only epoch; should be a state dict, bare or"
    )
    own = prefixed(weights, "backbone.")
    *_, last = (key for key in network.state_dict() if key.endswith(".running_var"))
    without = {key: value for key, value in own.items() if key != f"backbone.{last}"}
    assert_refused(network, write(path, without), f"backbone.{last}: is missing, but fairdarts-b needs [")
    shaped = own | {f"backbone.{FIRST}": torch.zeros(2, 1, 3, 3)}
    said = f"backbone.{FIRST}: shape [2, 1, 3, 3], but fairdarts-b needs [2, 3, 3, 3]"
    assert_refused(network, write(path, shaped), said)
    spoiled = own | {f"backbone.{FIRST}": torch.full((2, 3, 3, 3), torch.nan)}
    assert_refused(network, write(path, spoiled), f"backbone.{FIRST}: holds numbers that are not finite")
    more = own | {"backbone.cells.0.ops.40.weight": torch.zeros(1)}
    assert_refused(network, write(path, more), "backbone.cells.0.ops.40.weight: has no place in fairdarts-b")
    twice = own | prefixed(weights, "teacher.")
    assert_refused(network, write(path, twice), "has weights of several networks, behind 'backbone.' and 'teacher.'")
    assert_refused(network, tmp_path / "none.pth", "no such checkpoint")
    assert_refused(network, tmp_path / "none.safetensors", "No such file")
    assert_refused(network, write(path, own | {"evil": Evil()}), "holds print beside tensors and plain values")
    assert "executed" not in capsys.readouterr().out

"""Our networks as backbones of MMDetection: shapes, what is frozen, where weights come from, and what is refused."""

import importlib
import runpy
from pathlib import Path

import pytest
import torch
from detection import coco, config
from mmdet.registry import MODELS
from mmengine.hooks import Hook
from mmengine.model import PretrainedInit
from mmengine.runner import Runner
from torch import nn

from fairdarts.config import UserError
from fairdarts.genotype import EdgeGenotype, to_yaml
from fairdarts.networks.create import create_model
from fairdarts.networks.models import find, model_names
from fairdarts.transfer import mmdet
from fairdarts.transfer.mmdet import FairDARTSBackbone

SMALL = {"cells": 4, "channels": 4}
FOREIGN = {"schema": 1, "name": "own", "space": "s1", "source": "", "normal": [["conv_9x9", 2, 0]], "reduce": []}


NAMES = model_names()


@pytest.mark.parametrize("name", [name for name in NAMES if f"{name}-imagenet" not in NAMES])
def test_every_model_gives_the_maps_that_detectors_take(name: str):
    with torch.device("meta"):
        backbone = FairDARTSBackbone(name).eval()
        maps = backbone(torch.empty(2, 3, 64, 96))
    assert isinstance(maps, tuple)
    assert [tuple(level.shape[2:]) for level in maps] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    info = backbone.features.feature_info
    assert [level.shape[1] for level in maps] == info.channels()
    assert info.reduction() == [4, 8, 16, 32]


@pytest.mark.parametrize("name", ["fairnas-a", "fairnas-a-se"])
def test_the_maps_are_those_of_the_network(name: str):
    torch.manual_seed(0)
    backbone = FairDARTSBackbone(name, out_indices=(1, 3)).eval()
    network = create_model(name).eval()
    assert backbone.features.model.state_dict().keys() < network.state_dict().keys()
    network.load_state_dict(network.state_dict() | backbone.features.model.state_dict())
    x = torch.randn(1, 3, 64, 64)
    expected = network.forward_intermediates(x, [1, 3], intermediates_only=True)
    assert all(torch.equal(*pair) for pair in zip(backbone(x), expected, strict=True))


@pytest.mark.filterwarnings("ignore:.torch.jit.(trace|save|load)")
def test_a_trace_of_the_maps_can_be_saved(tmp_path: Path):
    backbone = FairDARTSBackbone("fairdarts-b", network=SMALL, frozen_stages=1).eval()
    torch.jit.trace(backbone, torch.randn(1, 3, 64, 64)).save(tmp_path / "trace.pt")
    x = torch.randn(2, 3, 64, 64)
    assert all(torch.equal(*pair) for pair in zip(torch.jit.load(tmp_path / "trace.pt")(x), backbone(x), strict=True))


def test_a_genotype_may_be_given_whole():
    model = find("fairdarts-b")
    genotype = model.genotype.model_dump(mode="json", by_alias=True) | {"space": "of my own"}
    space = model.space.model_dump(mode="json", by_alias=True) | {"name": "of my own"}
    one = FairDARTSBackbone(genotype=genotype, space=space, network=SMALL)
    other = FairDARTSBackbone("fairdarts-b", network=SMALL)
    assert one.network.size == "imagenet"
    other.load_state_dict(one.state_dict())
    assert str(one) == str(other)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "FairDARTSBackbone: name, genotype: one of them should be given, and not both"),
        ({"name": "fairnas-a", "genotype": {}}, "FairDARTSBackbone: name, genotype: one of them"),
        ({"name": "fairnas-a", "space": {}}, "FairDARTSBackbone: space: goes with genotype"),
        ({"name": "fairnas-x"}, "fairnas-x: neither a model, a file nor a run (did you mean 'fairnas-"),
        ({"genotype": {"layers": []}}, "genotype: name: is missing"),
        ({"name": "fairnas-a", "network": {"sizes": 1}}, "network: sizes: unknown key (did you mean 'size'?)"),
        ({"name": "fairnas-a", "network": SMALL}, "network.cells: 4: is for cells"),
        (
            {"name": "fairdarts-b", "network": SMALL | {"size": "cifar"}},
            "fairdarts-b: has features of strides 1, 2, 4, but 4, 8, 16, 32 are needed; should be built in the size",
        ),
        ({"name": "fairnas-a", "out_indices": (1, 5)}, "out_indices: 5: should be from -5 to 4"),
        ({"name": "fairnas-a", "out_indices": ["a"]}, "FairDARTSBackbone: out_indices"),
        ({"name": "fairnas-a", "frozen_stages": True}, "FairDARTSBackbone: frozen_stages: True: should be"),
        ({"name": "fairnas-a", "norm_eval": "no"}, "FairDARTSBackbone: norm_eval: 'no': should be"),
        ({"name": 3}, "FairDARTSBackbone: name: 3: should be"),
        ({"genotype": "fairnas-a"}, "FairDARTSBackbone: genotype: 'fairnas-a': should hold"),
        ({"name": "fairnas-a", "init_cfg": {"type": "Pretrained"}}, "FairDARTSBackbone: init_cfg: Pretrained: loads"),
        (
            {"name": "fairnas-a", "init_cfg": [{"type": "Kaiming"}, {"type": PretrainedInit}]},
            "FairDARTSBackbone: init_c",
        ),
        ({"name": "fairnas-a", "pretrained": ""}, "FairDARTSBackbone: pretrained"),
        ({"genotype": FOREIGN}, "genotype: normal"),
        ({"name": "fairnas-a", "frozen_stages": 5}, "frozen_stages: 5: should be a level from 0 to 4, or -1 for none"),
    ],
)
def test_what_cannot_be_a_backbone(words: dict, message: str):
    with pytest.raises(UserError) as caught:
        FairDARTSBackbone(**words)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_mmengine_s_own_initializers_are_used():
    backbone = FairDARTSBackbone("fairnas-a", init_cfg=[{"type": "Constant", "val": 0.25, "layer": "Conv2d"}])
    backbone.init_weights()
    assert (backbone.features.model.stem[0][0].weight == 0.25).all()


def test_the_last_levels_may_be_counted():
    assert FairDARTSBackbone("fairnas-a", out_indices=2).features.feature_info.reduction() == [16, 32]


def test_weights_are_asked_for_by_all_that_is_known_of_the_network(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(mmdet, "load_backbone", lambda *words: asked.append(words[1:]))
    backbone = FairDARTSBackbone("fairnas-a-se", pretrained="a.pth")
    backbone.init_weights()
    model = find("fairnas-a-se")
    assert asked == [("a.pth", model.genotype, "fairnas-a-se", model.network)]


def test_networks_of_nasbench201_give_no_maps(tmp_path: Path):
    genotype = EdgeGenotype(name="edges", space="nasbench201", source="a test", edges=("nor_conv_3x3",) * 6)
    (tmp_path / "edges.yaml").write_text(to_yaml(genotype))
    with pytest.raises(UserError, match="edges: networks of space nasbench201 give no features"):
        FairDARTSBackbone(str(tmp_path / "edges.yaml"))


def changed(backbone: FairDARTSBackbone) -> set[str]:
    """The blocks that a step of training changes: parameters or statistics."""
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    step = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], 1.0)
    sum(level.square().sum() for level in backbone(torch.randn(2, 3, 64, 64))).backward()
    step.step()
    after = backbone.state_dict()
    different = [key for key in before if not torch.equal(before[key], after[key])]
    return {".".join(key.removeprefix("features.model.").split(".")[:2]) for key in different}


BLOCKS = ["stem.stem0", "stem.stem1", "cells.0", "cells.1", "cells.2", "cells.3"]


@pytest.mark.parametrize(("frozen", "trained"), [(-1, BLOCKS), (0, BLOCKS[1:]), (1, BLOCKS[3:]), (2, BLOCKS[4:])])
def test_frozen_stages_are_levels_of_features(frozen: int, trained: list[str]):
    torch.manual_seed(0)
    backbone = FairDARTSBackbone("fairdarts-b", network=SMALL, frozen_stages=frozen).train(False).train()
    assert backbone.features.feature_info.module_name() == ["stem.stem0", "cells.0", "cells.1", "cells.3"]
    assert changed(backbone) == set(trained)


def test_norm_eval_keeps_statistics_and_trains_weights():
    torch.manual_seed(0)
    backbone = FairDARTSBackbone("fairdarts-b", network=SMALL, norm_eval=True).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    assert "cells.3" in changed(backbone)
    after = backbone.state_dict()
    statistics = [key for key in before if "running" in key or "tracked" in key]
    assert statistics
    assert all(torch.equal(before[key], after[key]) for key in statistics)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_weights_are_read_when_they_are_initialized(tmp_path: Path):
    words = {"type": "FairDARTSBackbone", "name": "fairdarts-b", "network": SMALL}
    trained, file = MODELS.build(words), tmp_path / "epoch_1.pth"
    detector = nn.ModuleDict({"backbone": trained, "neck": nn.Linear(2, 2)})
    torch.save({"state_dict": detector.state_dict()}, file)
    fresh = MODELS.build(words | {"pretrained": str(file)})  # which does not need the file yet
    assert not same(fresh, trained)
    fresh.init_weights()
    assert same(fresh, trained)
    torch.save({"state_dict": detector["neck"].state_dict()}, file)
    with pytest.raises(UserError, match=r"has no weights of fairdarts-b: looked for stem\.stem0\.0\.weight behind any"):
        MODELS.build(words | {"pretrained": str(file)}).init_weights()


def test_it_may_be_imported_again():
    importlib.reload(mmdet)
    assert MODELS.get("FairDARTSBackbone") is mmdet.FairDARTSBackbone


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("mmdet", r"^mmdet: is missing: pip install 'fairdarts\[mmdet\]'$"),
        ("mmcv._ext", r"^mmcv: its operations are not compiled: compile them .*--cpu"),
    ],
)
def test_what_is_missing_is_named(missing: str, message: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(UserError, match=message):
        runpy.run_path(mmdet.__file__)


class Begin(Hook):
    """What a runner has before its first step."""

    def before_train_epoch(self, runner: Runner) -> None:
        if not hasattr(self, "epoch"):
            self.epoch, self.iter = runner.epoch, runner.iter
            self.weights = {key: value.clone() for key, value in runner.model.state_dict().items()}


def test_a_detector_is_trained_judged_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = config(capsys, tmp_path, "fairnas-a", "--cpu", "--data-root", str(coco(tmp_path / "coco")))
    loaders = [found.train_dataloader, found.val_dataloader]
    for loader in loaders:
        loader.update(num_workers=0, persistent_workers=False)
        next(step for step in loader.dataset.pipeline if step.type == "Resize").scale = (96, 96)
    found.train_dataloader.batch_size = 4
    found.model.test_cfg.score_thr = 0.0  # else an untrained detector finds nothing, and nothing is judged
    found.work_dir, found.train_cfg.max_epochs = str(tmp_path / "work"), 1
    first = Runner.from_cfg(found.copy())
    first.train()
    assert (first.epoch, first.iter) == (1, 2)
    assert first.optim_wrapper.param_groups[0]["initial_lr"] == pytest.approx(0.01 * 4 / 16)
    assert 0 <= first.message_hub.get_scalar("val/coco/bbox_mAP").current() <= 1
    file = tmp_path / "work" / "epoch_1.pth"
    saved = {key: value.clone() for key, value in first.model.state_dict().items()}

    found.resume, found.load_from, found.train_cfg.max_epochs = True, str(file), 2
    found.val_cfg = found.val_dataloader = found.val_evaluator = None
    second, begin = Runner.from_cfg(found.copy()), Begin()
    second.register_hook(begin, priority="LOWEST")
    second.train()
    assert (begin.epoch, begin.iter) == (1, 2)
    assert all(torch.equal(value, saved[key]) for key, value in begin.weights.items())
    assert (second.epoch, second.iter) == (2, 4)

    fresh = FairDARTSBackbone("fairnas-a", pretrained=str(file))
    fresh.init_weights()
    assert all(torch.equal(value, saved[f"backbone.{key}"]) for key, value in fresh.state_dict().items())

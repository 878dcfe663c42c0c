"""`fairdarts transfer`: from a word to a config on stdout."""

import ast
import shutil
from pathlib import Path

import pytest
import yaml

from fairdarts import resources
from fairdarts.cli.transfer import main
from fairdarts.config import UserError
from fairdarts.genotype import to_yaml
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.models import find
from fairdarts.networks.published import random_model, save_model
from fairdarts.runtime import checkpoint

SMALL = NetworkSettings(size="imagenet", cells=4, channels=4)


def written(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict, str]:
    """The values of the config that the command writes, and what it says."""
    assert main(["mmdet", *words]) == 0
    out, err = capsys.readouterr()
    return {line.targets[0].id: ast.literal_eval(line.value) for line in ast.parse(out).body}, err


def test_a_model(capsys: pytest.CaptureFixture[str]):
    found, said = written(capsys, "fairnas_a_se", "--detector", "faster-rcnn", "--data-root", "/coco", "--cpu")
    assert found["model"]["backbone"]["name"] == "fairnas-a-se"
    assert found["_base_"].startswith("mmdet::faster_rcnn/")
    assert found["custom_imports"]["imports"] == ["fairdarts.transfer.mmcv_ops", "fairdarts.transfer.mmdet"]
    assert found["model"]["roi_head"]["bbox_roi_extractor"]["roi_layer"] == {"use_torchvision": True}
    for part in ("train", "val", "test"):
        assert found[f"{part}_dataloader"]["dataset"]["data_root"] == "/coco/"
    assert found["test_evaluator"]["ann_file"] == "/coco/annotations/instances_val2017.json"
    assert said.startswith("the backbone begins with random weights; with trained ones: ")
    assert said.endswith("--pretrained FILE\n")


def test_a_file_of_a_shipped_genotype_is_called_by_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(to_yaml(find("fairdarts-b").genotype))
    assert written(capsys, str(path))[0]["model"]["backbone"]["name"] == "fairdarts-b-imagenet"
    own = find("fairdarts-b").genotype.model_copy(update={"name": "mine"})
    path.write_text(to_yaml(own))
    backbone = written(capsys, str(path), "--network.cells", "8")[0]["model"]["backbone"]
    assert backbone["genotype"]["name"] == "mine"
    assert backbone["network"] == {"size": "imagenet", "cells": 8}


def test_a_trained_network_brings_its_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    path = tmp_path / "trained.safetensors"
    model = random_model("fairdarts-b", SMALL)
    blueprint = model.blueprint.model_copy(update={"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)})
    save_model(path, model._replace(blueprint=blueprint))
    found, said = written(capsys, str(path))
    assert said == ""
    assert found["model"]["data_preprocessor"] == {"mean": [127.5] * 3, "std": [51.0] * 3}
    backbone = found["model"]["backbone"]
    assert (backbone["pretrained"], backbone["frozen_stages"], backbone["norm_eval"]) == (str(path), 0, True)
    assert backbone["network"] == {"size": "imagenet", "cells": 4, "channels": 4}
    with pytest.raises(UserError, match="says itself how it is built"):
        main(["mmdet", str(path), "--network.cells", "8"])
    save_model(path, random_model("fairdarts-b", NetworkSettings(cells=4, channels=4)))
    with pytest.raises(UserError, match="fairdarts-b: has features of strides 1, 2, 4, but 4, 8, 16, 32 are needed"):
        main(["mmdet", str(path)])  # trained on small images


def test_a_training_run_is_no_search_run(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    model, run = random_model("fairdarts-b", SMALL), tmp_path / "run"
    for folder in ("checkpoints", "genotypes"):
        (run / folder).mkdir(parents=True)
    (run / "genotypes" / "final.yaml").write_text(to_yaml(model.blueprint.genotype))
    (run / "settings.yaml").write_text("name: it\noptimizer: {}\n")
    state = {"blueprint": model.blueprint.model_dump_json(by_alias=True), "network": model.network.state_dict()}
    checkpoint.save(run / "checkpoints" / "last.pt", state)
    backbone = written(capsys, str(run))[0]["model"]["backbone"]
    assert (backbone["pretrained"], backbone["network"]["cells"]) == (str(run), 4)
    (run / "settings.yaml").write_text("name: it\narchitect: {}\n")
    shutil.copy(resources.find("search_spaces", "s1"), run / "space.yaml")
    backbone = written(capsys, str(run))[0]["model"]["backbone"]
    assert backbone["name"] == "fairdarts-b-imagenet"
    assert "pretrained" not in backbone


def test_a_detector_of_one_s_own(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    own = yaml.safe_load(resources.find("recipes", "detect-retinanet").read_text())
    own |= {"name": "fcos", "base": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", "strides": [8, 16, 32]}
    (tmp_path / "fcos.yaml").write_text(yaml.safe_dump(own | {"config": {"max_epochs": 7}}))
    found, _ = written(capsys, "fairnas-a", "--detector", str(tmp_path / "fcos.yaml"))
    assert (found["_base_"], found["max_epochs"]) == (own["base"], 7)
    assert found["model"]["neck"]["in_channels"] == [40, 96, 320]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mmdet"], "transfer: the following arguments are required: GENOTYPE"),
        (["yolo", "fairnas-a"], "transfer: argument program: invalid choice: 'yolo'"),
        (["mmdet", "fairnas-a", "--detector", "ssd"], "detect-ssd: neither a file nor a shipped recipe"),
        (["mmdet", "fairnas-x"], "fairnas-x: neither a model, a file nor a run"),
        (["mmdet", "fairnas-a", "--pretrained", "none.pth"], "none.pth: no such checkpoint"),
        (["mmdet", "fairnas-a", "--network.size", "cifar"], "fairnas-a: space fairnas-b has no cifar network"),
        (["mmdet", "fairdarts-b", "--network.size", "cifar"], "fairdarts-b: has features of strides 1, 2, 4"),
    ],
)
def test_mistakes(words: list[str], message: str):
    with pytest.raises(UserError) as caught:
        main(words)
    assert str(caught.value).startswith(message)

"""`fairdarts transfer`: from a word to a config on stdout."""

import ast
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from fairdarts import resources
from fairdarts.cli.transfer import main
from fairdarts.config import UserError
from fairdarts.genotype import to_yaml
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.create import create_model
from fairdarts.networks.models import find
from fairdarts.networks.published import random_model, save_model
from fairdarts.runtime import checkpoint
from fairdarts.transfer import detector

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
    assert found["model"]["data_preprocessor"] == {"bgr_to_rgb": True, "mean": [127.5] * 3, "std": [51.0] * 3}
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
    own |= {"name": "mine", "base": "mmdet::mine.py", "strides": [8, 16, 32], "config": {"seed": 7}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    found, _ = written(capsys, "fairnas-a", "--detector", str(tmp_path / "mine.yaml"))
    assert (found["_base_"], found["seed"]) == ("mmdet::mine.py", 7)
    assert found["model"]["neck"]["in_channels"] == [40, 96, 320]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"my key": 1}}, "my key: cannot be laid over a config"),
        ({"config": {"_base_": "x"}}, "_base_: cannot be laid over a config"),
        ({"cpu": {"model": {"x": float("nan")}}}, "should be of mappings, lists, texts and numbers"),
        ({"strides": [32, 8, 8]}, "[32, 8, 8]: should rise, each of them once"),
    ],
)
def test_a_detector_that_makes_no_config(change: dict, message: str, tmp_path: Path):
    own = yaml.safe_load(resources.find("recipes", "detect-retinanet").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own | change))
    with pytest.raises(UserError) as caught:
        main(["mmdet", "fairnas-a", "--detector", str(tmp_path / "mine.yaml")])
    assert message in str(caught.value)


def test_weights_are_looked_at_before_they_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    backbone = create_model("fairnas-a", features_only=True)  # without head and classifier
    torch.save(backbone.state_dict(), tmp_path / "features.pth")
    monkeypatch.chdir(tmp_path)
    found, _ = written(capsys, "fairnas-a", "--pretrained", "features.pth")
    assert found["model"]["backbone"]["pretrained"] == str(tmp_path / "features.pth")
    asked = []
    monkeypatch.setattr(detector, "load_backbone", lambda *words: asked.append(words[1:]))
    written(capsys, "fairnas-a-se", "--pretrained", "authors.pth.tar")
    model = find("fairnas-a-se")
    assert asked == [(str(tmp_path / "authors.pth.tar"), model.genotype, "fairnas-a-se", model.network)]


def test_dropout_stands_behind_the_features(capsys: pytest.CaptureFixture[str]):
    backbone = written(capsys, "fairnas-a", "--network.dropout", "0.5")[0]["model"]["backbone"]
    assert backbone["name"] == "fairnas-a"
    assert "network" not in backbone


def test_a_head_says_how_the_network_is_built(capsys: pytest.CaptureFixture[str]):
    assert main(["mmdet", "fairnas-a", "--network.se_ratio", "0.5"]) == 0
    assert "# It is built with se_ratio 0.5.\n" in capsys.readouterr().out


def test_a_data_root_need_not_be_a_path(capsys: pytest.CaptureFixture[str]):
    found, _ = written(capsys, "fairnas-a", "--data-root", "s3://bucket/coco/")
    assert found["train_dataloader"]["dataset"]["data_root"] == "s3://bucket/coco/"
    assert found["val_evaluator"]["ann_file"] == "s3://bucket/coco/annotations/instances_val2017.json"


NSGA2 = str(resources.find("recipes", "nsga2"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mmdet"], "transfer: the following arguments are required: GENOTYPE"),
        (["yolo", "fairnas-a"], "transfer: argument program: invalid choice: 'yolo'"),
        (
            ["mmdet", "fairnas-a", "--detector", NSGA2],
            f"{NSGA2}: is a recipe of `fairdarts evolve`, not of `fairdarts transfer`",
        ),
        (
            ["mmdet", "fairnas-a", "--detector", "ssd"],
            "transfer: --detector ssd: neither a file nor a shipped detector",
        ),
        (
            ["mmdet", "fairnas-a", "--detecter", "x"],
            "transfer: --detecter: no such option (did you mean '--detector'?)",
        ),
        (["mmdet", "fairnas-a", "--pretrained", ""], "transfer: --pretrained: is empty"),
        (["mmdet", "fairnas-a", "--data-root", ""], "transfer: --data-root: is empty"),
        (["mmdet", "fairnas-x"], "fairnas-x: neither a model, a file nor a run"),
        (["mmdet", "fairnas-a", "--pretrained", "none.pth"], f"{Path.cwd()}/none.pth: no such checkpoint"),
        (["mmdet", "fairnas-a", "--network.size", "cifar"], "fairnas-a: space fairnas-b has no cifar network"),
        (["mmdet", "fairdarts-b", "--network.size", "cifar"], "fairdarts-b: has features of strides 1, 2, 4"),
    ],
)
def test_mistakes(words: list[str], message: str):
    with pytest.raises(UserError) as caught:
        main(words)
    assert str(caught.value).startswith(message)

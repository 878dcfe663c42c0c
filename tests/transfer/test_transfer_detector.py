"""Configs as text: what is written is read again, and says what the recipe and the network say."""

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.networks.blueprint import Blueprint, NetworkSettings
from fairdarts.networks.create import create_model
from fairdarts.networks.published import blueprint_of
from fairdarts.reading import read_yaml
from fairdarts.transfer.detector import DetectorOptions, config_text, laid_over, python_text
from fairdarts.transfer.settings import DetectorSettings

SMALL = NetworkSettings(size="imagenet", cells=4, channels=4)

plain = (
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text()
)
values = some.recursive(plain, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=30)


@given(values)
def test_a_value_is_read_again(value: Any):
    text = python_text(value)
    assert ast.literal_eval(text) == value
    assert "{{" not in text  # which mmengine takes for a variable


def test_lines_are_as_long_as_they_may_be():
    value = {"a": ["word " * 5] * 5, "b": {"c": 1.0, "d": list(range(12))}}
    assert python_text(value) == "\n".join(
        [
            "{",
            '    "a": [',
            *['        "word word word word word ",'] * 5,
            "    ],",
            '    "b": {"c": 1.0, "d": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]},',
            "}",
        ]
    )
    just = ["a" * 114]
    assert python_text(just, 1) == f'["{just[0]}"]'
    assert python_text(just, 2) == f'[\n    "{just[0]}",\n]'


def test_mappings_are_laid_over_mappings():
    below = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 2}}
    assert laid_over(below, {"a": {"c": [3]}, "d": 4, "f": 5}) == {"a": {"b": 1, "c": [3]}, "d": 4, "f": 5}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 2}}


def recipe(name: str = "detect-retinanet") -> DetectorSettings:
    path = resources.find("recipes", name)
    return check(DetectorSettings, read_yaml(path), path)


def read(blueprint: Blueprint, **choices: Any) -> dict[str, Any]:
    """The values of a config, as Python has them."""
    tree = ast.parse(config_text(blueprint, recipe(), DetectorOptions(**choices)))
    return {line.targets[0].id: ast.literal_eval(line.value) for line in tree.body}


def test_retinanet_is_that_of_the_papers():
    found = read(blueprint_of("fairnas-a", NetworkSettings()))
    assert found["train_cfg"]["max_epochs"] == 12
    assert found["optim_wrapper"]["optimizer"]["lr"] == 0.01
    assert found["auto_scale_lr"] == {"enable": True, "base_batch_size": 16}
    steps = found["param_scheduler"][-1]
    assert (steps["milestones"], steps["gamma"]) == ([8, 11], 0.1)
    loss = found["model"]["bbox_head"]["loss_cls"]
    assert (loss["type"], loss["alpha"], loss["gamma"]) == ("FocalLoss", 0.25, 2.0)
    assert found["model"]["neck"] == {"in_channels": [32, 40, 96, 320], "out_channels": 256}
    assert found["model"]["data_preprocessor"]["mean"] == [123.675, 116.28, 103.53]
    backbone = {"_delete_": True, "type": "FairDARTSBackbone", "name": "fairnas-a", "out_indices": [1, 2, 3, 4]}
    assert found["model"]["backbone"] == backbone


def test_what_is_not_shipped_stands_in_the_config():
    blueprint = blueprint_of("fairdarts-b", SMALL)
    backbone = read(blueprint)["model"]["backbone"]
    assert backbone["genotype"]["normal"][0] == ["sep_conv_3x3", 2, 0]
    assert backbone["network"] == {"size": "imagenet", "cells": 4, "channels": 4}
    assert not {"name", "space", "pretrained", "frozen_stages"} & backbone.keys()
    own = blueprint.space.model_copy(update={"stem_multiplier": 4})
    assert read(blueprint.model_copy(update={"space": own}))["model"]["backbone"]["space"]["stem_multiplier"] == 4


def test_trained_weights_are_frozen_in_part(tmp_path: Path):
    file = tmp_path / "a.pth"
    torch.save(create_model("fairnas-a").state_dict(), file)
    backbone = read(blueprint_of("fairnas-a", NetworkSettings()), pretrained=str(file))["model"]["backbone"]
    assert (backbone["frozen_stages"], backbone["norm_eval"], backbone["pretrained"]) == (1, True, str(file))
    with pytest.raises(UserError, match=r"a\.pth: .*: is missing, but fairnas-b needs"):
        read(blueprint_of("fairnas-b", NetworkSettings()), pretrained=str(file))


def test_images_of_other_channels_are_refused():
    grey = blueprint_of("fairnas-a", NetworkSettings()).model_copy(update={"mean": (0.5,), "std": (0.2,)})
    with pytest.raises(UserError, match="fairnas-a: is for images of 1 channels, but detectors see images of 3"):
        read(grey)

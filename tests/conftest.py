"""What all tests share: one thread, and a search so small that it takes a second."""

from pathlib import Path

import pytest
import torch
import yaml

torch.set_num_threads(1)  # two threads on a busy machine can be ten times slower than one


@pytest.fixture
def tiny_recipe(tmp_path: Path) -> Path:
    """A recipe file of a complete FairDARTS search: 3 epochs of 4 steps on fake images, a space of 2 nodes."""
    space = {
        "schema": 1,
        "name": "tiny",
        "kind": "cell",
        "source": "tests",
        "inputs": 2,
        "nodes": 2,
        "candidates": ["max_pool_3x3", "skip_connect", "dil_conv_3x3"],
        "reductions": ["1/2"],
        "stem_multiplier": 1,
        "supernet": {"cells": 2, "channels": 2},
        "networks": {name: {"cells": 2, "channels": 2, "image": 64, "classes": 3} for name in ("cifar", "imagenet")},
    }
    (tmp_path / "tiny-space.yaml").write_text(yaml.safe_dump(space))
    recipe = {
        "name": "tiny",
        "source": "tests",
        "space": str(tmp_path / "tiny-space.yaml"),
        "epochs": 3,
        "device": "cpu",
        "data": {
            "kind": "fake",
            "images": 32,
            "image_size": 8,
            "classes": 3,
            "batch_size": 4,
            "train_portion": 0.5,
            "cutout": 2,
            "workers": 0,
        },
        "relaxation": "sigmoid",
        "weights": {"lr": 0.1, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip": 5},
        "architect": {"kind": "first_order", "lr": 0.3, "betas": [0.9, 0.999], "weight_decay": 1e-3, "initial_std": 0},
        "zero_one": {"form": "squared", "weight": 10},
        "derive": {"method": "threshold", "threshold": 0.6},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path

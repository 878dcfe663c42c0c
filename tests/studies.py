"""What tests of studies share: a study of two factors, so small that a training takes a second."""

from pathlib import Path
from random import Random
from typing import Any

import yaml
from one_shot import BENCH, every_path

from fairdarts.reading import dump_yaml

RATES = [{"label": str(rate), "changes": {"weights.lr": rate}} for rate in (0.01, 0.025, 0.1)]


def factor(name: str, settings: list[dict[str, Any]], keep: str | None = None) -> dict[str, Any]:
    return {"name": name, "title": name, "group": "protocol", "keep": keep, "settings": settings}


def factor_study() -> dict[str, Any]:
    """The study, whose recipe.yaml, space.yaml and bench.csv are written into the current folder."""
    Path("space.yaml").write_text(dump_yaml(BENCH))
    recipe = {
        "name": "tiny",
        "source": "tests",
        "space": "space.yaml",
        "epochs": 1,
        "device": "cpu",
        "data": {"kind": "digits", "batch_size": 32, "train_portion": 0.05, "cutout": 0, "workers": 0},
        "sampler": {"kind": "uniform"},
        "supernet": {"track": False},
        "weights": {"lr": 0.025, "lr_min": 0, "momentum": 0.9, "weight_decay": 5e-4},
        "watch": {"paths": 0},
    }
    Path("recipe.yaml").write_text(yaml.safe_dump(recipe))
    random = Random(0)
    rows = [f'"{list(path)}",{60 + 30 * random.random()}' for path in random.sample(every_path(BENCH), 50)]
    Path("bench.csv").write_text("\n".join(["arch,accuracy", *rows]))
    sizes = [{"label": "/2", "changes": {"data.batch_size": 16}}]
    space = {"name": "bench", "config": "recipe.yaml", "benchmark": "bench.csv"}
    space["factors"] = [factor("rate", RATES, keep="best"), factor("batch", sizes)]
    return {"name": "tiny", "source": "tests", "seeds": [0, 1], "architectures": 20, "images": 64, "spaces": [space]}

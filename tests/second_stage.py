"""What tests of the second stage share: small problems whose truth is known, and settings of every strategy."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from one_shot import CHAIN, every_path
from one_shot import settings_of as training_of

from fairdarts.checking import check
from fairdarts.cost.table import count_tables
from fairdarts.evolution.objectives import read_limit, read_objective
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.reading import dump_yaml
from fairdarts.runs.supernet import train_supernet
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space

OBJECTIVES = ("accuracy", "madds", "params")
CONTROLLER = {
    "kind": "ppo",
    "hidden": 8,
    "lr": 0.01,
    "entropy": 0.01,
    "baseline": 0.5,
    "keep": 0.7,
    "clip": 0.2,
    "epochs": 2,
}
SHARES = {"mutation": 0.8, "random": 0.2, "reinforced": 0.65, "prior": 0.15, "by_controller": 0.7}
STRATEGIES: dict[str, dict[str, Any]] = {
    "nsga2": {"kind": "nsga2", **SHARES, "controller": CONTROLLER},
    "random": {"kind": "random"},
    "mnasnet": {"kind": "mnasnet", "cost": "madds", "target": None, "weight": -0.07, "controller": CONTROLLER},
    "regularized": {"kind": "regularized", "alive": 6, "sample": 3},
}


def problem_of(space: Space = CHAIN, objectives: Sequence[str] = OBJECTIVES, limits: Sequence[str] = ()) -> Problem:
    wanted, kept = map(read_objective, objectives), map(read_limit, limits)
    return Problem(space, tuple(wanted), tuple(kept), count_tables(space))


def settings_of(strategy: str = "nsga2", **overrides: Any) -> EvolveSettings:
    """Settings of a search of five generations of eight; overrides are dotted keys and their words."""
    content = {
        "name": strategy,
        "source": "tests",
        "objectives": ["accuracy"] if strategy == "regularized" else list(OBJECTIVES),
        "population": 8,
        "generations": 5,
        "models": 3,
        "evolve": STRATEGIES[strategy],
    }
    return check(EvolveSettings, content, "tiny.yaml", {key: str(value) for key, value in overrides.items()})


def accuracy_of(path: SinglePath) -> float:
    """A made-up truth from 50 to 100: better with larger choices, and uneven."""
    return 50 + 40 * sum(path) / (2 * len(path)) + zlib.crc32(bytes(path)) % 1000 / 100


def truth_of(space: Space = CHAIN) -> dict[SinglePath, float]:
    return {path: accuracy_of(path) for path in every_path(space)}


def judge(paths: Sequence[SinglePath]) -> list[float]:
    return [accuracy_of(path) for path in paths]


def make_supernet_runs(folder: Path, *names: str) -> None:
    """Trains supernets of a second into a folder, by seeds from 0, beside tiny.yaml, their space, tiny.csv, its truth,
    and a recipe of every strategy."""
    (folder / "tiny.yaml").write_text(dump_yaml(CHAIN))
    truth = [f"{''.join(map(str, path))},{accuracy_of(path)}" for path in every_path(CHAIN)]
    (folder / "tiny.csv").write_text("\n".join(["arch,accuracy", *truth]))
    for kind in STRATEGIES:
        (folder / f"{kind}.yaml").write_text(dump_yaml(settings_of(kind)))
    (folder / "recipe.yaml").write_text(
        dump_yaml(training_of().model_copy(update={"space": str(folder / "tiny.yaml")}))
    )
    small = {"data.images": 96, "data.image_size": 8, "data.batch_size": 8, "watch.paths": 0}
    for seed, name in enumerate(names):
        train_supernet(folder / "recipe.yaml", settings=small, seed=seed, out=folder / name)

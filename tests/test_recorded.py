"""Searches and trainings of every kind still give the numbers that they gave: tiny seeded runs against recorded ones.

The runs are those of RUNS, through the command line alone, so that they outlive a change of structure. What each came
to lies in tests/recorded/RUN.json, and in tests/recorded/machine.json where that was. On such a machine all must be
equal to the last bit; elsewhere, where rounding differs, numbers must be close. They are of the structure before one
supernet ran under gates from anywhere; but darts-dropout-all is recorded after it, as cells run node by node since, and
add up the outputs of disturbed operations in another order (the numbers differ by 5e-7 at most). Numbers that are meant
to change are recorded anew, of all runs (leave no name), or of those named:

    python tests/test_recorded.py [RUN ...]
"""

import hashlib
import json
import math
import sys
from collections.abc import Iterator
from contextlib import chdir
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
import torch
import yaml

from fairdarts.cli import main

ROOT = Path(__file__).parents[1]
RECORDED = Path(__file__).parent / "recorded"

FAKE = "--device cpu --threads 1 --epochs 2 --data.kind fake --data.images 16 --data.image_size 8 --data.classes 3 "
FAKE += "--data.batch_size 4 --data.train_portion 0.5 --data.workers 0 --data.cutout 0 --out run"
"""two epochs of two steps"""
SEARCH = f"{FAKE} --architect.lr 0.1"
CELLS = f"{SEARCH} --space s1-tiny.yaml --supernet.cells 2 --supernet.channels 4"
PATHS = f"{FAKE} --watch.paths 4 --watch.images 8"
MACRO = f"{PATHS} --space macro-tiny.yaml"
CELL_PATHS = f"{PATHS} --supernet.cells 3 --supernet.channels 4"
BENCH201 = f"{PATHS} --supernet.cells 1 --supernet.channels 4"
BENCH101 = f"{PATHS} --supernet.cells 1 --supernet.channels 8"
TRAIN = f"{FAKE} --epochs 1"

STAGES = [{"channels": 8, "layers": 2, "stride": 1}, {"channels": 12, "layers": 2, "stride": 2}]
SIZES: dict[str, Any] = {"nodes": 2, "reductions": ["1/2"]}
SIZES["networks"] = {name: {"cells": 2, "channels": 4, "image": 8, "classes": 3} for name in ("cifar", "imagenet")}
SPACES = {
    "s1-tiny": ("s1", SIZES),
    "darts-tiny": ("darts", SIZES),
    "s2-tiny": ("s2-small", {"stages": STAGES, "head": 16}),
    "macro-tiny": ("nas-bench-macro-small", {"stages": STAGES, "head": 16}),
}
"""name of a file → the shipped space and what is smaller"""

RUNS: dict[str, tuple[str, ...]] = {
    # differentiable search of cells
    "darts-s1": (f"search --config darts-s1-cifar10 {CELLS} --curvature true",),
    "darts-second-order": (f"search --config darts-second-order-s1-cifar10 {CELLS}",),
    "darts-noise-output": (f"search --config darts-noise-s1-cifar10 {CELLS}",),
    "darts-noise-gate": (f"search --config darts-noise-s1-cifar10 {CELLS} --noise.on gate",),
    "darts-dropout-skip": (f"search --config darts-dropout-skip-s1-cifar10 {CELLS}",),
    "darts-dropout-all": (f"search --config darts-dropout-all-s1-cifar10 {CELLS}",),
    "darts-none": (f"search --config darts-s1-cifar10 {CELLS} --space darts-tiny.yaml",),
    "fairdarts-s1": (f"search --config fairdarts-s1-cifar10 {CELLS} --derive.threshold 0.5",),
    "fairdarts-s1-whole": (
        f"search --config fairdarts-s1-cifar10 {SEARCH} --epochs 1 --supernet.cells 3 --supernet.channels 4 "
        "--derive.threshold 0.5",
    ),
    "fairdarts-single-level": (f"search --config fairdarts-single-level-s1-cifar10 {CELLS} --derive.threshold 0.5",),
    # differentiable search of chains
    "darts-s2": (f"search --config darts-s2-small {SEARCH} --space s2-tiny.yaml",),
    "fairdarts-s2": (f"search --config fairdarts-s2-small {SEARCH} --space s2-tiny.yaml --derive.threshold 0.5",),
    # one-shot training of chains
    "fairnas-macro": (f"supernet --config fairnas-macro-small {MACRO}",),
    "spos-macro": (f"supernet --config spos-macro-small {MACRO}",),
    "one-shot-macro": (f"supernet --config one-shot-macro-small {MACRO}",),
    "ef-macro": (f"supernet --config ef-macro-small {MACRO}",),
    "random-a-macro": (f"supernet --config random-a-macro-small {MACRO}",),
    # one-shot training of cells of NAS-Bench-201 and 101
    "fairnas-nasbench201": (f"supernet --config fairnas-nasbench201 {BENCH201}",),
    "nasbench201-path-dropout": (f"supernet --config fairnas-nasbench201 {BENCH201} --supernet.path_dropout 0.3",),
    "nasbench201-wsbn": (
        f"supernet --config recommended-nasbench201 {BENCH201} --supernet.operations node --supernet.wsbn true",
    ),
    "nasbench201-ofa": (f"supernet --config spos-nasbench201 {BENCH201} --supernet.ofa_kernel true",),
    "nasbench101": (f"supernet --config supernet-nasbench101-small {BENCH101}",),
    "nasbench101-fair": (f"supernet --config recommended-nasbench101 {BENCH101}",),
    # one-shot training of cells of DARTS
    "darts-paths": (f"supernet --config supernet-darts-small {CELL_PATHS}",),
    "darts-paths-dropout": (
        f"supernet --config supernet-darts-small {CELL_PATHS} --supernet.operations edge --supernet.path_dropout 0.3 "
        "--supernet.global_dropout 0.2",
    ),
    "darts-paths-tracked": (f"supernet --config supernet-darts-small {CELL_PATHS} --supernet.track true",),
    "darts-paths-wsbn": (
        f"supernet --config supernet-darts-small {CELL_PATHS} --supernet.affine true --supernet.wsbn true "
        "--supernet.ofa_kernel true",
    ),
    "darts-paths-fair": (f"supernet --config recommended-darts-nds {CELL_PATHS}",),
    # what comes after
    "rank": (
        f"supernet --config supernet-nasbench201-small {BENCH201}",
        "rank run --paths 12 --statistics batch",
    ),
    "evolve": (
        f"supernet --config fairnas-macro-small {MACRO} --out supernet",
        "evolve supernet --config nsga2 --population 4 --generations 3 --judge.statistics batch --out run",
    ),
    "train-cell": (
        f"train fairdarts-a --config train-darts-cifar10 {TRAIN} --network.cells 3 --network.channels 4 "
        "--loss.auxiliary 0 --data.cutout 2",
    ),
    "train-inherited": (
        f"supernet --config fairnas-macro-small {MACRO} --out supernet",
        "evolve supernet --config nsga2 --population 4 --generations 1 --out found",
        f"train found --config train-chain-cifar10 {TRAIN} --data.cutout 2 --init-from supernet",
    ),
}
"""name → command lines; recorded is what lies in the folder `run` after them"""

TIMES = {"seconds", "images_per_second", "loading_seconds", "evaluations_per_second"}
BITS = {"hash", "genotype", "models", "paths"}
"""keys of what is equal on an equal machine, and has no meaning or another one elsewhere"""
COUNTS = {"accuracy", "top1", "top5", "watched", "score", "dominant", "hypervolume", "front", "made", "best"}
"""the same: what follows from whether images are judged right, or gates reach a threshold, which is a matter of bits"""


def machine() -> dict[str, str]:
    """What decides the last bits besides the settings."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    pairs = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    processor = ", ".join(pairs.get(key, "unknown") for key in ("model name", "cpu family", "model", "stepping"))
    packages = {name: version(name) for name in ("torch", "torchvision", "numpy")}
    return {"processor": processor, "capability": torch.backends.cpu.get_cpu_capability(), **packages}


def carried_out(lines: tuple[str, ...], place: Path) -> dict[str, Any]:
    """What some command lines come to in an empty folder."""
    for name, (shipped, changes) in SPACES.items():
        content = yaml.safe_load((ROOT / "search_spaces" / f"{shipped}.yaml").read_text(encoding="utf-8"))
        (place / f"{name}.yaml").write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    with chdir(place), patch("matplotlib.figure.Figure.draw"):  # figures take longer than runs
        for line in lines:
            assert main(line.split()) == 0, line
    return result_of(place / "run")


def result_of(run: Path) -> dict[str, Any]:
    """What a run came to: records, genotype, ranking, judged models, and a hash of its supernet or network."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    long = {"alphas", "gates"}  # which follow from those of the epoch before: the last ones are enough
    kept = [{key: value for key, value in record.items() if key not in TIMES | long} for record in records[:-1]]
    kept.append({key: value for key, value in records[-1].items() if key not in TIMES})
    result: dict[str, Any] = {"records": kept}
    if (path := run / "genotypes" / "final.yaml").is_file():
        genotype = yaml.safe_load(path.read_text(encoding="utf-8"))
        result["genotype"] = {key: value for key, value in genotype.items() if key not in ("name", "source")}
    for path in run.glob("ranking-*.json"):
        ranking = json.loads(path.read_text(encoding="utf-8"))
        result |= {key: ranking[key] for key in ("paths", "score")}
    if (path := run / "models.csv").is_file():
        result["models"] = path.read_text(encoding="utf-8").splitlines()
    state = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
    weights = next((state[key] for key in ("supernet", "network") if key in state), None)
    return result if weights is None else result | {"hash": hash_of(weights)}


def hash_of(weights: dict[str, torch.Tensor]) -> str:
    """The SHA-256 of a module's parameters and buffers, whatever their names and their order among each other."""
    values = (value.contiguous().flatten().view(torch.uint8).numpy().tobytes() for value in weights.values())
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(value).digest() for value in values))).hexdigest()


def differences(found: Any, recorded: Any, exact: bool, place: str = "") -> Iterator[str]:
    """Where results differ: all that is not equal or, unless `exact`, numbers that are not close."""
    if isinstance(found, dict) and isinstance(recorded, dict):
        for key in found.keys() | recorded.keys():
            if exact or not (key in BITS or COUNTS & set(key.split("_"))):
                yield from differences(found.get(key), recorded.get(key), exact, f"{place}.{key}")
    elif isinstance(found, list) and isinstance(recorded, list) and len(found) == len(recorded):
        for number, (one, other) in enumerate(zip(found, recorded, strict=True)):
            yield from differences(one, other, exact, f"{place}[{number}]")
    elif not (found == recorded or (not exact and near(found, recorded))):
        yield f"{place[1:]}: {found!r}, recorded {recorded!r}"


def near(found: Any, recorded: Any) -> bool:
    """Whether numbers are close: Adam's first steps make a step of a gradient's sign, so rounding shows in α."""
    numbers = isinstance(found, float) and isinstance(recorded, float)
    return numbers and math.isclose(found, recorded, rel_tol=2e-2, abs_tol=2e-2)


def order(result: dict[str, Any]) -> list[Any]:
    """All that a derivation of a genotype asks of gates: how they are ordered, and which reach the threshold."""
    parts = result["records"][-1].get("gates", {})
    flat = {part: list(chain.from_iterable(gates)) for part, gates in parts.items()}
    return [(part, sorted(range(len(own)), key=own.__getitem__), [g >= 0.5 for g in own]) for part, own in flat.items()]


@pytest.mark.parametrize("name", RUNS)
def test_numbers_stay(name: str, tmp_path: Path) -> None:
    recorded = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    found = carried_out(RUNS[name], tmp_path)
    exact = machine() == json.loads((RECORDED / "machine.json").read_text(encoding="utf-8"))
    differ = sorted(differences(found, recorded, exact))
    assert not differ, "\n".join([f"{len(differ)} numbers of {name} differ:", *differ[:10]])
    if order(found) and order(found) == order(recorded):
        assert found["genotype"] == recorded["genotype"]


def test_another_seed_gives_other_numbers(tmp_path: Path) -> None:
    name = "nasbench101"
    recorded = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    found = carried_out((f"{RUNS[name][0]} --seed 1",), tmp_path)
    assert any(text.startswith("hash") for text in differences(found, recorded, exact=True))
    assert any("train_loss" in text for text in differences(found, recorded, exact=False))


def test_what_is_recorded_is_run() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == {*RUNS, "machine"}


def record(names: list[str]) -> None:
    """Records runs anew; those that are left must be of the same machine."""
    torch.set_num_threads(1)
    RECORDED.mkdir(exist_ok=True)
    content = json.dumps(machine(), indent=2) + "\n"
    path = RECORDED / "machine.json"
    if names and path.read_text(encoding="utf-8") != content:
        sys.exit(f"{path}: the other runs were recorded on another machine: record all, with no RUN named")
    path.write_text(content, encoding="utf-8")
    for name in names or RUNS:
        with TemporaryDirectory() as place:
            result = carried_out(RUNS[name], Path(place))
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in result.items())
        (RECORDED / f"{name}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    record(sys.argv[1:])

"""How well does the supernet of a run rank? From its checkpoint and a benchmark to what a ranking's file holds."""

import json
import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.serve import evaluation_batches, server
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint, halves
from fairdarts.networks.zoo import load_genotype
from fairdarts.oneshot.evaluate import Evaluator, Statistics
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.settings import MAY_CHANGE, TrainingSettings
from fairdarts.oneshot.state import load_weights
from fairdarts.oneshot.train import held_out_images, make_learner
from fairdarts.ranking.benchmarks import Benchmark, benchmark_of, read_benchmarks, regret_of
from fairdarts.ranking.cells import CellTable, read_cells
from fairdarts.ranking.tau import MEASURES, Measured, measure
from fairdarts.resources import names
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.device import LAYOUTS, keep_memory, pick
from fairdarts.runtime.position import IMAGES, changed_images
from fairdarts.runtime.run import RunDirectory, read_settings
from fairdarts.runtime.seed import CALIBRATION, fold
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space

FIELDS = {"run", "recipe", "sampler", "seed", "passes", "batch_size", "images", "truth", "score", "measured"}
"""what every ranking has"""


def open_training(run: RunDirectory) -> tuple[TrainingSettings, Space]:
    """Settings and space of a run. Raises UserError where it is not the training of a supernet."""
    if run.verb != "supernet":
        raise UserError(f"{run.path}: not the training of a supernet: it is a run of `fairdarts {run.verb}`")
    path = run.path / "settings.yaml"
    return check(TrainingSettings, read_settings(path), path), load_space(str(run.path / "space.yaml"))


def open_benchmark(file: Path, space: SearchSpace, column: str | None) -> Benchmark:
    """The truth in a file, for a space; its architectures may be names of shipped genotypes. Raises UserError."""
    return open_benchmarks(file, space, (column,))[0]


def open_benchmarks(file: Path, space: SearchSpace, columns: Sequence[str | None]) -> tuple[Benchmark, ...]:
    """The same by several columns; None is the file's usual one."""
    shipped = set(names("genotypes"))

    def named(text: str) -> SinglePath | None:
        if text not in shipped:
            return None
        genotype, its_space = load_genotype(text)
        return space.path_of(genotype) if its_space.name == space.name else None

    tables = [read_cells(file, space, column) for column in columns] if space.topology else []
    if cells := [table for table in tables if table]:
        return tuple(_of_cells(file, space, table) for table in cells)
    return read_benchmarks(file, space.choices, space.name, columns, named)


def _of_cells(file: Path, space: SearchSpace, table: CellTable) -> Benchmark:
    """The truth in a file that tells cells as they are written. Raises UserError where none is of the space."""
    if not table.rows:
        why = ", ".join(f"{count:,} {what}" for what, count in table.left_out.items())
        raise UserError(f"{file}: holds no architecture of space {space.name}: {why or 'it is empty'}")
    rows = ((place, str(key), key, value) for place, key, value in table.rows)
    return benchmark_of(file, table.column, rows)._replace(left_out=table.left_out)


def chosen_paths(space: Space, benchmark: Benchmark | None, count: int, seed: int) -> list[SinglePath]:
    """Different paths drawn by the seed: of a benchmark's own, or else of the whole space; sorted."""
    random = Random(seed)
    if benchmark:
        return sorted(random.sample(sorted(benchmark.truth), min(count, len(benchmark.truth))))
    paths: set[SinglePath] = set()
    while len(paths) < min(count, space.size()):
        paths.add(space.random_path(random.randrange))
    return sorted(paths)


def own_statistics(settings: TrainingSettings) -> Statistics:
    """What the BatchNorms of a supernet take if nothing is asked for: their running statistics, where there are any."""
    return "tracked" if settings.supernet.track else "batch"


def judge(
    run: RunDirectory,
    settings: TrainingSettings,
    space: Space,
    source: Source,
    statistics: Statistics,
    images: int | None,
) -> tuple[Evaluator, dict[str, Any]]:
    """What judges paths by the weights of a run's last checkpoint, on so many held-out images (None: all), and facts
    about both. Raises UserError where its BatchNorms cannot take these statistics."""
    if not settings.supernet.track and statistics != "batch":
        none = "BatchNorms have no running statistics"
        raise UserError(f"{run.path}: supernet.track false: {none}, so {statistics} should be batch")
    if isinstance(statistics, int) and settings.supernet.operations == "node" and not settings.supernet.wsbn:
        shared = "edges share BatchNorms (supernet.operations node), so no edge has statistics of its own"
        raise UserError(f"{run.path}: {shared}: statistics {statistics} should be tracked or batch")
    if change := changed_images(run, fingerprint(source)):
        others = "others than it held out of training would be taken for held-out; put them back as they were"
        raise UserError(f"{run.path}: {IMAGES}: {change}: {others}")
    keep_memory()
    device = pick(settings.device)
    learner = make_learner(settings, space, source, device)
    epochs, steps = load_weights(learner.supernet, run)
    trained, held_out = halves(settings.data, source, settings.seed)
    if not held_out:
        raise UserError(f"{run.path}: data.train_portion 1.0: no images are held out to judge paths by")
    chosen = held_out_images(settings, held_out, images)
    layout = LAYOUTS[settings.compute.layout]
    batches = partial(evaluation_batches, source, settings.data, chosen, device, layout)
    serve = server(source, settings.data, device, layout)
    calibration = partial(serve, indices=trained, seed=fold(settings.seed, CALIBRATION), start=0)
    evaluator = Evaluator(learner.supernet, batches, statistics, calibration, settings.compute.precision)

    sampler = make_sampler(settings.sampler, space, torch.Generator())
    passes = (epochs * (len(trained) // settings.data.batch_size) + steps) * sampler.passes
    facts = {"run": run.path.name, "recipe": settings.name, "sampler": settings.sampler.kind, "seed": settings.seed}
    facts |= {"space": space.name, "epochs": epochs, "passes": passes, "batch_size": settings.data.batch_size}
    return evaluator, {**facts, "statistics": statistics, "images": len(chosen)}


def ranking_of(
    evaluator: Evaluator, facts: dict[str, Any], paths: Sequence[SinglePath], benchmark: Benchmark | None, seed: int
) -> dict[str, Any]:
    """What the file holds: facts, paths, their one-shot accuracies and, with a benchmark, their truth, how well one
    ranks the other, and `best`: of the path of highest one-shot accuracy, of equal ones the first, all of that, and by
    how many percentage points the best of the benchmark is better."""
    score = evaluator(paths)
    ranking = {**facts, "benchmark": None, "column": None, "paths": [list(path) for path in paths], "truth": None}
    ranking |= {"score": score, "measured": None, "best": None}
    if benchmark:
        truth = [benchmark.truth[path] for path in paths]
        measured = measure(truth, score, list(benchmark.truth.values()), np.random.default_rng(seed))
        ranking |= {"benchmark": benchmark.name, "column": benchmark.column, "truth": truth}
        ranking["measured"] = {name: _plain(number._asdict()) for name, number in measured.items()}
        at = score.index(max(score))
        regret = regret_of(max(benchmark.truth.values()), truth[at])
        ranking["best"] = {"path": list(paths[at]), "score": score[at], "truth": truth[at], "regret": regret}
    return ranking


def ranking_path(run: RunDirectory, statistics: Statistics) -> Path:
    """Where a run's ranking by some statistics of BatchNorm is kept: ranking-tracked.json, ranking-batch.json, …"""
    return run.path / f"ranking-{statistics}.json"


def write_ranking(run: RunDirectory, ranking: dict[str, Any]) -> None:
    """Writes a ranking into its run, over an older one by the same statistics."""
    write_atomically(ranking_path(run, ranking["statistics"]), (json.dumps(ranking) + "\n").encode())


def read_ranking(run: RunDirectory, statistics: Statistics) -> dict[str, Any]:
    """What `write_ranking` wrote. Raises UserError where there is none, or a damaged one."""
    path = ranking_path(run, statistics)
    if not path.is_file():
        raise UserError(f"{path}: no such file; leave --again out to make it")
    try:
        ranking = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        ranking = None
    if not isinstance(ranking, dict) or not ranking.keys() >= FIELDS or not _whole(ranking):
        raise UserError(f"{path}: not a ranking; leave --again out to make it anew")
    return ranking


def recipes_told_apart(runs: Sequence[RunDirectory]) -> list[str]:
    """What each run followed: its recipe's name, with a run's own where others follow it under other settings.

    Runs that differ in seed and budget alone have one name, that of the first of them.
    """
    every = [open_training(run)[0] for run in runs]
    variants = [variant_of(settings) for settings in every]
    first: dict[str, dict[str, str]] = {}
    for run, settings, variant in zip(runs, every, variants, strict=True):
        first.setdefault(settings.name, {}).setdefault(variant, run.path.name)
    recipes = []
    for settings, variant in zip(every, variants, strict=True):
        run_of = first[settings.name]
        short = {key: re.sub(r"-seed[0-9]+$", "", run_name) for key, run_name in run_of.items()}
        called = (short if len(set(short.values())) == len(run_of) else run_of)[variant]
        recipes.append(settings.name if len(run_of) == 1 else f"{settings.name} ({called})")
    return recipes


def variant_of(settings: TrainingSettings) -> str:
    """What two runs share that differ in seed, budget and how they were computed, and in nothing else."""
    same = dict.fromkeys(("seed", "epochs", "device", "threads", *(k for k in MAY_CHANGE if "." not in k)))
    parts = settings.model_dump(mode="json", exclude=set(same))
    for key in MAY_CHANGE:
        section, _, name = key.partition(".")
        if name:
            parts[section].pop(name, None)
    return json.dumps(parts, sort_keys=True)


def _whole(ranking: dict[str, Any]) -> bool:
    """Whether a ranking that was read has its accuracies, and every measure or none."""
    measured, score = ranking["measured"], ranking["score"]
    if not isinstance(score, list) or not score:
        return False
    if measured is None:
        return True
    numbers = measured.values() if isinstance(measured, dict) and measured.keys() == set(MEASURES) else [None]
    return all(isinstance(number, dict) and number.keys() == set(Measured._fields) for number in numbers)


def _plain(number: dict[str, Any]) -> dict[str, Any]:
    """A number as JSON can hold it: null where it is not one."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in number.items()}

"""Supernet steps that two processes share, or that one makes alone: run by torchrun.

python shared_paths.py FOLDER        writes FOLDER/RANK.pt: what every case's learner holds after its steps
"""

import sys
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch
from one_shot import DEAD, SPACES, TOPOLOGIES, batches_of, held_by, learner_of, settings_of, share_of
from torch import Tensor
from trainings import CONTROLLER

from fairdarts.config import SaidElsewhere, UserError
from fairdarts.data.sources import open_source
from fairdarts.oneshot.evaluate import Evaluator, Statistics
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.step import Batch, supernet_step
from fairdarts.oneshot.train import train
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.gates import subnet


class Case(NamedTuple):
    """How a supernet is trained."""

    space: str
    sampler: str
    parallel: str
    shared_gradient: str = "sum"


SAMPLERS = ("strict_fair", "uniform", "architecture")
CASES = [Case(space, sampler, "data") for space in SPACES for sampler in SAMPLERS]
CASES += [Case(space, "strict_fair", "path", gradient) for space in SPACES for gradient in ("sum", "mean")]
CASES += [Case("chain", "strict_fair", "data", "mean")]
CASES += [Case(space, "strict_fair", parallel) for space in TOPOLOGIES for parallel in ("data", "path")]
STATISTICS: tuple[Statistics, ...] = ("tracked", "batch", 2)
JUDGED = [(space, statistics) for space in SPACES for statistics in STATISTICS]
JUDGED += [(space, "batch") for space in TOPOLOGIES]
EVERY = SPACES | TOPOLOGIES
UNTRACKED = {name: {"supernet.track": False} for name in TOPOLOGIES}
"""settings of spaces in whose supernets nothing may be remembered where processes share paths"""
STEPS, FEW, PARTS = 4, 2, 2
"""few where paths choose inputs: without any, a cell is constant, of which BatchNorms make rounding errors large"""


def trained(case: Case, parts: int) -> dict[str, Tensor]:
    """All that a step changes, and what the steps measured, after some steps in float64."""
    overrides = {"compute.parallel": case.parallel, "weights.shared_gradient": case.shared_gradient}
    overrides |= {"compute.accumulate": parts} | UNTRACKED.get(case.space, {})
    settings, space = settings_of(case.sampler, **overrides), EVERY[case.space]
    learner = learner_of(space, settings)
    learner.supernet.train()
    sampler = make_sampler(settings.sampler, space, torch.Generator().manual_seed(0))
    measured = []
    for batch in batches_of(STEPS if case.space in SPACES else FEW):
        own = batch if case.parallel == "path" else share_of(batch)
        measured.append(supernet_step(learner, sampler.draw(0.5), own))
    return held_by(learner) | {"measured": torch.stack(measured)}


def trained_on_dead_paths() -> dict[str, Tensor]:
    """The same of NAS-Bench-201, where a process has a path that reaches nothing, and runs what nothing reads."""
    learner = learner_of(SPACES["bench"], settings_of(**{"compute.parallel": "path"}))
    learner.supernet.train()
    living, dead = DEAD
    steps = ([dead, living, living], [living, dead, living], [dead, dead])
    measured = [
        supernet_step(learner, [[subnet(path) for path in step]], batch)
        for step, batch in zip(steps, batches_of(len(steps)), strict=True)
    ]
    return held_by(learner) | {"measured": torch.stack(measured)}


def judged(name: str, statistics: Statistics) -> dict[str, Tensor]:
    """The accuracies of some paths, asked for in two parts that overlap, and what the supernet holds afterwards."""
    space, random = EVERY[name], Random(0)
    learner = learner_of(space, settings_of(**UNTRACKED.get(name, {})))
    paths = [space.random_path(random.randrange) for _ in range(7)]
    held_out, training = partial(batches_of, 3, 20), partial(batches_of, 3, 8, 2)
    evaluator = Evaluator(learner.supernet, held_out, statistics, training)
    found = evaluator(paths[:1]) + evaluator(paths)
    return held_by(learner) | {"accuracies": torch.tensor(found, dtype=torch.float64)}


def refused() -> dict[str, Tensor]:
    """What the last process says of an image that it alone cannot read: 1 for a UserError, 2 where another says it."""

    def held_out() -> list[Batch]:
        if distributed.rank() == distributed.ranks() - 1:
            raise UserError("cat.png: cannot be decoded as an image")
        return batches_of(1)

    said = 0
    try:
        Evaluator(learner_of(SPACES["chain"], settings_of()).supernet, held_out)([(0, 0, 0, 0), (1, 1, 1, 1)])
    except UserError:
        said = 1
    except SaidElsewhere:
        said = 2
    return {"said": torch.tensor(said)}


class Nobody:
    """Watches a training without a word."""

    def step(self, *_: object) -> None: ...

    def epoch(self, record: dict) -> None: ...


def whole_training(parallel: str, parts: int, sampler: str | dict = "strict_fair", **more: object) -> dict[str, Tensor]:
    """What a training of two epochs in float32 leaves in its checkpoint and records."""
    data = {"data.images": 32, "data.image_size": 8, "data.classes": 3}
    own = {"compute.parallel": parallel, "compute.accumulate": parts}
    settings = settings_of(sampler, **data, epochs=2, **own, **more)
    space = SPACES["chain"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        run = create(path, settings, space) if distributed.rank() == 0 else RunDirectory(path)
        train(settings, space, open_source(settings.data), run, Nobody(), Stop())
        run = RunDirectory(Path(distributed.shared(str(path))))
        state, records = checkpoint.load(run.last), run.records()
        distributed.highest(0)  # else the first process would take the folder away before the second has read
    held = {f"weight {name}": held for name, held in state["supernet"].items() if "running" not in name}
    held = {name: tensor for name, tensor in held.items() if "tracked" not in name}
    measured = [
        [record[key] for key in ("epoch", "passes", "train_loss", "train_accuracy", "lr")] for record in records
    ]
    held |= {"measured": torch.tensor(measured), "updates": torch.stack(state["updates"])}
    if sampler != "strict_fair":
        held |= {f"policy {name}": tensor for name, tensor in state["sampler"]["policy"].items()}
        held |= {"rewards": torch.tensor([[record["reward"], record["baseline"]] for record in records])}
    return held | {"watched": torch.tensor([record["watched"] for record in records])}


def outcomes() -> dict[str, dict[str, Tensor]]:
    """Of every case by name; one process goes through batches in as many parts as two processes do."""
    found = {}
    for case in CASES:
        parts = 1 if case.parallel == "path" else PARTS // distributed.ranks()
        found["-".join(case)] = trained(case, parts)
    found["dead paths"] = trained_on_dead_paths()
    found |= {f"judge-{name}-{statistics}": judged(name, statistics) for name, statistics in JUDGED}
    found["refused"] = refused()
    for parallel in ("data", "path"):
        parts = PARTS // distributed.ranks() if parallel == "data" else 1
        found[f"training-{parallel}"] = whole_training(parallel, parts)
    parts, often = PARTS // distributed.ranks(), CONTROLLER | {"updates": 4, "paths": 8}
    found["training-controller"] = whole_training("data", parts, often, **{"supernet.track": False})
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined():
        torch.save(outcomes(), Path(sys.argv[1]) / f"{distributed.rank()}.pt")

"""The differentiable search, from settings to a genotype."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from fairdarts.config import UserError, nearest
from fairdarts.data.loader import Augmented, batches, split
from fairdarts.data.memory import kept_batches, on_device
from fairdarts.data.sources import Source
from fairdarts.data.transforms import training_transform
from fairdarts.genotype import CELLS, Genotype
from fairdarts.relaxation import Gates, gate_matrices, initial_alphas
from fairdarts.runtime import checkpoint
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.run import Run
from fairdarts.runtime.seed import ALPHAS, CURVATURE, TRAIN, VALID, WEIGHTS, fold
from fairdarts.runtime.stop import Interrupted, Stop
from fairdarts.search.architect import STEPS, SUMS, Batch, Learner, Moment
from fairdarts.search.curvature import held_out_curvature
from fairdarts.search.derive import as_matrices, derive, dominant
from fairdarts.search.settings import SearchSettings
from fairdarts.search.state import identity_of, restore, state_of
from fairdarts.search.stopping import kept_record, verdict
from fairdarts.spaces.cell import CellSpace
from fairdarts.supernet.cell import CellSupernet


class Diverged(UserError):
    """The loss is no longer a number: a new search with other settings may help, a resumed one cannot."""


class Observer(Protocol):
    """Who watches a search; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor, alphas: Gates) -> None:
        """After every step: epoch and step count from 1, `sums` are SUMS over the epoch's steps so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """After every epoch: its record, as metrics.jsonl holds it."""


def learning_rate(epoch: int, epochs: int, lr: float, lr_min: float) -> float:
    """The cosine schedule: lr at epoch 0, lr_min at `epochs`."""
    return lr_min + (lr - lr_min) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def make_learner(settings: SearchSettings, space: CellSpace, source: Source, device: torch.device) -> Learner:
    """A fresh supernet, α and both optimizers, decided by the seed alone."""
    torch.manual_seed(fold(settings.seed, WEIGHTS))
    supernet = CellSupernet(
        space,
        settings.supernet.cells or space.supernet.cells,
        settings.supernet.channels or space.supernet.channels,
        classes=len(source.classes),
        in_channels=len(source.mean),
        memory=settings.compute.memory,
    ).to(device, memory_format=LAYOUTS[settings.compute.layout])
    generator = torch.Generator().manual_seed(fold(settings.seed, ALPHAS))
    drawn = initial_alphas(space, settings.architect.initial_std, generator)
    alphas = {cell: alpha.to(device).requires_grad_() for cell, alpha in drawn.items()}
    if settings.compute.compile != "none":
        torch._dynamo.config.recompile_limit = 4 * len(supernet.cells)  # two graphs a cell; eager beyond the limit
        for cell in supernet.cells:
            cell.compile(mode=settings.compute.compile, dynamic=False)
    weights, architect = settings.weights, settings.architect
    quick = {"fused": True} if device.type == "cuda" else {"foreach": True}
    weight_optimizer = torch.optim.SGD(
        supernet.parameters(), weights.lr, weights.momentum, weight_decay=weights.weight_decay, **quick
    )
    alpha_optimizer = torch.optim.Adam(
        alphas.values(), architect.lr, architect.betas, weight_decay=architect.weight_decay, **quick
    )
    return Learner(settings, supernet, alphas, weight_optimizer, alpha_optimizer)


def check_fit(settings: SearchSettings, space: CellSpace, images: int) -> tuple[list[int], list[int]]:
    """The indices of training and held-out images. Raises UserError where settings, machine and data do not fit."""
    if pick(settings.device).type == "cpu" and settings.compute.compile != "none":
        raise UserError(f"compute.compile: {settings.compute.compile}: is for CUDA; on the CPU it should be none")
    cells = settings.supernet.cells or space.supernet.cells
    if len(space.reduction_cells(cells)) == cells:
        raise UserError(f"supernet.cells: {cells}: all of them are reduction cells in {space.name}; should be more")
    for section in ("noise", "dropout"):
        for name in getattr(getattr(settings, section), "operations", ()):
            if name not in space.candidates:
                near = nearest(name, space.candidates)
                raise UserError(f"{section}.operations: '{name}' is not an operation of space {space.name}{near}")
    halves = split(images, settings.data.train_portion)
    alone = settings.architect.kind == "single_level" and not settings.measures_curvature
    smallest = len(halves[0]) if alone else min(map(len, halves))
    if settings.data.batch_size > smallest:
        has = f"should be at most {smallest}, the images that train the weights or the architecture"
        raise UserError(f"data.batch_size: {settings.data.batch_size}: {has}")
    return halves


def open_batches(
    settings: SearchSettings,
    source: Source,
    halves: tuple[list[int], list[int]],
    device: torch.device,
    step: int,
    epoch: int,
) -> list[Iterator[Batch]]:
    """Endless batches on the device, to be closed: for the weights and for α, from a step of the search on; for the
    curvature, from an epoch on."""
    if isinstance(source.dataset, TensorDataset):
        serve = partial(kept_batches, on_device(source, device), settings.data.cutout)
    else:
        dataset = Augmented(source.dataset, training_transform(source, settings.data.cutout))
        serve = partial(batches, dataset, workers=settings.data.workers, device=device)
    train, valid = halves
    return [
        serve(indices=half, batch_size=settings.data.batch_size, seed=fold(settings.seed, stream), start=start)
        for half, stream, start in ((train, TRAIN, step), (valid, VALID, step), (valid, CURVATURE, epoch))
    ]


def search(
    settings: SearchSettings,
    space: CellSpace,
    source: Source,
    run: Run,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
) -> Genotype:
    """Search from the start, or (resume) from the run's last checkpoint, to the final genotype.

    Raises Interrupted once a signal stopped it, the state saved; UserError where data or disk fail, the state of the
    last step or at least of the last checkpoint saved; Diverged where the loss is no longer finite.
    """
    use_threads(settings.threads)
    device = pick(settings.device)
    halves = check_fit(settings, space, len(source.dataset))
    steps = len(halves[0]) // settings.data.batch_size
    identity = identity_of(settings, space, len(source.dataset))
    learner = make_learner(settings, space, source, device)
    epoch, step, seconds, sums = 0, 0, 0.0, torch.zeros(len(SUMS), device=device)
    if resume and (run.last.is_file() or len(run.records()) > 1):
        epoch, step, seconds = restore(learner, identity, sums, checkpoint.load(run.last), run, space)
    else:
        run.forget_after(-1)  # a run that was killed before its first checkpoint begins anew
        run.log(gate_record(0, learner, space))
        checkpoint.save(run.last, state_of(learner, identity, sums, epoch, step, seconds))

    train, valid, looked_at = open_batches(settings, source, halves, device, epoch * steps + step, epoch)
    take_step = STEPS[settings.architect.kind]
    clock = saved = time.monotonic()
    learner.supernet.train()
    with closing(train), closing(valid), closing(looked_at):  # else loading processes would live on in an error
        while epoch < settings.epochs and not verdict(run.records(), settings.stopping):
            lr = learning_rate(epoch, settings.epochs, settings.weights.lr, settings.weights.lr_min)
            for group in learner.weight_optimizer.param_groups:
                group["lr"] = lr
            while step < steps:
                try:
                    sums += take_step(learner, train, valid, Moment(epoch, epoch * steps + step))
                except UserError:  # an image could not be read: nothing of this step has happened yet
                    checkpoint.save(
                        run.last, state_of(learner, identity, sums, epoch, step, seconds + time.monotonic() - clock)
                    )
                    raise
                step += 1
                observer.step(epoch + 1, step, steps, sums, learner.alphas)
                if step < steps and (stop.signal or time.monotonic() - saved >= settings.save_minutes * 60):
                    saved = time.monotonic()
                    checkpoint.save(run.last, state_of(learner, identity, sums, epoch, step, seconds + saved - clock))
                    if stop.signal:
                        raise Interrupted(stop.signal)

            means = dict(zip(SUMS, (sums / steps).tolist(), strict=True))
            if not math.isfinite(means["train_loss"]):
                advice = f"lower weights.lr ({settings.weights.lr})"
                raise Diverged(f"{run.path}: the loss is no longer finite in epoch {epoch + 1}; {advice}")
            seconds, clock = seconds + time.monotonic() - clock, time.monotonic()
            record = gate_record(epoch + 1, learner, space)
            measured = {key: mean for key, mean in means.items() if not math.isnan(mean)}
            record |= {**measured, "lr": lr, "seconds": round(seconds, 3)}
            if settings.measures_curvature:
                record["eigenvalue"] = held_out_curvature(learner, next(looked_at))
            epoch, step, seconds = epoch + 1, 0, 0.0
            sums.zero_()
            run.log(record)
            genotype = derived(record["gates"], settings, space, f"{run.path.name}-epoch-{epoch}")
            run.write_genotype(genotype, f"epoch-{epoch:03d}")
            checkpoint.save(run.last, state_of(learner, identity, sums, epoch, step, seconds))
            saved = time.monotonic()
            observer.epoch(record)
            if stop.signal and epoch < settings.epochs:
                raise Interrupted(stop.signal)

    records = run.records()
    ended = verdict(records, settings.stopping)
    gates = kept_record(records, settings.stopping)["gates"]
    genotype = derived(gates, settings, space, run.path.name, f"; stopped: {ended.reason}" if ended else "")
    run.write_genotype(genotype, "final")
    return genotype


def gate_record(epoch: int, learner: Learner, space: CellSpace) -> dict[str, Any]:
    """What a record says of the architecture: α, gates, and the number of dominant operations."""
    gates = gate_matrices(learner.alphas, learner.settings.relaxation)
    rule = learner.settings.derive
    return {
        "epoch": epoch,
        "gates": {cell: gates[cell].tolist() for cell in CELLS},
        "alphas": {cell: learner.alphas[cell].tolist() for cell in CELLS},
        "dominant": {cell: dominant(gates[cell], space, rule.method, rule.threshold) for cell in CELLS},
    }


def derived(gates: dict[str, Any], settings: SearchSettings, space: CellSpace, name: str, note: str = "") -> Genotype:
    """The genotype of a record's gates by the settings' method; its source ends in the note."""
    rule = settings.derive
    origin = f"search {settings.name}, seed {settings.seed}, {rule.method}"
    origin += "" if rule.method == "argmax" else f" {rule.threshold}"
    origin += ("" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell") + note
    return derive(as_matrices(gates, space, name), space, rule.method, rule.threshold, name, origin, rule.max_skips)

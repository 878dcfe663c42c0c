"""The training of a one-shot supernet, from settings to a checkpoint that can judge paths."""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from random import Random
from statistics import fmean, pstdev, pvariance
from typing import Any

import torch

from fairdarts.config import UserError
from fairdarts.data.balance import class_weights
from fairdarts.data.serve import check_alike, evaluation_batches, keep_held_out, server
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint, halves
from fairdarts.native.calls import use_native
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.sampler import Judge
from fairdarts.oneshot.samplers import make_sampler, tally
from fairdarts.oneshot.settings import MAY_CHANGE, TrainingSettings
from fairdarts.oneshot.state import put_back, state_of
from fairdarts.oneshot.step import SUMS, Batch, Learner, supernet_step
from fairdarts.ops.fast import with_fast_gradients
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, keep_memory, pick, use_threads
from fairdarts.runtime.epochs import Observer, begin, check_converging, check_processes, epochs, means_of, resumes
from fairdarts.runtime.position import Position, identity_of
from fairdarts.runtime.resume import common_state, restored
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.seed import DROPS, PATHS, TRAIN, VALID, WATCHED, WEIGHTS, fold
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.nasbench101 import Bench101Space
from fairdarts.spaces.space import Space
from fairdarts.supernet.chain import ChoiceLayer
from fairdarts.supernet.settings import check_supernet
from fairdarts.supernet.supernet import Supernet, make_supernet


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """Of a step, counted from 0 over the whole training, of `steps` an epoch: a linear rise over the warm-up, then a
    cosine from lr to lr_min."""
    weights, warmup = settings.weights, round(settings.weights.warmup_epochs * steps)
    if step < warmup:
        return weights.lr * (step + 1) / warmup
    share = (step - warmup) / (settings.epochs * steps - warmup)
    return weights.lr_min + (weights.lr - weights.lr_min) * (1 + math.cos(math.pi * share)) / 2


def train(
    settings: TrainingSettings,
    space: Space,
    source: Source,
    run: RunDirectory,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
    about: Callable[[SinglePath], dict[str, Any]] | None = None,
) -> None:
    """Trains from the start, or (resume) from the run's last checkpoint.

    Every record holds what is known `about` the watched path of highest accuracy; nothing learns from it.
    Several processes take every step together, and the first one writes. Raises Interrupted once a signal stopped it,
    the state saved; UserError where data or disk fail, the state of the last step or at least of the last checkpoint
    saved; Diverged where loss or weights are no longer finite.
    """
    use_threads(settings.threads)
    keep_memory()
    use_native(settings.compute.native)
    device, images = pick(settings.device), fingerprint(source)
    with distributed.together():
        trained, held_out = check_fit(settings, space, source)
        check_alike(settings.data, images)
    steps = len(trained) // settings.data.batch_size
    identity = identity_of(settings, MAY_CHANGE, space, images)
    learner = make_learner(settings, space, source, device)
    sampler = make_sampler(settings.sampler, space, torch.Generator().manual_seed(fold(settings.seed, PATHS)))
    updates = [torch.zeros(count, dtype=torch.int64) for count in sampler.counts]
    at, sums = Position(), torch.zeros(len(SUMS), device=device)
    records: list[dict[str, Any]] = []

    def told(record: dict[str, Any]) -> dict[str, Any]:
        return record | about(best_watched(record, settings, space)) if about else record

    def state() -> dict[str, Any]:
        return common_state(identity, sums, at, records) | state_of(learner, sampler, updates)

    resume = resumes(run, resume)
    distributed.first(keep_held_out, run, settings.data, source, held_out)
    if resume:
        records += restored(run, identity, sums, at, partial(put_back, learner, sampler, updates))
        if about:  # of the epochs before, too
            records[:] = map(told, records)
            distributed.first(run.rewrite, records)
    else:
        begin(run, records, state)

    whole = settings.compute.parallel == "path"
    shard = (0, 1) if whole else (distributed.rank(), distributed.ranks())
    serve = server(source, settings.data, device, LAYOUTS[settings.compute.layout], shard)
    served = serve(indices=trained, seed=fold(settings.seed, TRAIN), start=at.epoch * steps + at.step)
    watched = watch(settings, space, source, held_out, device)
    rewarding = held_out_batches(settings, source, held_out, device, at.epoch * sampler.batches)
    draw, judge = partial(next, served), judge_by(rewarding, learner)
    learner.supernet.train()
    with closing(served), closing(rewarding):  # else loading processes would live on in an error
        for batches in epochs(settings, run, at, records, state, steps, draw, observer.epoch, stop):
            for batch in batches:
                number = at.epoch * steps + at.step
                for group in learner.optimizer.param_groups:
                    group["lr"] = learning_rate(settings, number, steps)
                drawn = sampler.draw(number / (settings.epochs * steps))
                if settings.supernet.draws:
                    torch.manual_seed(fold(settings.seed, DROPS, distributed.rank(), number))
                sums += supernet_step(learner, drawn, batch)
                tally(updates, drawn)
                observer.step(at.epoch + 1, at.step + 1, steps, sums)

            means = means_of(sums, SUMS, steps)
            what = f"no longer finite in epoch {at.epoch + 1}; lower weights.lr ({settings.weights.lr})"
            check_converging(run, means["train_loss"], learner.supernet.state_dict().values(), what)
            check_processes(run, at.epoch + 1, learner.weights, "weights")
            told_of = sampler.learn(judge)
            check_processes(run, at.epoch + 1, sampler.learnt, "controllers")
            times = at.finish_epoch(steps * settings.data.batch_size)
            passes = at.epoch * steps * sampler.passes
            record = {"epoch": at.epoch, "passes": passes, **means, "lr": learner.optimizer.param_groups[0]["lr"]}
            counts = [updates[point].tolist() for point in sampler.operations]
            record |= {"updates": counts, "updates_mean": list(map(fmean, counts))}
            record |= {"updates_variance": list(map(pvariance, counts)), **told_of, **times}
            if watched:
                chance = torch.Generator().manual_seed(fold(settings.seed, WATCHED, at.epoch))
                promising = sampler.promising(settings.watch.paths, chance)
                accuracies = watched(learner, promising)
                record |= {"watched": accuracies, "watched_mean": fmean(accuracies), "watched_std": pstdev(accuracies)}
                if promising:
                    record["best"] = list(promising[accuracies.index(max(accuracies))])
            records.append(told(record))


def check_fit(settings: TrainingSettings, space: Space, source: Source) -> tuple[list[int], list[int]]:
    """The indices of training and held-out images. Raises UserError where settings, machine and data do not fit."""
    size, parts = settings.data.batch_size, settings.compute.accumulate
    check_supernet(settings.supernet, space)
    check_sampler(settings.sampler.kind, space)
    if settings.compute.compile != "none" and pick(settings.device).type == "cpu":
        raise UserError(f"compute.compile: {settings.compute.compile}: is for CUDA; on the CPU it should be none")
    if settings.compute.parallel == "path":
        if distributed.ranks() > (most := max(map(len, space.choices))):
            extra = f"compute.parallel: path: {distributed.ranks()} processes, but a step has {most} paths"
            raise UserError(f"{extra}; start at most {most}, or take parallel data")
        if parts > 1:
            raise UserError(f"compute.accumulate: {parts}: should be 1 with compute.parallel path")
        if settings.supernet.track and (settings.supernet.operations == "node" or isinstance(space, Bench101Space)):
            twice = "a path may move running statistics twice, or in part"
            raise UserError(f"compute.parallel: path: {twice}; set supernet.track false, or take parallel data")
    else:
        distributed.check_shares(size, parts)
    trained, held_out = halves(settings.data, source, settings.seed)
    if size > len(trained):
        raise UserError(f"data.batch_size: {size}: should be at most {len(trained)}, the images that train the weights")
    if settings.sampler.kind == "controller" and size > len(held_out):
        raise UserError(f"data.batch_size: {size}: should be at most {len(held_out)}, the images that reward paths")
    return trained, held_out


def check_sampler(kind: str, space: Space) -> None:
    """Raises UserError where a space cannot be sampled so."""
    if kind == "controller" and isinstance(space, Bench101Space):
        alone = "draws decision by decision, and not every combination is a cell"
        raise UserError(f"sampler.kind: controller: {alone} in space {space.name}; take uniform")
    if kind == "one_shot" and space.topology:
        raise UserError(f"sampler.kind: one_shot: runs all choices, but in space {space.name} paths choose inputs, too")
    if kind == "architecture" and isinstance(space, CellSpace):
        counts = "knows how many paths are one network, which is not counted for cells"
        raise UserError(f"sampler.kind: architecture: {counts}, as in space {space.name}; take uniform")


def make_learner(settings: TrainingSettings, space: Space, source: Source, device: torch.device) -> Learner:
    """A fresh supernet and its optimizer, decided by the seed alone."""
    torch.manual_seed(fold(settings.seed, WEIGHTS))
    made = make_supernet(space, len(source.classes), len(source.mean), settings.supernet)
    # torch's stubs know no memory_format with a device
    moved = made.to(device, memory_format=LAYOUTS[settings.compute.layout])  # type: ignore[call-overload]
    supernet: Supernet = with_fast_gradients(moved)
    if settings.compute.compile != "none":
        layers = [layer for layer in supernet.modules() if isinstance(layer, ChoiceLayer)]
        blocks = [supernet.stem, *(candidate for layer in layers for candidate in layer.candidates), supernet.tail]
        torch._dynamo.config.recompile_limit = 4 * len(blocks)  # two graphs a choice; eager beyond the limit
        for block in blocks:
            block.compile(mode=settings.compute.compile, dynamic=False)
    weights, quick = settings.weights, {"fused": True} if device.type == "cuda" else {"foreach": True}
    options: dict[str, Any] = {"weight_decay": weights.weight_decay, **quick}
    optimizer = torch.optim.SGD(supernet.parameters(), weights.lr, weights.momentum, **options)
    counts = class_weights(settings.data, source, settings.seed)
    return Learner(settings, supernet, optimizer, None if counts is None else counts.to(device))


def held_out_images(settings: TrainingSettings, held_out: list[int], count: int | None) -> list[int]:
    """So many held-out images, drawn once and for all by the seed; None for all."""
    generator = torch.Generator().manual_seed(fold(settings.seed, WATCHED))
    return [held_out[position] for position in torch.randperm(len(held_out), generator=generator)[:count].tolist()]


def watched_paths(settings: TrainingSettings, space: Space) -> list[SinglePath]:
    """The paths whose accuracies every record holds, in their order."""
    random = Random(fold(settings.seed, WATCHED))
    return [space.random_path(random.randrange) for _ in range(settings.watch.paths)]


def best_watched(record: dict[str, Any], settings: TrainingSettings, space: Space) -> SinglePath:
    """The watched path of highest accuracy, of equal ones the first; `best` where they were drawn for this record."""
    if "best" in record:
        return tuple(record["best"])
    accuracies = record["watched"]
    return watched_paths(settings, space)[accuracies.index(max(accuracies))]


def watch(
    settings: TrainingSettings, space: Space, source: Source, held_out: list[int], device: torch.device
) -> Callable[[Learner, Sequence[SinglePath] | None], list[float]] | None:
    """What measures the accuracy of paths, in percent, of the watched ones where none are given; None where nothing is
    watched."""
    if not settings.watch.paths:
        return None
    fixed = watched_paths(settings, space)
    images = held_out_images(settings, held_out, settings.watch.images)
    batches = partial(evaluation_batches, source, settings.data, images, device, LAYOUTS[settings.compute.layout])
    precision = settings.compute.precision
    return lambda learner, drawn: Evaluator(learner.supernet, batches, precision=precision)(drawn or fixed)


def held_out_batches(
    settings: TrainingSettings, source: Source, held_out: list[int], device: torch.device, start: int
) -> Generator[Batch, None, None]:
    """Endless batches of held-out images, each whole in all processes, from batch number `start`; to be closed. Their
    images are augmented as those of the training. Nothing is opened before the first is asked for."""
    serve = server(source, settings.data, device, LAYOUTS[settings.compute.layout])
    yield from serve(indices=held_out, seed=fold(settings.seed, VALID), start=start)


def judge_by(batches: Generator[Batch, None, None], learner: Learner) -> Judge:
    """What tells the accuracy of paths in percent, each time on the next batch."""

    def judge(paths: Sequence[SinglePath]) -> list[float]:
        with distributed.together():
            batch = next(batches)
        return Evaluator(learner.supernet, lambda: [batch], precision=learner.settings.compute.precision)(paths)

    return judge

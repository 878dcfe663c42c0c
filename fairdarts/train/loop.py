"""The training of a stand-alone network, from settings to a model that can be used."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fairdarts.data.serve import check_alike, keep_held_out, server
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint, halves
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.device import keep_memory, pick, use_threads
from fairdarts.runtime.pace import Pace
from fairdarts.runtime.position import Position, identity_of
from fairdarts.runtime.run import Run
from fairdarts.runtime.seed import DROPS, TRAIN, fold
from fairdarts.runtime.stop import Diverged, Stop
from fairdarts.spaces.space import Space
from fairdarts.train.optimize import learning_rate
from fairdarts.train.score import Score, score
from fairdarts.train.settings import MAY_CHANGE, TrainSettings
from fairdarts.train.setup import Judges, Trainee, blueprint_of, check_fit, make_trainee
from fairdarts.train.state import model_of, restored, state_of
from fairdarts.train.step import SUMS, train_step


class Observer(Protocol):
    """Who watches a training; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor) -> None:
        """After every step: epoch and step count from 1, `sums` are SUMS over the epoch's steps so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """After every epoch: its record, as metrics.jsonl holds it."""


def train(
    settings: TrainSettings,
    genotype: Genotype,
    space: Space,
    source: Source,
    judges: Judges,
    run: Run,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
    initialize: Callable[[nn.Module], object] | None = None,
) -> dict[str, Any]:
    """Trains from the start, or (resume) from the run's last checkpoint; gives the results (see `judged`).

    `judges` are the images that choose the best epoch, and those that the result is told for. A fresh network begins
    with the weights that `initialize` puts into it, in every process. Several processes take every step together, and
    the first one writes. Raises Interrupted once a signal stopped it, the state saved; UserError where data or disk
    fail, the state of the last step or at least of the last checkpoint saved; Diverged where the loss is no longer
    finite.
    """
    use_threads(settings.threads)
    keep_memory()
    device, writes = pick(settings.device), distributed.rank() == 0
    images, blueprint = fingerprint(source), blueprint_of(settings, genotype, space, source)
    with distributed.together():
        trained = check_fit(settings, blueprint, source)
        check_alike(settings.data, images)
    chooses, _ = judges
    steps = len(trained) // settings.data.batch_size
    identity = training_identity(settings, genotype, space, source)
    resume = distributed.shared(resume and run.last.is_file())  # other machines may not see the run's files
    trainee = make_trainee(settings, blueprint, device, None if resume else initialize)
    at, sums = Position(), torch.zeros(len(SUMS), device=device)
    records: list[dict[str, Any]] = []
    facts = {"images": f"{settings.data.kind}: {len(trained):,} for training"}
    facts |= {"judged_on": chooses.name} if chooses else {}

    def save() -> None:
        with distributed.together():
            if writes:
                last = records[-1] if records else {}
                own = model_of(trainee, blueprint, last, facts) | state_of(trainee, identity, sums, at)
                checkpoint.save(run.last, own)

    with distributed.together():
        if writes:
            keep_held_out(run, settings.data, source, halves(settings.data, source, settings.seed)[1])
    if resume:
        records += restored(trainee, identity, sums, at, run)
    else:
        with distributed.together():
            if writes:
                run.forget_after(-1)
        save()

    shard = (distributed.rank(), distributed.ranks())
    serve = server(source, settings.data, device, shard)
    batches = serve(indices=trained, seed=fold(settings.seed, TRAIN), start=at.epoch * steps + at.step)
    pace = Pace(settings.save_minutes, at, stop, save)
    with closing(batches):  # else loading processes would live on in an error
        while at.epoch < settings.epochs:
            set_drop_path(trainee, at.epoch)
            trainee.network.train()
            while at.step < steps:
                batch = pace.fetch(lambda: next(batches))
                number = at.epoch * steps + at.step
                lr = learning_rate(settings.schedule, settings.optimizer.lr, settings.epochs, number, steps)
                for group in trainee.optimizer.param_groups:
                    group["lr"] = lr
                torch.manual_seed(fold(settings.seed, DROPS, distributed.rank(), number))
                sums += train_step(trainee, batch)
                at.step += 1
                observer.step(at.epoch + 1, at.step, steps, sums)

            means = dict(zip(SUMS, (sums / steps).tolist(), strict=True))
            with distributed.together():
                if not math.isfinite(means["train_loss"]):
                    advice = f"lower optimizer.lr ({settings.optimizer.lr})"
                    raise Diverged(f"{run.path}: the loss is no longer finite in epoch {at.epoch + 1}; {advice}")
            times = at.finish_epoch(steps * settings.data.batch_size)
            record = {"epoch": at.epoch, **means, "lr": trainee.optimizer.param_groups[0]["lr"], **times}
            follow_first(trainee)
            if chooses:
                seen = score(trainee.judged, chooses, settings.data, device, settings.compute.precision)
                record |= {"valid_loss": seen.loss, "valid_top1": seen.top1, "valid_top5": seen.top5}
                at.clock = time.monotonic()  # judging is no part of an epoch's time
            sums.zero_()
            better = chooses and all(record["valid_top1"] > earlier["valid_top1"] for earlier in records)
            records.append(record)
            with distributed.together():
                if writes:
                    run.log(record)
                    if better:
                        checkpoint.save(run.best, model_of(trainee, blueprint, record, facts))
            pace.save()
            observer.epoch(record)
    return judged(trainee, judges, run)


def follow_first(trainee: Trainee) -> None:
    """The first process's BatchNorm statistics in all processes, as DistributedDataParallel has it in a forward pass:
    else each would judge with its own."""
    if distributed.ranks() > 1:
        networks = [trainee.network, *([trainee.average.network] if trainee.average else [])]
        distributed.follow_([own for network in networks for own in network.buffers() if own.is_floating_point()])


def training_identity(settings: TrainSettings, genotype: Genotype, space: Space, source: Source) -> dict[str, str]:
    """What makes a training this one."""
    named = f"{genotype.name} ({hashlib.sha256(to_yaml(genotype).encode()).hexdigest()[:8]})"
    return identity_of(settings, MAY_CHANGE, space, fingerprint(source)) | {"genotypes/final.yaml": named}


def set_drop_path(trainee: Trainee, epoch: int) -> None:
    """Drop path of an epoch, counted from 0: it rises linearly, and would be the settings' after the last epoch."""
    settings = trainee.settings
    if settings.drop_path:
        trainee.network.drop_probability.fill_(settings.drop_path * epoch / settings.epochs)


def judged(trainee: Trainee, judges: Judges, run: Run) -> dict[str, Any]:
    """The results of a finished training, written to results.json: of the last and of the best epoch, on the test set.

    Where the best epoch was chosen by the test set itself, its accuracy there is too good to be told, and `best_by`
    says so.
    """
    chooses, tells = judges
    if tells is None:
        return {}
    settings, device = trainee.settings, pick(trainee.settings.device)
    found: dict[str, Any] = {"images": len(tells.indices), "on": tells.name, "best_by": chooses.name}
    last = score(trainee.judged, tells, settings.data, device, settings.compute.precision)
    found["last"] = _numbers(settings.epochs, last)
    if distributed.shared(run.best.is_file()):  # else somebody took it away
        with distributed.together():
            state = checkpoint.load(run.best) if distributed.rank() == 0 else None
        state = distributed.shared_state(state)
        trainee.network.load_state_dict(state["network"])
        if trainee.average:
            trainee.average.network.load_state_dict(state["ema"])
        seen = score(trainee.judged, tells, settings.data, device, settings.compute.precision)
        found["best"] = _numbers(json.loads(state["about"])["epoch"], seen)
    with distributed.together():
        if distributed.rank() == 0:
            checkpoint.write_atomically(run.path / "results.json", (json.dumps(found, indent=1) + "\n").encode())
    return found


def _numbers(epoch: int, seen: Score) -> dict[str, Any]:
    return {"epoch": epoch, "top1": seen.top1, "top5": seen.top5, "loss": seen.loss}

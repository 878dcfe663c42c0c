"""The training of a stand-alone network, from settings to a model that can be used."""

import json
import math
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.device import keep_memory, use_threads
from fairdarts.runtime.finite import all_finite
from fairdarts.runtime.pace import Pace
from fairdarts.runtime.position import Position
from fairdarts.runtime.run import Run
from fairdarts.runtime.seed import DROPS, fold
from fairdarts.runtime.stop import Diverged, Stop
from fairdarts.train.optimize import learning_rate
from fairdarts.train.settings import NetworkTraining
from fairdarts.train.setup import Trainee, make_trainee
from fairdarts.train.state import model_of, restored, state_of
from fairdarts.train.step import SUMS, train_step
from fairdarts.train.task import Task


class Observer(Protocol):
    """Who watches a training; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor) -> None:
        """After every step: epoch and step count from 1, `sums` are SUMS over the epoch's steps so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """After every epoch: its record, as metrics.jsonl holds it."""


def train(
    settings: NetworkTraining,
    task: Task,
    run: Run,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
    initialize: Callable[[nn.Module], object] | None = None,
) -> dict[str, Any]:
    """Trains from the start, or (resume) from the run's last checkpoint; gives the results (see `judged`).

    A fresh network begins with the weights that `initialize` puts into it, in every process. Several processes take
    every step together, and the first one writes. Raises Interrupted once a signal stopped it, the state saved;
    UserError where data or disk fail, the state of the last step or at least of the last checkpoint saved; Diverged
    where loss or weights are no longer finite.
    """
    use_threads(settings.threads)
    keep_memory()
    writes, steps = distributed.rank() == 0, task.steps
    with distributed.together():
        begun = resume and writes and (run.last.is_file() or bool(run.records()))
    resume = distributed.shared(begun)  # other machines may not see the run's files
    trainee = make_trainee(settings, task.build, task.measure, task.device, None if resume else initialize)
    at, sums = Position(), torch.zeros(len(SUMS), device=task.device)
    records: list[dict[str, Any]] = []

    def save() -> None:
        with distributed.together():
            if writes:
                own = model_of(trainee, task, records[-1] if records else {}) | state_of(
                    trainee, task, sums, at, records
                )
                checkpoint.save(run.last, own)

    with distributed.together():
        if writes:
            task.begin(run)
    if resume:
        records += restored(trainee, task, sums, at, run)
    else:
        with distributed.together():
            if writes:
                run.rewrite([])  # a run that was killed before its first checkpoint begins anew
        save()

    batches = task.batches(at.epoch * steps + at.step)
    pace = Pace(settings.save_minutes, at, stop, save)
    with closing(batches):  # else loading processes would live on in an error
        while at.epoch < settings.epochs:
            task.begin_epoch(trainee.network, at.epoch)
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
                sound = math.isfinite(means["train_loss"])
                if not sound or not all_finite(trainee.network.state_dict().values()):
                    what = "the weights are" if sound else "the loss is"
                    advice = f"lower optimizer.lr ({settings.optimizer.lr})"
                    raise Diverged(f"{run.path}: {what} no longer finite in epoch {at.epoch + 1}; {advice}")
            times = at.finish_epoch(steps * settings.data.batch_size)
            record = {"epoch": at.epoch, **means, "lr": trainee.optimizer.param_groups[0]["lr"], **times}
            follow_first(trainee)
            best, better = f"valid_{task.numbers[0]}", False
            if task.chooses and (at.epoch % settings.judge_every == 0 or at.epoch == settings.epochs):
                record |= {f"valid_{key}": value for key, value in task.chooses.score(trainee.judged).items()}
                better = all(record[best] > earlier.get(best, -math.inf) for earlier in records)
                at.clock = time.monotonic()  # judging is no part of an epoch's time
            sums.zero_()
            records.append(record)
            with distributed.together():
                if writes:
                    run.log(record)
                    if better:
                        checkpoint.save(run.best, model_of(trainee, task, record))
            pace.save()
            observer.epoch(record)
    return judged(trainee, task, run)


def follow_first(trainee: Trainee) -> None:
    """The first process's BatchNorm statistics in all processes, as DistributedDataParallel has it in a forward pass:
    else each would judge with its own."""
    if distributed.ranks() > 1:
        networks = [trainee.network, *([trainee.average.network] if trainee.average else [])]
        distributed.follow_([own for network in networks for own in network.buffers() if own.is_floating_point()])


def judged(trainee: Trainee, task: Task, run: Run) -> dict[str, Any]:
    """The results of a finished training, written to results.json: of the last and of the best epoch, by the images
    that tell them.

    Where the best epoch was chosen by these very images, what they say of it is too good to be told, and `best_by`
    says so.
    """
    if task.tells is None:
        return {}
    found: dict[str, Any] = {"images": task.tells.images, "on": task.tells.name, "best_by": task.chooses.name}
    found["last"] = {"epoch": trainee.settings.epochs, **task.tells.score(trainee.judged)}
    if distributed.shared(run.best.is_file()):  # else somebody took it away
        with distributed.together():
            state = checkpoint.load(run.best) if distributed.rank() == 0 else None
        state = distributed.shared_state(state)
        trainee.network.load_state_dict(state["network"])
        if trainee.average:
            trainee.average.network.load_state_dict(state["ema"])
        found["best"] = {"epoch": json.loads(state["about"])["epoch"], **task.tells.score(trainee.judged)}
    with distributed.together():
        if distributed.rank() == 0:
            checkpoint.write_atomically(run.path / "results.json", (json.dumps(found, indent=1) + "\n").encode())
    return found

"""The training of a stand-alone network, from settings to a model that can be used."""

import json
import math
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import torch
from torch import nn

from fairdarts.native.calls import use_native
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.device import keep_memory, use_threads
from fairdarts.runtime.epochs import Observer, begin, check_converging, epochs, means_of, resumes
from fairdarts.runtime.position import Position
from fairdarts.runtime.resume import common_state, restored
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.seed import DROPS, fold
from fairdarts.runtime.stop import Stop
from fairdarts.training.optimize import learning_rate
from fairdarts.training.settings import NetworkTraining
from fairdarts.training.setup import Trainee, make_trainee
from fairdarts.training.state import model_of, put_back, state_of
from fairdarts.training.step import SUMS, train_step
from fairdarts.training.task import Task


def train(
    settings: NetworkTraining,
    task: Task,
    run: RunDirectory,
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
    use_native(settings.compute.native)
    writes, steps = distributed.rank() == 0, task.steps
    resume = resumes(run, resume)
    trainee = make_trainee(settings, task.build, task.measure, task.device, None if resume else initialize)
    at, sums = Position(), torch.zeros(len(SUMS), device=task.device)
    records: list[dict[str, Any]] = []

    def state() -> dict[str, Any]:
        last = records[-1] if records else {}
        return model_of(trainee, task, last) | common_state(task.identity, sums, at, records) | state_of(trainee)

    distributed.first(task.begin, run)
    if resume:
        records += restored(run, task.identity, sums, at, partial(put_back, trainee))
    else:
        begin(run, records, state)

    served = task.batches(at.epoch * steps + at.step)
    draw = partial(next, served)
    with closing(served):  # else loading processes would live on in an error
        for batches in epochs(settings, run, at, records, state, steps, draw, observer.epoch, stop):
            task.begin_epoch(trainee.network, at.epoch)
            trainee.network.train()
            for batch in batches:
                number = at.epoch * steps + at.step
                lr = learning_rate(settings.schedule, settings.optimizer.lr, settings.epochs, number, steps)
                for group in trainee.optimizer.param_groups:
                    group["lr"] = lr
                torch.manual_seed(fold(settings.seed, DROPS, distributed.rank(), number))
                sums += train_step(trainee, batch)
                observer.step(at.epoch + 1, at.step + 1, steps, sums)

            means = means_of(sums, SUMS, steps)
            what = f"no longer finite in epoch {at.epoch + 1}; lower optimizer.lr ({settings.optimizer.lr})"
            check_converging(run, means["train_loss"], trainee.network.state_dict().values(), what)
            times = at.finish_epoch(steps * settings.data.batch_size)
            record = {"epoch": at.epoch, **means, "lr": trainee.optimizer.param_groups[0]["lr"], **times}
            follow_first(trainee)
            best, better = f"valid_{task.numbers[0]}", False
            if task.validation and (at.epoch % settings.judge_every == 0 or at.epoch == settings.epochs):
                record |= {f"valid_{key}": value for key, value in task.validation.score(trainee.judged).items()}
                better = all(record[best] > earlier.get(best, -math.inf) for earlier in records)
            records.append(record)
            with distributed.together():
                if writes and better:
                    checkpoint.save(run.best, model_of(trainee, task, record))
    return judged(trainee, task, run)


def follow_first(trainee: Trainee) -> None:
    """The first process's BatchNorm statistics in all processes, as DistributedDataParallel has it in a forward pass:
    else each would judge with its own."""
    if distributed.ranks() > 1:
        networks = [trainee.network, *([trainee.average.network] if trainee.average else [])]
        buffers = (buffer for network in networks for buffer in network.buffers())
        distributed.follow_([buffer for buffer in buffers if buffer.is_floating_point()])


def judged(trainee: Trainee, task: Task, run: RunDirectory) -> dict[str, Any]:
    """The results of a finished training, written to results.json: of the last and of the best epoch, by the images
    that tell them; without such images, they are empty.

    Where the best epoch was chosen by these very images, what they say of it is too good to be told, and `best_by`
    says so.
    """
    results: dict[str, Any] = {}
    if task.test and task.validation:
        results = {"images": task.test.images, "on": task.test.name, "best_by": task.validation.name}
        results["last"] = {"epoch": trainee.settings.epochs, **task.test.score(trainee.judged)}
    if task.test and distributed.shared(run.best.is_file()):  # else somebody took it away
        state = distributed.shared_state(distributed.first(checkpoint.load, run.best))
        trainee.network.load_state_dict(state["network"])
        if trainee.average:
            trainee.average.network.load_state_dict(state["ema"])
        results["best"] = {"epoch": json.loads(state["about"])["epoch"], **task.test.score(trainee.judged)}
    text = (json.dumps(results, indent=1) + "\n").encode()
    distributed.first(checkpoint.write_atomically, run.path / "results.json", text)
    return results

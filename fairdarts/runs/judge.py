"""The supernet that judges the models of an evolution."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.config import UserError
from fairdarts.data.sources import Source
from fairdarts.evolution.loop import JudgePaths
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.settings import TrainingSettings, read_statistics
from fairdarts.ranking.report import judge, open_training, own_statistics
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.data import see
from fairdarts.runtime import distributed
from fairdarts.runtime.run import RunDirectory, open_run
from fairdarts.runtime.stop import Interrupted, Stop
from fairdarts.spaces.space import Space


class Trained(NamedTuple):
    """The supernet that judges."""

    run: RunDirectory
    training: TrainingSettings
    space: Space
    source: Source


def supernet_of(settings: EvolveSettings, space: Space, handed: Any, watch: Callback) -> Trained:
    """The run of the supernet, and its images, those that are handed over or that it names. Raises UserError where its
    space has other choices."""
    assert settings.supernet is not None, "the settings of a search name its supernet"
    with distributed.together():
        run = open_run(Path(settings.supernet))
        training, trained_in = open_training(run)
        if trained_in.choices != space.choices:
            problem = f"has other choices than {trained_in.name}, which {run.path} was trained in"
            raise UserError(f"space: {space.name}: {problem}")
    data = training.data.model_copy(update={"root": settings.root}) if settings.root else training.data
    training = training.model_copy(update={"data": data, "device": settings.device})
    training, source = see(training, handed, watch)
    return Trained(run, training, trained_in, source)


def supernet_judge(
    settings: EvolveSettings, trained: Trained, watch: Callback
) -> tuple[Evaluator, Callable[[Stop], JudgePaths]]:
    """The evaluator of the supernet, and what makes a judge of it that a signal can stop."""
    asked = settings.judge.statistics
    statistics = own_statistics(trained.training) if asked is None else read_statistics(asked)
    with distributed.together():
        evaluator, facts = judge(*trained, statistics, settings.judge.images)
    watch.note(f"judge      {trained.run.path}: {facts['epochs']} epochs, {facts['images']:,} held-out images")
    show(evaluator, facts, watch)
    inner = evaluator.held_out

    def make(stop: Stop) -> JudgePaths:
        evaluator.held_out = lambda: _stopping(inner(), stop)
        return evaluator

    return evaluator, make


def show(evaluator: Evaluator, facts: dict[str, Any], watch: Callback) -> None:
    """Lets callbacks see how many of the held-out images have been gone through."""
    inner, batches = evaluator.held_out, -(-facts["images"] // facts["batch_size"])
    evaluator.held_out = lambda: watch.track(inner(), batches, "judging")


def _stopping(batches: Iterable[Any], stop: Stop) -> Iterator[Any]:
    """The batches, until a signal ends the search: between two of them, where no other process waits for this one."""
    for batch in batches:
        if stop.signal and distributed.ranks() == 1:
            raise Interrupted(stop.signal)
        yield batch


def weights_of(supernet: torch.nn.Module) -> str:
    """What tells one supernet's weights from another's."""
    total = hashlib.sha256()
    for name, tensor in supernet.state_dict().items():
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()

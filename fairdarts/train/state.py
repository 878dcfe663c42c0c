"""What a training leaves in its checkpoints, and how the rest of it goes on from them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from fairdarts import resources
from fairdarts.config import UserError, check, read_yaml
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.position import Position, check_identity, flat
from fairdarts.runtime.records import kept_records, state_of_records
from fairdarts.runtime.run import Run, versions
from fairdarts.train.settings import NetworkTraining
from fairdarts.train.setup import Trainee
from fairdarts.train.task import Task


def model_of(trainee: Trainee, task: Task, record: dict[str, Any]) -> dict[str, Any]:
    """A model that can be used: blueprint, weights, and what they are, as of a record of metrics.jsonl."""
    settings = trainee.settings
    about = {
        "recipe": settings.name,
        "source": settings.source,
        "deviations": list(settings.deviations),
        "changes": changes_of(settings),
        "init_from": Path(settings.init_from).name if settings.init_from else None,
        **task.facts,
        "seed": settings.seed,
        "epochs": settings.epochs,
        "epoch": record.get("epoch", 0),
        "metrics": {key: value for key, value in record.items() if key.startswith(("train_", "valid_", "test_"))},
        "versions": versions(),
    }
    return {
        task.form: task.blueprint.model_dump_json(by_alias=True),
        "about": json.dumps(about),
        "network": trainee.network.state_dict(),
        "ema": trainee.average.network.state_dict() if trainee.average else None,
    }


def changes_of(settings: NetworkTraining) -> dict[str, str]:
    """Where settings differ from the shipped recipe of their name, but for what does not decide the result."""
    try:
        path = resources.find("recipes", settings.name)
        recipe = flat(check(type(settings), read_yaml(path), path))
    except UserError:
        return {}
    passed_over = ("data.root", "data.workers", "save_minutes", "threads", "device", "seed", "init_from", "compute.")
    own = flat(settings).items()
    return {key: value for key, value in own if value != recipe.get(key) and not key.startswith(passed_over)}


def state_of(
    trainee: Trainee, task: Task, sums: Tensor, at: Position, records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """All that the rest of a training depends on besides its model; the loader needs the position alone."""
    return {
        "identity": task.identity,
        **at.state(),
        **state_of_records(records),
        "sums": sums,
        "optimizer": trainee.optimizer.state_dict(),
        "averaged": trainee.average.updates if trainee.average else 0,
    }


def restored(trainee: Trainee, task: Task, sums: Tensor, at: Position, run: Run) -> list[dict[str, Any]]:
    """Puts the last checkpoint of a run back, in place; gives the records until then.

    The first process reads, and all get what it read. Raises BadState where the state is that of another training, or
    is not whole, or records are missing or damaged.
    """
    reads = distributed.rank() == 0
    with distributed.together():
        state = checkpoint.load(run.last) if reads else None
    state = distributed.shared_state(state)
    with distributed.together():
        check_identity(state, task.identity, run)
        try:
            trainee.network.load_state_dict(state["network"])
            trainee.optimizer.load_state_dict(state["optimizer"])
            if trainee.average:
                trainee.average.network.load_state_dict(state["ema"])
                trainee.average.updates = int(state["averaged"])
            sums.copy_(state["sums"])
            at.restore(state)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            raise BadState(f"{run.last}: does not fit the run's settings.yaml, space.yaml and genotype") from None
        records = kept_records(run, state, at.epoch) if reads else None
    return distributed.shared(records)

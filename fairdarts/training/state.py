"""What a training leaves in its checkpoints, and how the rest of it goes on from them."""

import json
from pathlib import Path
from typing import Any

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.reading import read_yaml
from fairdarts.runtime.position import flat
from fairdarts.runtime.run import versions
from fairdarts.training.settings import NetworkTraining
from fairdarts.training.setup import Trainee
from fairdarts.training.task import Task


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
    values = flat(settings).items()
    return {key: value for key, value in values if value != recipe.get(key) and not key.startswith(passed_over)}


def state_of(trainee: Trainee) -> dict[str, Any]:
    """What a checkpoint holds of the training besides its model."""
    return {"optimizer": trainee.optimizer.state_dict(), "averaged": trainee.average.updates if trainee.average else 0}


def put_back(trainee: Trainee, state: dict[str, Any]) -> None:
    """Puts what `model_of` and `state_of` gave back, in place."""
    trainee.network.load_state_dict(state["network"])
    trainee.optimizer.load_state_dict(state["optimizer"])
    if trainee.average:
        trainee.average.network.load_state_dict(state["ema"])
        trainee.average.updates = int(state["averaged"])

"""Callbacks that send what a run records to a tracker of experiments: Weights & Biases, or MLflow."""

import json
import math
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from fairdarts.config import Notice, UserError
from fairdarts.reading import read_text
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.result import Run, flat
from fairdarts.runtime.checkpoint import write_atomically

PARAMS = 100
"""of MLflow, which takes no more at once"""
LONGEST = 6000
"""characters of a value that MLflow takes"""


def wandb(project: str | None = None, **kwargs: Any) -> Callback:
    """A callback that logs a run to Weights & Biases: settings as config, the numbers of every record, and the genotype
    that was found as an artifact.

    `kwargs` go to `wandb.init`, such as `entity`, `tags` or `mode="offline"`. A resumed run goes on in the same one,
    whose id lies in its wandb.json. Raises UserError where wandb is not installed.

    >>> fairdarts.search("fairdarts-s1-digits", callbacks=fairdarts.wandb(project="nas"))
    """
    return _Wandb(_installed("wandb"), {"project": project, **kwargs})


def mlflow(experiment: str | None = None, **kwargs: Any) -> Callback:
    """A callback that logs a run to MLflow: settings as params, the numbers of every record, and the genotype that was
    found as an artifact.

    The server is that of MLflow's own settings, such as MLFLOW_TRACKING_URI; `kwargs` go to `MlflowClient.create_run`,
    such as `run_name` or `tags`. A resumed run goes on in the same one, whose id lies in its mlflow.json. Raises
    UserError where mlflow is not installed.

    >>> fairdarts.search("fairdarts-s1-digits", callbacks=fairdarts.mlflow(experiment="nas"))
    """
    return _MLflow(_installed("mlflow"), experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default"), kwargs)


class _Wandb(Callback):
    def __init__(self, module: Any, told: dict[str, Any]):
        self.module, self.told = module, told
        self.tracked: Any = None

    def begin(self, run: Run) -> None:
        # Another run of the process, the user's own perhaps, neither ends nor takes in this one's numbers.
        own: dict[str, Any] = {
            "name": run.path.name,
            "job_type": run.verb,
            "dir": str(run.path),
            "reinit": "create_new",
        }
        own |= {"id": _kept_id(run, "wandb"), "resume": "allow", "config": _settings(run)}
        with _refused("wandb"):
            self.tracked = self.module.init(**(own | self.told))
        _keep_id(run, "wandb", self.tracked.id)

    def epoch(self, record: dict[str, Any]) -> None:
        step, numbers = _numbers(record)
        with _unheard("wandb"):
            self.tracked.log(numbers, step=step)

    def end(self, run: Run) -> None:
        if self.tracked is None:
            return
        tracked, self.tracked = self.tracked, None
        with _unheard("wandb"):
            if file := _found(run):
                artifact = self.module.Artifact(f"genotype-{tracked.id}", type="genotype")
                artifact.add_file(str(file))
                tracked.log_artifact(artifact)
        with _unheard("wandb"):
            tracked.finish(exit_code=0 if run.state == "finished" else 1)


class _MLflow(Callback):
    def __init__(self, module: Any, experiment: str, told: dict[str, Any]):
        self.module, self.experiment, self.told = module, experiment, told
        self.client: Any = None
        self.id = ""

    def begin(self, run: Run) -> None:
        entities = import_module("mlflow.entities")
        self.metric, known = entities.Metric, _kept_id(run, "mlflow")
        with _refused("mlflow"):
            client = self.module.MlflowClient()
            if known:  # its params stay: MLflow takes no second value, and a resumed run may have another data.root
                client.update_run(known, status="RUNNING")
            else:
                found = client.get_experiment_by_name(self.experiment)
                place = found.experiment_id if found else client.create_experiment(self.experiment)
                known = client.create_run(place, **({"run_name": run.path.name} | self.told)).info.run_id
                params = [entities.Param(key, str(value)[:LONGEST]) for key, value in _settings(run).items()]
                for begin in range(0, len(params), PARAMS):
                    client.log_batch(known, params=params[begin : begin + PARAMS])
        self.client, self.id = client, known
        _keep_id(run, "mlflow", known)

    def epoch(self, record: dict[str, Any]) -> None:
        step, numbers = _numbers(record)
        now = int(1000 * time.time())
        # MLflow refuses other letters in the name of a metric.
        names = {re.sub(r"[^\w\-. /:]", "_", name): value for name, value in numbers.items()}
        with _unheard("mlflow"):
            self.client.log_batch(self.id, metrics=[self.metric(*named, now, step) for named in names.items()])

    def end(self, run: Run) -> None:
        if self.client is None:
            return
        client, self.client = self.client, None
        with _unheard("mlflow"):
            if file := _found(run):
                client.log_artifact(self.id, str(file))
        status = {"finished": "FINISHED", "diverged": "FAILED"}.get(run.state, "KILLED")
        with _unheard("mlflow"):
            client.set_terminated(self.id, status=status)


def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"{name}: is missing: pip install {name}") from None


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """Within it a tracker begins: that it does not is told before the run's first step."""
    try:
        yield
    except Exception as error:  # of many kinds: no login, no server, no such run
        raise UserError(f"{name}: cannot begin: {_first_line(error)}") from error


@contextmanager
def _unheard(name: str) -> Iterator[None]:
    """Within it a tracker is told something: a run does not end because nobody can hear it."""
    try:
        yield
    except Exception as error:  # of many kinds, and none is worth the run
        warnings.warn(f"{name}: not logged: {_first_line(error)}", Notice, stacklevel=4)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _kept_id(run: Run, name: str) -> str | None:
    """The tracker's id of a run that goes on; None where it begins."""
    path = run.path / f"{name}.json"
    if not path.is_file():
        return None
    try:
        kept = json.loads(read_text(path))["id"]
        if not isinstance(kept, str):
            raise TypeError("not an id")
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f'{path}: should hold {{"id": …}}; without the file another run begins in {name}') from None
    return kept


def _keep_id(run: Run, name: str, value: str) -> None:
    write_atomically(run.path / f"{name}.json", (json.dumps({"id": value}) + "\n").encode())


def _settings(run: Run) -> dict[str, Any]:
    """The settings by dotted key."""
    return flat(run.settings.model_dump(mode="json", by_alias=True))


def _numbers(record: Mapping[str, Any]) -> tuple[int, dict[str, float]]:
    """The epoch or generation of a record, and its finite numbers by dotted key: no matrices."""
    numbers = {
        key.rstrip("."): value  # the best model without a limit has no name
        for key, value in flat(record).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    units = [numbers.pop(unit) for unit in ("epoch", "generation") if unit in numbers]
    return int(units[0]), numbers


def _found(run: Run) -> Path | None:
    """The file of the genotype that a finished run has found, or trained."""
    file = run.path / "genotypes" / "final.yaml"
    return file if run.state == "finished" and file.is_file() else None

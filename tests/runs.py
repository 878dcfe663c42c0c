"""What tests of searches and of trainings share: whether two runs are the same, and images that cannot be read."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

import fairdarts
from fairdarts.config import UserError
from fairdarts.runtime import checkpoint
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.stop import Stop

TOOK = {"seconds", "loading"}
TIMED = {*TIMES, "evaluations_per_second"}


def metrics(run: Path) -> list[dict]:
    """A run's records, but for the times they took."""
    return untimed(RunDirectory(run).records())


def untimed(records: list[dict]) -> list[dict]:
    """Records, but for the times they took."""
    return [{key: value for key, value in record.items() if key not in TIMED} for record in records]


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal bit for bit, but for the seconds they took."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict) and "records" in one.keys() & other.keys():
        alike = untimed(json.loads(one["records"])) == untimed(json.loads(other["records"]))
        one, other = ({key: state[key] for key in state.keys() - {"records"}} for state in (one, other))
        return alike and same(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one.keys() - TOOK)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same_run(one: Path, other: Path) -> None:
    """The same settings, records, genotypes and checkpoints, bit for bit; figures and times aside."""
    assert metrics(one) == metrics(other)
    for name in ("settings.yaml", "space.yaml", "images.json"):
        assert (one / name).read_text() == (other / name).read_text()
    assert same(checkpoint.load(one / "checkpoints" / "last.pt"), checkpoint.load(other / "checkpoints" / "last.pt"))
    found = [sorted(path.name for path in (run / "genotypes").iterdir()) for run in (one, other)]
    assert found[0] == found[1]


class Watch:
    """Asks for a stop after a step (counted from 1 over the whole run), or after an epoch; else only looks on."""

    def __init__(self, step: int | None = None, epoch: int | None = None):
        self.stop, self.at_step, self.at_epoch = Stop(), step, epoch
        self.steps: list[tuple[int, int, int]] = []
        self.sums: list[list[float]] = []
        self.records: list[dict] = []

    def step(self, epoch: int, step: int, steps: int, sums: torch.Tensor, *_: Any) -> None:
        self.steps.append((epoch, step, steps))
        self.sums.append(sums.tolist())
        if (epoch - 1) * steps + step == self.at_step:
            self.stop.signal = 15

    def epoch(self, record: dict) -> None:
        self.records.append(record)
        if record["epoch"] == self.at_epoch:
            self.stop.signal = 15


class Interrupts(fairdarts.Callback):
    """Asks for a stop in the second step of the second epoch."""

    def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
        if (epoch, step) == (2, 2):
            os.kill(os.getpid(), signal.SIGINT)


class Broken(Dataset):
    """A data set that fails after so many readings."""

    def __init__(self, dataset: Dataset, readings: int):
        self.dataset, self.left = dataset, readings

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple:
        self.left -= 1
        if self.left < 0:
            raise UserError("cat.png: cannot be decoded as an image")
        return self.dataset[index]

"""What the rest of a search depends on, and how it is put back."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fairdarts.config import Settings, UserError
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import Run
from fairdarts.search.architect import Learner
from fairdarts.search.derive import check_records
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.spaces.space import Space


def identity_of(settings: SearchSettings, space: Space, images: str) -> dict[str, str]:
    """What makes a search this one, as dotted keys and values: resumed under others, it would be another."""
    identity = {f"settings.yaml: {key}": value for key, value in _flat(settings).items() if key not in MAY_CHANGE}
    identity |= {f"space.yaml: {key}": value for key, value in _flat(space).items()}
    return {**identity, "data: images (number, names)": images}


def _flat(settings: Settings, prefix: str = "") -> dict[str, str]:
    flat = {}
    for name, value in settings:
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Settings) else {f"{prefix}{name}": str(value)}
    return flat


@dataclass
class Position:
    """Where a search is."""

    epoch: int = 0
    """epochs that are done"""
    step: int = 0
    """steps of the next one that are done"""
    seconds: float = 0.0
    """spent on it before `clock`"""
    loading: float = 0.0
    """of these, waiting for images"""
    clock: float = field(default_factory=time.monotonic)
    """when the present stretch began"""

    def spent(self) -> float:
        """Seconds of the epoch so far."""
        return self.seconds + time.monotonic() - self.clock

    def finish_epoch(self) -> tuple[float, float]:
        """Moves to the next epoch; gives the seconds of this one, and those of them that it waited for images."""
        times = self.spent(), self.loading
        self.epoch, self.step, self.seconds, self.loading, self.clock = self.epoch + 1, 0, 0.0, 0.0, time.monotonic()
        return times


def state_of(learner: Learner, identity: dict[str, str], sums: Tensor, at: Position) -> dict[str, Any]:
    """All that the rest of a search depends on; the loaders need no more than the position."""
    return {
        "identity": identity,
        "epoch": at.epoch,
        "step": at.step,
        "seconds": at.spent(),
        "loading": at.loading,
        "sums": sums,
        "supernet": learner.supernet.state_dict(),
        "alphas": {part: alpha.detach() for part, alpha in learner.alphas.items()},
        "weight_optimizer": learner.weight_optimizer.state_dict(),
        "alpha_optimizer": learner.alpha_optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if sums.is_cuda else None,
    }


def restored(
    learner: Learner, identity: dict[str, str], sums: Tensor, at: Position, run: Run, space: Space
) -> list[dict[str, Any]]:
    """Puts the last checkpoint of a run into the learner, in place, and its position into `at`; gives the records.

    The first process reads, and all get what it read. Raises BadState where the state is that of another search, or is
    not whole, or records are missing or damaged.
    """
    reads = distributed.rank() == 0
    with distributed.together():
        state = checkpoint.load(run.last) if reads else None
    state = distributed.shared_state(state)
    records = []
    with distributed.together():
        _check_identity(state, identity, run)
        try:
            learner.supernet.load_state_dict(state["supernet"])
            for part, alpha in learner.alphas.items():
                alpha.data.copy_(state["alphas"][part])  # the optimizer holds these very tensors
            learner.weight_optimizer.load_state_dict(state["weight_optimizer"])
            learner.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
            sums.copy_(state["sums"])
            torch.set_rng_state(state["rng"])
            if sums.is_cuda and state["cuda_rng"] is not None:
                torch.cuda.set_rng_state(state["cuda_rng"])
            at.epoch, at.step = int(state["epoch"]), int(state["step"])
            at.seconds, at.loading = float(state["seconds"]), float(state["loading"])
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
        if reads:
            records = _records(run, at.epoch, space)
    return distributed.shared(records)


def _records(run: Run, epoch: int, space: Space) -> list[dict[str, Any]]:
    """The records up to an epoch; later ones are dropped. Raises BadState where they are not whole."""
    try:
        run.forget_after(epoch)
        records = run.records()
        if [record["epoch"] for record in records] != list(range(epoch + 1)):
            then = f"should hold the records of epochs 0 to {epoch}, as the checkpoint is of then"
            raise UserError(f"{run.metrics}: {then}")
        return list(check_records(records, space, str(run.metrics)))
    except UserError as error:
        raise BadState(str(error)) from None


def _check_identity(state: dict[str, Any], identity: dict[str, str], run: Run) -> None:
    began = state.get("identity")
    if not isinstance(began, dict):
        raise BadState(f"{run.last}: not the checkpoint of a search")
    for key in sorted(began.keys() | identity.keys()):
        if began.get(key) != identity.get(key):
            change = f"{began.get(key)} when the run began, {identity.get(key)} now"
            raise BadState(f"{run.path}: {key}: {change}; a resumed search keeps what decides its result")

"""What the rest of a search depends on, and how it is put back."""

from typing import Any

import torch
from torch import Tensor

from fairdarts.config import Settings
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import Run
from fairdarts.search.architect import Learner
from fairdarts.search.derive import check_records
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.spaces.cell import CellSpace


def identity_of(settings: SearchSettings, space: CellSpace, images: int) -> dict[str, str]:
    """What makes a search this one, as dotted keys and values: resumed under others, it would be another."""
    identity = {f"settings.yaml: {key}": value for key, value in _flat(settings).items() if key not in MAY_CHANGE}
    identity |= {f"space.yaml: {key}": value for key, value in _flat(space).items()}
    return {**identity, "data: number of images": str(images)}


def _flat(settings: Settings, prefix: str = "") -> dict[str, str]:
    flat = {}
    for name, value in settings:
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Settings) else {f"{prefix}{name}": str(value)}
    return flat


def state_of(
    learner: Learner, identity: dict[str, str], sums: Tensor, epoch: int, step: int, seconds: float
) -> dict[str, Any]:
    """All that the rest of a search depends on; the loaders need no more than the position."""
    return {
        "identity": identity,
        "epoch": epoch,
        "step": step,
        "seconds": seconds,
        "sums": sums,
        "supernet": learner.supernet.state_dict(),
        "alphas": {cell: alpha.detach() for cell, alpha in learner.alphas.items()},
        "weight_optimizer": learner.weight_optimizer.state_dict(),
        "alpha_optimizer": learner.alpha_optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if sums.is_cuda else None,
    }


def restore(
    learner: Learner, identity: dict[str, str], sums: Tensor, state: dict[str, Any], run: Run, space: CellSpace
) -> tuple[int, int, float]:
    """Put a state into the learner, in place; gives the position: epoch, step, and seconds spent on the epoch.

    Raises BadState where the state is that of another search, or is not whole; UserError where records are damaged.
    """
    began = state.get("identity")
    if not isinstance(began, dict):
        raise BadState(f"{run.last}: not the checkpoint of a search")
    for key in sorted(began.keys() | identity.keys()):
        if began.get(key) != identity.get(key):
            change = f"{began.get(key)} when the run began, {identity.get(key)} now"
            raise BadState(f"{run.path}: {key}: {change}; a resumed search keeps what decides its result")
    try:
        learner.supernet.load_state_dict(state["supernet"])
        for cell, alpha in learner.alphas.items():
            alpha.data.copy_(state["alphas"][cell])  # the optimizer holds these very tensors
        learner.weight_optimizer.load_state_dict(state["weight_optimizer"])
        learner.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
        sums.copy_(state["sums"])
        torch.set_rng_state(state["rng"])
        if sums.is_cuda and state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"])
        epoch, step, seconds = int(state["epoch"]), int(state["step"]), float(state["seconds"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
    run.forget_after(epoch)
    records = check_records(run.records(), space, str(run.metrics))
    if [record["epoch"] for record in records] != list(range(epoch + 1)):
        raise BadState(f"{run.metrics}: should hold the records of epochs 0 to {epoch}, as the checkpoint is of then")
    return epoch, step, seconds

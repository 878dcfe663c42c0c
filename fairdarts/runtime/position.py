"""Where a run is, and whether it is still the run that began."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from fairdarts.config import Settings
from fairdarts.own import identity_of_parts
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import RunDirectory

TIMES = ("seconds", "images_per_second", "loading_seconds")
"""What an epoch's record says that two equal runs need not share: its time, the images of its batches by that, and how
long it waited for images"""

IMAGES = "data: images (number, names)"
"""The key of what tells a run's images from others"""


@dataclass
class Position:
    """Where a run is."""

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

    def finish_epoch(self, images: int) -> dict[str, float]:
        """Moves to the next epoch; gives the TIMES of this one, in which so many images were seen."""
        seconds, loading = self.spent(), self.loading
        self.epoch, self.step, self.seconds, self.loading, self.clock = self.epoch + 1, 0, 0.0, 0.0, time.monotonic()
        return dict(zip(TIMES, (round(seconds, 3), round(images / seconds, 1), round(loading, 3)), strict=True))

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"epoch": self.epoch, "step": self.step, "seconds": self.spent(), "loading": self.loading}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave."""
        self.epoch, self.step = int(state["epoch"]), int(state["step"])
        self.seconds, self.loading = float(state["seconds"]), float(state["loading"])


def identity_of(settings: Settings, may_change: Collection[str], space: Settings, images: str) -> dict[str, str]:
    """What makes a run this one, as dotted keys and values: resumed under others, it would be another."""
    identity = {f"settings.yaml: {key}": value for key, value in flat(settings).items() if key not in may_change}
    identity |= {f"space.yaml: {key}": value for key, value in flat(space).items()}
    return {**identity, **identity_of_parts(settings, space), IMAGES: images}


def changed_images(run: RunDirectory, images: str) -> str | None:
    """How images differ from those that a run began with, by their number and names; empty where they do not, None
    where it has no checkpoint that says so."""
    identity = checkpoint.load(run.last).get("identity") if run.last.is_file() else None
    began = (identity or {}).get(IMAGES)
    if began is None:
        return None
    return "" if began == images else f"{began} when the run began, {images} now"


def flat(settings: Settings, prefix: str = "") -> dict[str, str]:
    """Settings as dotted keys and values."""
    values: dict[str, str] = {}
    for name, value in settings:
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, Settings) else {f"{prefix}{name}": str(value)}
    return values


def check_identity(state: dict[str, Any], identity: dict[str, str], run: RunDirectory) -> None:
    """Raises BadState where a checkpoint is that of another run."""
    began = state.get("identity")
    if not isinstance(began, dict):
        raise BadState(f"{run.last}: not the checkpoint of a run")
    for key in sorted(began.keys() | identity.keys()):
        if key not in began and key.startswith("settings.yaml: "):
            continue  # a setting that the version which began the run did not have
        if began.get(key) != identity.get(key):
            change = f"{began.get(key)} when the run began, {identity.get(key)} now"
            advice = "; its files should be the same by name" if key == IMAGES else ""
            raise BadState(f"{run.path}: {key}: {change}; a resumed run keeps what decides its result{advice}")

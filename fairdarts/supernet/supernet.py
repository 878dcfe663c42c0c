"""A supernet: all candidates of a space's choice points, run under gates. Where these come from it does not know."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fairdarts.disturbance import Disturbance
from fairdarts.ops.recompute import recompute
from fairdarts.spaces.gates import Gates
from fairdarts.spaces.space import Space
from fairdarts.supernet.cell import cell_parts
from fairdarts.supernet.chain import chain_parts
from fairdarts.supernet.nasbench101 import nasbench101_parts
from fairdarts.supernet.nasbench201 import nasbench201_parts
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Stage, SupernetParts

Memory = Literal["none", "recompute", "checkpoint"]

PARTS: dict[str, Callable[..., SupernetParts]] = {
    "cell": cell_parts,
    "chain": chain_parts,
    "nasbench101": nasbench101_parts,
    "nasbench201": nasbench201_parts,
}
"""kind of space → parts(space, classes, in_channels, settings, recompute)"""


class Supernet(nn.Module):
    """A stem, stages one after another, a tail. It holds weights only: the gates come from outside.

    `forward(x [B, in, H, W], gates, disturbance)` gives logits [B, classes]; in evaluation nothing is disturbed. What
    is kept for the backward pass: with memory `none`, every tensor that would be slow to make again; with `recompute`,
    on the CPU and under gates that are tensors, no tensor inside an operation; with `checkpoint`, the outputs of stages
    alone. The numbers are the same.
    """

    stages: Sequence[Stage]
    """an nn.ModuleList"""

    def __init__(self, space: Space, parts: SupernetParts, memory: Memory = "none"):
        super().__init__()
        self.space, self.memory, self.counts = space, memory, tuple(map(len, space.points))
        stages = cast("Sequence[Stage]", nn.ModuleList(parts.stages))
        self.stem, self.stages, self.tail = parts.stem, stages, parts.tail

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None) -> Tensor:
        check_gates(gates, self.counts)
        return self.after_stem(self.stem(x), gates, disturbance)

    def after_stem(self, x: Any, gates: Gates, disturbance: Disturbance | None = None) -> Tensor:
        """Logits from what the stem gave."""
        for index, stage in enumerate(self.stages):
            run = partial(recompute, cast(nn.Module, stage)) if self.memory == "checkpoint" else stage
            x = run(x, at(stage, gates), disturbance, index)
        return self.tail(x)

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The modules behind the stem that run, the tail included."""
        for stage in self.stages:
            yield from stage.active(at(stage, gates))
        yield self.tail


def check_gates(gates: Gates, counts: Sequence[int]) -> None:
    """Raises ValueError naming the gate that does not fit choice points of so many candidates."""
    if len(gates) != len(counts):
        raise ValueError(f"{len(gates)} gates, should be {len(counts)}: one for each choice point (space.points)")
    for number, ((active, weights, *_), count) in enumerate(zip(gates, counts, strict=True)):
        if any(not 0 <= choice < count for choice in active) or len({*active}) < len(active):
            raise ValueError(f"gates[{number}]: active {active}, should be different ones from 0 to {count - 1}")
        if isinstance(weights, Tensor) and weights.shape != (len(active),):
            has = f"weights of shape {list(weights.shape)}"
            raise ValueError(f"gates[{number}]: {has}, should be [{len(active)}]: one for each active candidate")
        if not isinstance(weights, Tensor | float | int | None):
            raise ValueError(f"gates[{number}]: weights {weights!r}, should be a tensor, a number or None")


def at(stage: Stage, gates: Gates) -> Gates:
    """The gates of the points of a stage."""
    return tuple(gates[point] for point in stage.points)


def make_supernet(
    space: Space,
    classes: int,
    in_channels: int = 3,
    settings: SupernetSettings = SupernetSettings(),  # noqa: B008 (it is frozen)
    memory: Memory = "none",
) -> Supernet:
    """A fresh supernet of a space, as the settings say."""
    parts = PARTS[space.kind](space, classes, in_channels, settings, memory == "recompute")
    supernet = Supernet(space, parts, memory)
    if not settings.track:
        for norm in norms([supernet]):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return supernet


def norms(modules: Iterable[nn.Module]) -> list[_BatchNorm]:
    """The BatchNorms in some modules, each once."""
    every = dict.fromkeys(part for module in modules for part in module.modules())
    return [part for part in every if isinstance(part, _BatchNorm)]


def tracked_norms(modules: Iterable[nn.Module]) -> list[_BatchNorm]:
    """The BatchNorms in some modules that track statistics, each once."""
    return [norm for norm in norms(modules) if norm.track_running_stats]

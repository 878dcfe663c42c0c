"""What tests of the one-shot stage share: spaces so small that all their paths can be tried, learners, batches."""

from itertools import product
from typing import Any

import torch
from norms import lived_in
from torch import Tensor

from fairdarts.checking import check
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.step import Batch, Learner
from fairdarts.runtime import distributed
from fairdarts.spaces.cell import Size
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import Supernet, make_supernet

CLASSES, CHOICES = 3, ("skip_connect", "MBE2K3", "E1K5")


def chain(*stages: dict[str, Any], candidates: tuple[str, ...] = CHOICES, stem: int = 4) -> ChainSpace:
    """A chain of these stages behind a stem of so many channels."""
    content = {
        "schema": 1,
        "name": "tiny",
        "kind": "chain",
        "source": "tests",
        "candidates": candidates,
        "stem": {"channels": stem, "stride": 1},
        "stages": stages,
        "head": 8,
        "networks": {"cifar": {"image": 8, "classes": CLASSES, "dropout": 0}},
    }
    return check(ChainSpace, content, "tiny.yaml")


CHAIN = chain({"channels": 4, "layers": 2, "stride": 1}, {"channels": 6, "layers": 2, "stride": 2})
"""four layers of three choices, three of which keep the shape"""
IRREGULAR = chain(
    {"channels": 4, "layers": 1, "stride": 1, "candidates": ("skip_connect", "E2K3")},
    {"channels": 4, "layers": 2, "stride": 1},
    {"channels": 6, "layers": 1, "stride": 2, "candidates": ("skip_connect", "E1K3", "E2K3", "MBE1K5", "E2K5")},
)
"""layers of two, three and five choices; the first two stages have one width"""
BENCH = load_space("nasbench201").model_copy(update={"channels": 2, "cells": 1})
GRAPH = load_space("nasbench101").model_copy(update={"vertices": 5, "edges": 7, "channels": 4, "stacks": 2, "cells": 1})
"""three intermediate vertices, and so few edges that some graphs have too many"""
SIZE = {"cells": 3, "channels": 2}
CELLS = load_space("darts").model_copy(
    update={"nodes": 2, "candidates": ("none", "skip_connect", "dil_conv_3x3"), "supernet": Size(**SIZE)}
)
"""cells of two nodes, the second of which has three inputs to choose two from"""
TOPOLOGIES: dict[str, Space] = {"graph": GRAPH, "cells": CELLS}
"""spaces whose paths choose inputs, too"""
SPACES: dict[str, Space] = {"chain": CHAIN, "irregular": IRREGULAR, "bench": BENCH}
DEAD = (3, 0, 0, 3, 0, 0), (3, 3, 3, 0, 0, 0)
"""paths of BENCH, one with a convolution whose result nothing reads, one of which nothing reaches the output"""


def every_path(space: Space) -> list[SinglePath]:
    return list(product(*(range(len(names)) for names in space.choices)))


def settings_of(sampler: str | dict[str, Any] = "strict_fair", **overrides: Any) -> TrainingSettings:
    """Settings of a training on eight images a batch; overrides are dotted keys and their words."""
    content = {
        "name": "tiny",
        "source": "tests",
        "space": "tiny",
        "epochs": 1,
        "device": "cpu",
        "data": {"kind": "fake", "batch_size": 8, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "sampler": {"kind": sampler} if isinstance(sampler, str) else sampler,
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 3e-2},
    }
    return check(TrainingSettings, content, "tiny.yaml", {key: str(value) for key, value in overrides.items()})


def supernet_of(space: Space, seed: int = 0, settings: SupernetSettings | None = None) -> Supernet:
    """A supernet in float64 whose BatchNorms have weights and memories that matter."""
    torch.manual_seed(seed)
    return lived_in(make_supernet(space, CLASSES, 3, settings or SupernetSettings()))


def learner_of(space: Space, settings: TrainingSettings) -> Learner:
    supernet, weights = supernet_of(space, settings=settings.supernet), settings.weights
    sgd = torch.optim.SGD(supernet.parameters(), weights.lr, weights.momentum, weight_decay=weights.weight_decay)
    return Learner(settings, supernet, sgd)


def batches_of(count: int, images: int = 8, seed: int = 1) -> list[Batch]:
    """Batches of 8×8 images in float64."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(images, 3, 8, 8, dtype=torch.float64, generator=generator),
            torch.randint(CLASSES, (images,), generator=generator),
        )
        for _ in range(count)
    ]


def share_of(batch: Batch) -> Batch:
    """This process's share of a batch."""
    return tuple(tensor.chunk(distributed.ranks())[distributed.rank()] for tensor in batch)


def held_by(learner: Learner) -> dict[str, Tensor]:
    """Weights, momentum buffers (where there are any) and all that BatchNorms hold, copied."""
    named = dict(learner.supernet.named_parameters())
    state = learner.optimizer.state
    held = {f"weight {name}": weight.detach().clone() for name, weight in named.items()}
    moving = {name: state[weight].get("momentum_buffer") for name, weight in named.items() if weight in state}
    held |= {f"momentum {name}": buffer.clone() for name, buffer in moving.items() if buffer is not None}
    return held | {f"statistic {name}": buffer.clone() for name, buffer in learner.supernet.named_buffers()}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float, without: str = "-") -> None:
    """The same names and, within a tolerance, numbers, but for names that begin with a word."""
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        if not name.startswith(without):
            torch.testing.assert_close(
                found[name], tensor, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
            )

"""What tests of single search steps share: settings, a learner of a small space in float64, and batches."""

from collections.abc import Iterable, Iterator

import torch

from fairdarts.checking import check
from fairdarts.differentiable.learner import Batch, Learner
from fairdarts.differentiable.settings import DenseSupernetSettings, SearchSettings
from fairdarts.spaces.space import load_space
from fairdarts.supernet.supernet import make_supernet

SPACE = load_space("s1").model_copy(update={"nodes": 2, "candidates": ("max_pool_3x3", "skip_connect", "dil_conv_3x3")})


def settings_of(
    kind: str, relaxation: str, weight: float, form: str, clip: float, nesterov: bool = False
) -> SearchSettings:
    content = {
        "name": "step",
        "source": "tests",
        "space": "s1",
        "epochs": 1,
        "data": {"kind": "fake", "batch_size": 4, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "relaxation": relaxation,
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 3e-2, "clip": clip, "nesterov": nesterov},
        "architect": {
            "kind": kind,
            "lr": 0.3,
            "betas": [0.5, 0.99],
            "weight_decay": 1e-1,
            "initial_std": 0,
            "hessian": "exact",
        },
        "zero_one": {"form": form, "weight": weight},
        "derive": {"method": "argmax"},
    }
    return check(SearchSettings, content, "test")


def learner_of(settings: SearchSettings) -> Learner:
    torch.manual_seed(0)
    supernet = make_supernet(SPACE, 3, settings=DenseSupernetSettings(cells=3, channels=2)).double()
    alphas = {
        cell: torch.randn(SPACE.parts[cell].shape, dtype=torch.float64).requires_grad_()
        for cell in ("normal", "reduce")
    }
    architect = settings.architect
    sgd = sgd_of(supernet.parameters(), settings)
    adam = torch.optim.Adam(alphas.values(), architect.lr, architect.betas, weight_decay=architect.weight_decay)
    return Learner(settings, supernet, alphas, sgd, adam)


def sgd_of(tensors: Iterable[torch.Tensor], settings: SearchSettings) -> torch.optim.SGD:
    own = settings.weights
    rule = {"weight_decay": own.weight_decay, "nesterov": own.nesterov}
    return torch.optim.SGD(tensors, own.lr, own.momentum, **rule)


def stream(seed: int) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield (
            torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=generator),
            torch.randint(3, (4,), generator=generator),
        )

"""Steps of a search whose batches are shared between processes, or gone through in parts by one: run by torchrun.

python shared_steps.py FOLDER        writes FOLDER/RANK.pt: what every case's learner holds after its steps
"""

import sys
from pathlib import Path

import torch
from torch import Tensor

from fairdarts.checking import check
from fairdarts.differentiable.architect import STEPS, warm_up
from fairdarts.differentiable.curvature import held_out_curvature
from fairdarts.differentiable.freezing import make_freezing
from fairdarts.differentiable.learner import Batch, Learner, StepIndex
from fairdarts.differentiable.settings import DenseSupernetSettings, SearchSettings
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.runtime import distributed
from fairdarts.spaces.space import load_space
from fairdarts.supernet.supernet import make_supernet

TAKE = {**STEPS, "warm_up": warm_up, "freezing": STEPS["first_order"]}
KINDS, SPACES, PARTS, BATCH = tuple(TAKE), ("s1", "s2-small"), 2, 8
CASES = [
    (space, kind, (row + column) % 2 == 1) for row, space in enumerate(SPACES) for column, kind in enumerate(KINDS)
]
"""space, kind of step, and whether it is disturbed: all pairs of two of them"""
SMALL = {
    "s1": {"nodes": 2, "candidates": ("max_pool_3x3", "skip_connect", "dil_conv_3x3")},
    "s2-small": {"stages": load_space("s2-small").stages[:2], "candidates": ("E3K3", "E2K5", "skip_connect")},
}


def learner_of(space_name: str, kind: str, disturbed: bool, accumulate: int) -> Learner:
    architect = {
        "kind": kind if kind in STEPS else "first_order",
        "lr": 0.1,
        "betas": [0.5, 0.99],
        "weight_decay": 0.1,
        "initial_std": 0,
    }
    content = {
        "name": "shared",
        "source": "tests",
        "space": space_name,
        "epochs": 1,
        "data": {"kind": "fake", "batch_size": BATCH, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "compute": {"accumulate": accumulate},
        "relaxation": "sigmoid",
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 3e-2, "clip": 5},
        "architect": architect | {"hessian": "exact"},
        "zero_one": {"form": "squared", "weight": 3},
        "derive": {"method": "argmax"},
    }
    if kind == "freezing":
        content["freezing"] = {"threshold": 0.1, "steps": 1}
    settings = check(SearchSettings, content, "test")
    if disturbed:
        skip, convolution = "skip_connect", "dil_conv_3x3" if space_name == "s1" else "E3K3"
        noise = NoiseSettings(on="gate", distribution="gaussian", std=0.5, schedule="constant", operations=(skip,))
        dropout = DropoutSettings(unit="element", rate=0.5, schedule="constant", operations=(skip, convolution))
        settings = settings.model_copy(update={"noise": noise, "dropout": dropout})
    space = load_space(space_name).model_copy(update=SMALL[space_name])
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 2} if space_name == "s1" else {}
    supernet = make_supernet(space, 3, settings=DenseSupernetSettings(**sizes)).double()
    alphas = {name: torch.randn(part.shape, dtype=torch.float64).requires_grad_() for name, part in space.parts.items()}
    weights, own = settings.weights, settings.architect
    sgd = torch.optim.SGD(supernet.parameters(), weights.lr, weights.momentum, weight_decay=weights.weight_decay)
    adam = torch.optim.Adam(alphas.values(), own.lr, own.betas, weight_decay=own.weight_decay)
    freezing = make_freezing(settings.freezing, supernet, [*supernet.parameters()]) if settings.freezing else None
    return Learner(settings, supernet, alphas, sgd, adam, freezing=freezing)


def share(batch: Batch) -> Batch:
    """This process's share of a batch."""
    return tuple(tensor.chunk(distributed.ranks())[distributed.rank()] for tensor in batch)


def outcome(case: tuple[str, str, bool], parts: int = PARTS) -> dict[str, Tensor]:
    """α, weights, statistics, all that was measured, and the curvature, after two steps in float64.

    Momentum enters in the second.
    """
    learner = learner_of(*case, parts // distributed.ranks())
    generator, measured = torch.Generator().manual_seed(1), []
    for step in range(2):
        train, valid = (
            share(
                (
                    torch.randn(BATCH, 3, 16, 16, dtype=torch.float64, generator=generator),
                    torch.randint(3, (BATCH,), generator=generator),
                )
            )
            for _ in range(2)
        )
        measured.append(TAKE[case[1]](learner, train, valid, StepIndex(0, step)))
    held = {f"α {part}": alpha.detach() for part, alpha in learner.alphas.items()}
    held |= {f"weight {name}": weight.detach() for name, weight in learner.supernet.named_parameters()}
    held |= {f"statistic {name}": buffer.clone() for name, buffer in learner.supernet.named_buffers()}
    if learner.freezing:
        held |= {f"freezing {name}": value.clone() for name, value in learner.freezing.state().items()}
    return held | {"measured": torch.stack(measured), "curvature": torch.tensor(held_out_curvature(learner, valid))}


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined():
        torch.save([outcome(case) for case in CASES], Path(sys.argv[1]) / f"{distributed.rank()}.pt")

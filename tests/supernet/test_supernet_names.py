"""Supernets of gates in checkpoints of version 0.1 are read under the names of today."""

import pytest
import torch
from one_shot import CELLS, CHAIN, CLASSES, supernet_of
from torch import Tensor

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.relaxation import dense
from fairdarts.supernet.names import current_names
from fairdarts.supernet.supernet import make_supernet


def old_name(name: str, kind: str) -> str:
    """What a tensor was called where cells, and layers, had supernets of gates of their own."""
    first, *rest = name.split(".")
    if first == "tail":
        return ".".join(rest)
    if first != "stages":
        return name
    number, what, *rest = rest
    if kind == "chain":
        return ".".join(["layers", number, what, *rest])
    if what == "preprocess":
        return ".".join(["cells", number, f"preprocess{rest[0]}", *rest[1:]])
    return ".".join(["cells", number, "mixed", rest[0], "candidates", *rest[1:]])


@pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["cell", "chain"])
def test_a_state_of_version_0_1_gives_the_same_logits(space):
    torch.manual_seed(0)
    supernet, other = (make_supernet(space, CLASSES, settings=DenseSupernetSettings()) for _ in range(2))
    old = {old_name(name, space.kind): value for name, value in supernet.state_dict().items()}
    assert not any(name.startswith(("stages.", "tail.")) for name in old)
    assert {name.split(".")[0] for name in old} >= {"stem", "classifier"}
    other.load_state_dict(current_names(old))
    gates = dense({name: torch.rand(part.shape) for name, part in space.parts.items()}, space)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(supernet(x, gates), other(x, gates))


@pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["cell", "chain"])
def test_the_names_of_today_stay(space):
    state: dict[str, Tensor] = supernet_of(space).state_dict()
    renamed = current_names(state)
    assert list(renamed) == list(state)
    assert all(renamed[name] is state[name] for name in state)


def test_no_two_tensors_come_under_one_name():
    names = ["cells.10.mixed.3.candidates.1.0.weight", "cells.1.preprocess1.1.weight", "head.0.weight", "layers.2.x"]
    found = current_names({name: torch.zeros(1) for name in names})
    assert list(found) == [
        "stages.10.candidates.3.1.0.weight",
        "stages.1.preprocess.1.1.weight",
        "tail.head.0.weight",
        "stages.2.x",
    ]

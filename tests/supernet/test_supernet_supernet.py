"""Any space makes a supernet; with synchronized BatchNorms it computes the same as long as one process runs it."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.spaces.space import load_space
from fairdarts.supernet.cell import CellSupernet
from fairdarts.supernet.chain import ChainSupernet
from fairdarts.supernet.supernet import Supernet, make_supernet


def supernet_of(name: str) -> tuple[Supernet, dict[str, torch.Tensor]]:
    space = load_space(name)
    small = {"stages": space.stages[:2]} if name.startswith("s2") else {"nodes": 2}
    space = space.model_copy(update=small)
    torch.manual_seed(0)
    sizes = (None, None) if name.startswith("s2") else (3, 2)
    supernet = make_supernet(space, *sizes, classes=3, in_channels=3, memory="none").double()
    return supernet, {name: torch.randn(part.shape, dtype=torch.float64) for name, part in space.parts.items()}


def test_the_space_decides_the_kind():
    assert isinstance(supernet_of("s1")[0], CellSupernet)
    assert isinstance(supernet_of("s2-small")[0], ChainSupernet)


@pytest.mark.parametrize("name", ["s1", "s2-small"])
def test_synchronized_batch_norms_compute_the_same_in_one_process(name: str):
    """torch's own runs on GPUs only where there are several processes, and falls back to the plain one where not."""
    supernet, alphas = supernet_of(name)
    synchronized = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(supernet))
    assert not any(type(module) is nn.BatchNorm2d for module in synchronized.modules())
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    found = []
    for network in (supernet, synchronized):
        own = {part: alpha.clone().requires_grad_() for part, alpha in alphas.items()}
        logits = network(x, {part: alpha.sigmoid() for part, alpha in own.items()})
        wanted = [*own.values(), *network.parameters()]
        found.append([logits, *torch.autograd.grad(F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])), wanted)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    for one, other in zip(supernet.buffers(), synchronized.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)

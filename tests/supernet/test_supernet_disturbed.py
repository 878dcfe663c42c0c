"""A supernet whose operations are disturbed, against the plain form with the same noise and dropout."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from test_supernet_cell import MEMORIES, images, pair_of, random_gates, run, small, supernet_of
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.spaces.space import load_space


class Disturbed(nn.Module):
    """An operation of the plain form whose output is disturbed."""

    def __init__(self, operation: nn.Module, disturb: Callable[[Tensor], Tensor]):
        super().__init__()
        self.operation, self.disturb = operation, disturb

    def forward(self, x: Tensor) -> Tensor:
        return self.disturb(self.operation(x))


NOISE = {"on": "output", "distribution": "gaussian", "std": 0.5, "schedule": "constant"}
DROPOUT = {"unit": "element", "rate": 0.3, "schedule": "constant"}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(
    ("noisy", "dropped"),
    [(["skip_connect"], []), ([], ["skip_connect"]), (["dil_conv_3x3"], load_space("s1").candidates)],
)
def test_disturbed_outputs_are_those_of_the_plain_form(memory: str, noisy: list[str], dropped: list[str]):
    space = small("s1")
    noise = NoiseSettings(**NOISE, operations=noisy) if noisy else None
    dropout = DropoutSettings(**DROPOUT, operations=dropped) if dropped else None
    disturbance = Disturbance(noise, dropout, seed=3, done=0.0)
    (supernet, plain), gates = pair_of(space, memory=memory), random_gates(space)
    undisturbed = plain(images(), gates)
    plain.load_state_dict(supernet.state_dict())  # its statistics have followed a batch
    names = dict(supernet.named_parameters())
    for index, cell in enumerate(plain.stages):
        for row, edge in enumerate(cell.candidates):
            for column, name in enumerate(space.candidates):
                if disturbance.touches(name):
                    disturb = partial(disturbance.of_output, name=name, block=index, edge=row, column=column)
                    edge[column] = Disturbed(edge[column], disturb)
    pull = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    out, expected = run(supernet, images(), gates, disturbance), plain(images(), gates)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(out, undisturbed, rtol=1e-3)
    others = {key.replace(".operation.", "."): weight for key, weight in plain.named_parameters()}
    wanted, reference = ([*gates.values(), *(own[key] for key in names)] for own in (names, others))
    found = torch.autograd.grad(out, wanted, pull)
    for one, other in zip(found, torch.autograd.grad(expected, reference, pull), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_nothing_is_disturbed_in_evaluation():
    space = small("s1")
    supernet, gates = supernet_of(space).eval(), random_gates(space)
    disturbance = Disturbance(NoiseSettings(**NOISE, operations=["skip_connect"]), None, seed=3, done=0.0)
    assert torch.equal(run(supernet, images(), gates, disturbance), run(supernet, images(), gates))

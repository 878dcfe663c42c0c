"""What stages share: fixed ones, the values of nodes, sums and means."""

import pytest
import torch
from torch import nn

from fairdarts.spaces.gates import Gate
from fairdarts.supernet.stage import Fixed, Node, total, weighted


def test_a_fixed_stage_runs_its_module_whatever_the_gates():
    stage = Fixed(nn.Conv2d(2, 3, 1))
    x = torch.randn(1, 2, 4, 4)
    assert stage.points == ()
    assert torch.equal(stage(x, ()), stage.module(x))
    assert list(stage.active(())) == [stage.module]


def test_a_node_computes_once_what_its_edges_share():
    node, asked = Node(torch.tensor([-1.0, 2.0])), []
    assert node.rectified.tolist() == [0, 2]
    assert node.rectified is node.rectified
    for key in ("a", "b", "a"):
        assert node.once(key, lambda key=key: asked.append(key) or torch.tensor(float(len(asked)))) in (1, 2)
    assert asked == ["a", "b"]


def test_sums():
    one, two, three = (torch.full((2,), float(n)) for n in (1, 2, 3))
    assert total([one]) is one
    assert total([one, two, three]).tolist() == [6, 6]
    assert one.tolist() == [1, 1]  # nothing is added in place


@pytest.mark.parametrize(
    ("gate", "expected"), [(Gate((4,)), 1), (Gate((1, 4)), 1.5), (Gate((0, 1, 4)), 1), (Gate((1, 4), 2.0), 6)], ids=str
)
def test_what_a_point_gives_without_a_tensor(gate: Gate, expected: float):
    """Of three active candidates only two give something."""
    outputs = [torch.tensor(float(n)) for n in range(1, 1 + min(len(gate.active), 2))]
    assert weighted(outputs, gate) == expected

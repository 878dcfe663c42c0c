"""What is finite, and which tensor is named where one is not."""

import pytest
import torch

from fairdarts.config import UserError
from fairdarts.runtime.finite import all_finite, check_finite


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_number_is_enough(bad: float):
    tensor = torch.full((3, 4), 3e38)  # their sum is beyond float32
    assert all_finite([tensor, torch.tensor(7), torch.full((2,), 60000.0, dtype=torch.float16)])
    assert all_finite([torch.tensor(7)])
    assert all_finite([])
    tensor[1, 2] = bad
    assert not all_finite([torch.ones(2), tensor])


def test_opposite_infinities_are_not_finite():
    assert not all_finite([torch.tensor([float("inf")]), torch.tensor([-float("inf")])])


def test_the_place_and_the_tensor_are_named():
    tensors = {"a": torch.ones(2), "text": "b", "c.weight": torch.tensor([1.0, float("nan")])}
    with pytest.raises(UserError, match=r"^runs/x: c\.weight: holds numbers that are not finite: its training has"):
        check_finite(tensors, "runs/x")
    del tensors["c.weight"]
    check_finite(tensors, "runs/x")

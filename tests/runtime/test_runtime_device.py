"""Where a search runs, with CUDA and without."""

import pytest
import torch

from fairdarts.config import UserError
from fairdarts.runtime.device import pick


@pytest.mark.parametrize(
    ("name", "available", "expected"),
    [
        ("cpu", False, "cpu"),
        ("cpu", True, "cpu"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cuda", True, "cuda"),
    ],
)
def test_a_device_is_picked(monkeypatch, name: str, available: bool, expected: str):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert pick(name) == torch.device(expected)


def test_cuda_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device: no CUDA device") as error:
        pick("cuda")
    assert "--device cpu" in str(error.value)

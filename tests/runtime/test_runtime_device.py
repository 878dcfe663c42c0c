"""Where a search runs, with CUDA and without."""

import sys

import pytest
import torch

from fairdarts.config import UserError
from fairdarts.runtime.device import memory_advice, peak_memory, pick


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


@pytest.mark.skipif(sys.platform != "linux", reason="is not known elsewhere")
def test_the_peak_of_memory_rises_by_what_was_taken_and_stays():
    device = torch.device("cpu")
    size = peak_memory(device)  # more than is in use now, so that it must rise
    block = torch.ones(size, dtype=torch.uint8)
    peak = peak_memory(device)
    assert size < peak < 2 * size + 2**28
    del block
    assert peak_memory(device) > peak - 2**24  # the kernel counts in batches


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore lines."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried …"),
    ],
)
def test_memory_that_does_not_suffice_is_told_with_advice(error: RuntimeError):
    advice = r"^out of memory: .*--compute\.memory checkpoint.*smaller batch or supernet$"
    with pytest.raises(UserError, match=advice), memory_advice():
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), memory_advice():
        raise RuntimeError("shapes do not fit")

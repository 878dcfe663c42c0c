"""How a block of a supernet is computed again instead of kept for the backward pass."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def run(block: nn.Module, memory: str, *arguments: Any) -> Any:
    """block(*arguments); with memory `checkpoint` its inner tensors are made again in the backward pass."""
    if memory != "checkpoint" or not torch.is_grad_enabled():
        return block(*arguments)
    contexts = nullcontext(), FrozenStatistics(block)
    return checkpoint(block, *arguments, use_reentrant=False, context_fn=lambda: contexts)


class FrozenStatistics:
    """While entered, a module sees batches whose statistics it forgets afterwards, as they are only computed again.

    It may be entered many times, as a graph may be gone through many times.
    """

    def __init__(self, module: nn.Module):
        self.buffers = list(module.buffers())

    def __enter__(self) -> None:
        self.before = [buffer.clone() for buffer in self.buffers]

    def __exit__(self, *_: object) -> None:
        for buffer, before in zip(self.buffers, self.before, strict=True):
            buffer.data.copy_(before)  # past autograd, which may have kept the buffer, but does not read it in training

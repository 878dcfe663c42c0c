"""A block that is computed again in the backward pass instead of kept for it."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def recompute(block: nn.Module, *arguments: Any) -> Any:
    """block(*arguments), whose inner tensors are made once more in the backward pass; a trace has no such pass."""
    if not torch.is_grad_enabled() or torch.jit.is_tracing():
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

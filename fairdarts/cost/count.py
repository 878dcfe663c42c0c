"""How large a network is: parameters and multiply-adds, counted by the shapes that run through it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fairdarts.config import UserError
from fairdarts.cost.cost import Cost, Rule
from fairdarts.cost.shapes import SHAPES
from fairdarts.runtime.shape import sides

Work = Callable[..., int]
"""what a function gave, and its arguments → its multiply-adds"""


def _weighted(out: Tensor, input: Tensor, weight: Tensor, *_: Any, **__: Any) -> int:
    """Every value takes as many as one of its rows of weights has numbers."""
    return out.numel() * weight[0].numel()


def _pooled(out: Tensor, input: Tensor, kernel_size: Any, *_: Any, **__: Any) -> int:
    """Every value takes a division, and as many as the kernel has pixels; where the kernel is one number, its side is
    taken for them: so thop has it, which FairDARTS' authors count with."""
    return out.numel() * (prod(kernel_size if isinstance(kernel_size, tuple) else (kernel_size,)) + 1)


def _averaged(out: Tensor, input: Tensor, *_: Any, **__: Any) -> int:
    """Every value that is read takes one, and every mean a division."""
    return input.numel() + out.numel()


_LAYERS: dict[Callable[..., Any], Work] = {F.conv2d: _weighted, F.linear: _weighted}
_MEANS: dict[Callable[..., Any], Work] = {
    F.avg_pool2d: _pooled,
    F.adaptive_avg_pool2d: _averaged,
    Tensor.mean: _averaged,
}
COUNTED: dict[Rule, dict[Callable[..., Any], Work]] = {"convolutions": _LAYERS, "fairdarts": _LAYERS | _MEANS}
"""rule → the functions that it counts"""
CHEAP = {torch.empty, F.pad, Tensor.__getitem__, Tensor.dim, Tensor.flatten}
"""what else the library's networks call"""


class _Counter(TorchFunctionMode):
    """Adds up the multiply-adds of what is called within it, and computes no more than shapes."""

    def __init__(self, rule: Rule):
        super().__init__()
        self.counted = COUNTED[rule]
        self.madds = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs, out = kwargs or {}, None
        if func in SHAPES:
            with suppress(TypeError, ValueError, IndexError):  # of arguments that the rule does not know
                out = SHAPES[func](*args, **kwargs)
        elif func not in CHEAP and getattr(func, "__name__", "") != "__get__":  # of a tensor's attribute
            return self._by_torch(func, args, kwargs)
        if out is None:
            out = func(*args, **kwargs)
        if func in self.counted:
            self.madds += self.counted[func](out, *args, **kwargs)
        return out

    def _by_torch(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """What any other function gives, as a user's own operation may call it: torch counts it, and takes its time."""
        out, madds = _counted(func, *args, **kwargs)
        self.madds += madds
        return out


def _counted(func: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, int]:
    """What a function gives, and the multiply-adds that torch counts in it."""
    from torch.utils.flop_counter import FlopCounterMode  # here, as the library's networks do without

    with FlopCounterMode(display=False) as counter:
        out = func(*args, **kwargs)
    return out, counter.get_total_flops() // 2


def count(
    network: nn.Module, in_channels: int = 3, image: int | tuple[int, int] = 32, rule: Rule = "convolutions"
) -> Cost:
    """The cost of a network for one image [1, in_channels, H, W], of which `image` is both H and W, or (H, W).

    Multiply-adds of convolutions and linear layers are half of what torch's FlopCounterMode counts, in a fraction of
    its time; under `torch.device("meta")` a network is built without its weights, which is all that a count needs.
    Raises UserError where a scripted network is to be counted by another rule.
    """
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    device = next(chain(network.parameters(), network.buffers()), torch.empty(0)).device
    modes = [(module, module.training) for module in network.modules()]
    scripted = any(isinstance(module, torch.jit.ScriptModule) for module in network.modules())
    x = torch.zeros(1, in_channels, *sides(image), device=device)
    network.eval()
    with torch.no_grad():
        if scripted:  # what is called within them shows to torch alone
            if rule != "convolutions":
                raise UserError(f"count: {rule}: a scripted network shows its convolutions and linear layers alone")
            _, madds = _counted(network, x)
        else:
            with _Counter(rule) as counter:
                network(x)
            madds = counter.madds
    for module, training in modes:
        module.training = training
    every = sum(sizes.values())
    auxiliary = sum(size for name, size in sizes.items() if name.startswith("auxiliary."))
    return Cost(every - auxiliary, every, madds)

"""How large a network is: parameters and multiply-adds, counted by the shapes that run through it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fairdarts.cost.cost import Cost
from fairdarts.cost.shapes import SHAPES
from fairdarts.runtime.shape import sides

COUNTED = {F.conv2d, F.linear}
"""every value that they give takes as many multiply-adds as one of its rows of weights has numbers"""
CHEAP = {torch.empty, F.pad, Tensor.__getitem__, Tensor.dim, Tensor.flatten}
"""what else the library's networks call"""


class _Counter(TorchFunctionMode):
    """Adds up the multiply-adds of what is called within it, and computes no more than shapes."""

    madds = 0

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
        if func in COUNTED:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.madds += out.numel() * weight[0].numel()
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


def count(network: nn.Module, in_channels: int = 3, image: int | tuple[int, int] = 32) -> Cost:
    """The cost of a network for one image [1, in_channels, H, W], of which `image` is both H and W, or (H, W).

    Multiply-adds are half of what torch's FlopCounterMode counts, in a fraction of its time; under
    `torch.device("meta")` a network is built without its weights, which is all that a count needs.
    """
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    device = next(chain(network.parameters(), network.buffers()), torch.empty(0)).device
    modes = [(module, module.training) for module in network.modules()]
    scripted = any(isinstance(module, torch.jit.ScriptModule) for module in network.modules())
    x = torch.zeros(1, in_channels, *sides(image), device=device)
    network.eval()
    with torch.no_grad():
        if scripted:  # what is called within them shows to torch alone
            _, madds = _counted(network, x)
        else:
            with _Counter() as counter:
                network(x)
            madds = counter.madds
    for module, training in modes:
        module.training = training
    every = sum(sizes.values())
    auxiliary = sum(size for name, size in sizes.items() if name.startswith("auxiliary."))
    return Cost(every - auxiliary, every, madds)

"""How large a network is: parameters and multiply-adds."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from fairdarts.runtime.shape import Size, sides, size_text


class Cost(NamedTuple):
    """What a network costs."""

    params: int
    """parameters without the auxiliary head"""
    params_with_auxiliary: int
    """parameters with it"""
    madds: int
    """multiply-adds of convolutions and linear layers for one image, without the auxiliary head"""


def cost_text(cost: Cost, image: Size) -> str:
    """'2.36 M parameters, 371.5 M multiply-adds for 32×32 images', the images being those that it was counted for."""
    millions = f"{cost.params / 1e6:.2f} M parameters, {cost.madds / 1e6:.1f} M multiply-adds"
    return f"{millions} for {size_text(image)} images"


class _PassThrough(TorchFunctionMode):
    """Skips what keeps a tensor's shape and is not counted: three quarters of a count on the meta device."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return args[0] if args and func in (F.relu, F.batch_norm) else func(*args, **(kwargs or {}))


def count(network: nn.Module, in_channels: int = 3, image: int | tuple[int, int] = 32) -> Cost:
    """The cost of a network for one image [1, in_channels, H, W], of which `image` is both H and W, or (H, W).

    A network built under `torch.device("meta")` is counted without computing anything. Multiply-adds are half of what
    torch's FlopCounterMode counts.
    """
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters()}
    device = next(chain(network.parameters(), network.buffers()), torch.empty(0)).device
    modes = [(module, module.training) for module in network.modules()]
    with torch.no_grad(), _PassThrough(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.empty(1, in_channels, *sides(image), device=device))
    for module, training in modes:
        module.training = training
    every = sum(sizes.values())
    auxiliary = sum(size for name, size in sizes.items() if name.startswith("auxiliary."))
    return Cost(every - auxiliary, every, counter.get_total_flops() // 2)

"""Operations of users' own: how they are built, and that they give what their place needs."""

from collections.abc import Callable
from itertools import chain

import torch
from torch import nn

from fairdarts.config import UserError

Build = Callable[[int, int, int, bool], nn.Module]
"""(c_in, c_out, stride, affine) → a module, x [B, c_in, H, W] → [B, c_out, ⌈H/stride⌉, ⌈W/stride⌉]"""

SIDES = (9, 8)
"""height and width of the images by which an operation is tried: an odd and an even one"""


def built(name: str, build: Build, c_in: int, c_out: int, stride: int, affine: bool) -> nn.Module:
    """An operation of a user's own, tried on an image of zeros; trying it draws no random number and moves no
    statistics.

    Raises UserError naming the operation where it is no module, fails, gives another shape, or changes its input.
    """
    call = f"operation '{name}': build({c_in}, {c_out}, {stride}, {affine})"
    try:
        module = build(c_in, c_out, stride, affine)
    except Exception as error:
        raise UserError(f"{call}: {type(error).__name__}: {error}") from error
    if not isinstance(module, nn.Module):
        raise UserError(f"{call}: gives {type(module).__name__}, should give a torch.nn.Module")
    module.own_operation = name  # type: ignore[assignment]  # of a module, any value can be an attribute
    device = next(chain(module.parameters(), module.buffers()), torch.empty(0)).device
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    for side in SIDES:
        x = torch.zeros(2, c_in, side, side, device=device)
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                out = module(x)
        except Exception as error:
            raise UserError(f"{call}: {type(error).__name__} for x {[*x.shape]}: {error}") from error
        right = [2, c_out, *[-(-side // stride)] * 2]
        given = [*out.shape] if isinstance(out, torch.Tensor) else type(out).__name__
        if given != right:
            raise UserError(f"{call}: makes {given} of x {[*x.shape]}, should make {right}")
        if x._version:
            raise UserError(f"{call}: changes its input in place, which other operations read as well")
    for part, training in modes:
        part.training = training
    return module


def own_name(module: nn.Module) -> str | None:
    """What a user's own operation is called; None for every other module."""
    return getattr(module, "own_operation", None)

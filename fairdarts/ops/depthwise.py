"""Depthwise convolution: the one place that decides by which kernels it and its gradients run."""

from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.native import calls


def depthwise(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Depthwise convolution with "same" padding: x [B, C, H, W], weight [C, 1, k, k] → [B, C, ⌈H/stride⌉, ⌈W/stride⌉].

    On the CPU its gradients are the same sums through other kernels: those of torch run up to 40 times slower than the
    forward pass where a kernel is wider than 3 or dilated.
    """
    trains = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    if x.device.type == "cpu" and trains and not calls.under_torch_func():
        if torch.is_autocast_enabled("cpu"):
            x, weight = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (x, weight))
        return _Depthwise.apply(x, weight, stride, dilation)
    return convolve(x, weight, stride, dilation)


def convolve(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """The convolution as torch runs it."""
    return F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation, groups=x.shape[1])


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return convolve(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is asked for
            x, weight = x.view_as(x), weight.view_as(weight)  # x may be made of the weight
            wanted = [tensor for tensor, needed in zip((x, weight), ctx.needs_input_grad, strict=False) if needed]
            found = iter(
                torch.autograd.grad(convolve(x, weight, ctx.stride, ctx.dilation), wanted, pull, create_graph=True)
            )
            return *(next(found) if needed else None for needed in ctx.needs_input_grad[:2]), None, None
        of_x = input_gradient(pull, x, weight, ctx.stride, ctx.dilation) if ctx.needs_input_grad[0] else None
        of_weight = weight_gradient(pull, x, weight, ctx.stride, ctx.dilation) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None, None


def input_gradient(pull: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """∂/∂x of ⟨pull, depthwise(x)⟩ [B, C, H, W]: at stride 1 the convolution of pull with the turned kernel."""
    if stride == 1:
        return convolve(pull, weight.flip(2, 3), 1, dilation)
    if stride == dilation == 2:  # only every second row and column of x was read, by a kernel without gaps
        gradient = torch.zeros_like(x)
        gradient[:, :, ::2, ::2] = convolve(pull, weight.flip(2, 3), 1, 1)
        return gradient
    return _native(pull, x, weight, (weight.shape[-1] // 2 * dilation,) * 2, stride, dilation, (True, False, False))[0]


def weight_gradient(pull: Tensor, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """∂/∂weight of ⟨pull, depthwise(x)⟩ [C, 1, k, k]."""
    kernel = weight.shape[-1]
    radius = kernel // 2
    if x.shape[2:] == pull.shape[2:] == (1, 1):  # only the centre of the kernel reads a pixel
        centre = (x * pull).sum((0, 2, 3))
        return F.pad(centre.view(-1, 1, 1, 1), (radius,) * 4)
    if (kernel > 3 or dilation > 1) and calls.knows(kernel, stride) and calls.takes(pull, x, weight):
        layout = torch.channels_last
        tensors = pull.contiguous(memory_format=layout), x.contiguous(memory_format=layout), weight.contiguous()
        return calls.kernel_gradient(*tensors, stride, dilation)
    if dilation == 2 and stride == 2:
        x, stride, dilation = x[:, :, ::2, ::2].contiguous(memory_format=torch.channels_last), 1, 1
    if stride == 1 and (dilation == 2 or kernel > 3) and max(x.shape[2:]) <= (32 if dilation == 2 else 16):
        return _correlated(pull, x, kernel, dilation)
    if dilation > 1 or kernel < 4 or x.shape[-1] < kernel:
        only = (False, True, False)
        return _native(pull, x, weight, (radius * dilation,) * 2, stride, dilation, only)[1]
    columns = []  # three of the kernel at a time, which is as wide as the fast one gets
    for first in range(0, kernel, 3):
        part = weight[..., first : first + 3]
        last = first + part.shape[-1] - 1
        shifted = F.pad(x, (radius - first, last - radius))
        columns.append(_native(pull, shifted, part, (radius, 0), stride, 1, (False, True, False))[1])
    return torch.cat(columns, dim=-1)


def _native(
    pull: Tensor, x: Tensor, weight: Tensor, padding: tuple[int, int], stride: int, dilation: int, mask: tuple
) -> tuple[Tensor, ...]:
    return torch.ops.aten.convolution_backward(
        pull, x, weight, None, [stride] * 2, padding, [dilation] * 2, False, [0, 0], x.shape[1], mask
    )


def _correlated(pull: Tensor, x: Tensor, kernel: int, dilation: int) -> Tensor:
    """The weight gradient as a convolution of every image with its pull, the dilation its stride."""
    batch, channels, height, width = x.shape
    x, pull = x.reshape(1, batch * channels, height, width), pull.reshape(batch * channels, 1, height, width)
    taps = F.conv2d(x, pull, None, dilation, dilation * (kernel // 2), groups=batch * channels)
    return taps.view(batch, channels, 1, kernel, kernel).sum(0)


def depthwise_conv(channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution with one filter a channel, "same" padding and no bias: torch's module, which tools know."""
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)


def is_depthwise(module: nn.Module | None) -> TypeGuard[nn.Conv2d]:
    """Whether a module is one that `depthwise_conv` makes; a 1×1 kernel of a single channel is a pointwise one."""
    if type(module) is not nn.Conv2d or module.bias is not None or module.padding_mode != "zeros":
        return False
    (kernel, *_), (dilation, *_) = sizes = module.kernel_size, module.dilation
    square = all(len({*size}) == 1 for size in (*sizes, module.stride)) and kernel % 2 == 1
    same = module.padding == (dilation * (kernel // 2),) * 2
    single = module.groups == module.in_channels == module.out_channels
    return square and same and single and module.weight.numel() > 1

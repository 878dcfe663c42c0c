"""How a network trains on the CPU: the same numbers by functions that bring their own gradients.

A sequence of units, each a depthwise convolution or none, a pointwise one or none, and a BatchNorm, with activations
between them, runs as one function by native kernels where a compiler is found: what a BatchNorm and an activation give
is made where it is read, and never kept. Depthwise convolutions outside of such sequences run by `depthwise`, and a
ReLU6 outside of them keeps its output alone.
"""

from collections.abc import Iterator, Sequence
from types import MethodType
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.native import calls
from fairdarts.native.calls import Form, Made, Pull
from fairdarts.ops.cell import Separable
from fairdarts.ops.depthwise import depthwise, is_depthwise
from fairdarts.ops.mbconv import Bottleneck

Network = TypeVar("Network", bound=nn.Module)

LIMITS = {nn.ReLU: float("inf"), nn.ReLU6: 6.0}
"""activation → the most that it gives"""


def with_fast_gradients(network: Network) -> Network:
    """The network itself, which trains on the CPU by the functions of this file from now on.

    For a network that is trained here: what counts or exports networks does not know a function that brings its own
    gradient. In evaluation, under torch.compile, autocast, tracing and torch.func, and where hooks watch modules, the
    modules run as they are. A network that is pickled is a plain one when it is loaded.
    """
    for module in network.modules():
        if isinstance(module, (Separable, Bottleneck)):
            module.forward = MethodType(_run, module)  # type: ignore[method-assign]
        elif is_depthwise(module) and module.weight.device.type == "cpu":
            module.forward = MethodType(_convolve, module)  # type: ignore[method-assign]
        elif type(module) is nn.ReLU6 and module.inplace:
            module.forward = MethodType(_clip, module)  # type: ignore[method-assign]
    return network


class Part(NamedTuple):
    """A unit as the places of its modules in their sequence."""

    activation: int | None
    """what stands before it"""
    spread: int | None
    """a depthwise convolution"""
    point: int | None
    """a pointwise convolution"""
    norm: int
    """a BatchNorm"""


def parts_of(sequence: nn.Sequential) -> tuple[Part, ...] | None:
    """The units of a sequence of modules, or None where it has something else."""
    parts: list[Part] = []
    found: dict[str, int] = {}
    for place, module in enumerate(sequence):
        if type(module) in LIMITS and not found:
            found["activation"] = place
        elif is_known(module) and "spread" not in found:
            found["spread"] = place
        elif is_pointwise(module) and "point" not in found:
            found["point"] = place
        elif type(module) is nn.BatchNorm2d and module.momentum is not None and {"spread", "point"} & found.keys():
            parts.append(Part(found.get("activation"), found.get("spread"), found.get("point"), place))
            found = {}
        else:
            return None
    between = all(part.activation is not None for part in parts[1:])
    return tuple(parts) if parts and between and not found else None


def is_known(module: nn.Module) -> bool:
    """Whether it is a depthwise convolution that the kernels know."""
    return is_depthwise(module) and calls.knows(module.kernel_size[0], module.stride[0])


def is_pointwise(module: nn.Module) -> bool:
    """Whether it is a 1×1 convolution of all pixels, without groups or bias."""
    if type(module) is not nn.Conv2d or module.bias is not None:
        return False
    return (module.kernel_size, module.stride, module.padding, module.groups) == ((1, 1), (1, 1), (0, 0), 1)


def _convolve(self: nn.Conv2d, x: Tensor) -> Tensor:
    return depthwise(x, self.weight, self.stride[0], self.dilation[0])


def _clip(self: nn.ReLU6, x: Tensor) -> Tensor:
    eager = not (torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"))
    if eager and x.device.type == "cpu" and x.requires_grad and torch.is_grad_enabled():
        return _Clipped.apply(x)
    return nn.ReLU6.forward(self, x)


class _Clipped(torch.autograd.Function):
    """min(6, max(0, x)) in place, by whose output its gradient is known: torch keeps a copy of its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x.clamp_(0, 6))
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> Tensor:
        return torch.ops.aten.hardtanh_backward(pull, ctx.saved_tensors[0], 0, 6)


def _run(self: nn.Sequential, x: Tensor) -> Tensor:
    """The units as one function where they train here, else as modules."""
    parts = parts_of(self)
    running = [buffer for buffer in self.buffers() if buffer.is_floating_point()]
    tensors = [x, *self.parameters(), *running]
    known = parts is not None and _trains(self, parts) and all(buffer.is_contiguous() for buffer in running)
    if not (known and any(tensor.requires_grad for tensor in tensors) and calls.takes(*tensors)):
        return nn.Sequential.forward(self, x)
    assert parts is not None
    forms = [_form(self, part) for part in parts]
    weights = [weight for form in forms for weight in (*form[:2], *(form.affine or ())) if weight is not None]
    return _Units.apply(forms, parts[0].activation is not None, x, *weights)


def _trains(modules: nn.Sequential, parts: Sequence[Part]) -> bool:
    """Whether a gradient is wanted, all BatchNorms follow the batch, and nothing looks at single modules."""
    eager = not (torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"))
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    watched = any(getattr(module, name) for module in modules for name in hooks)
    watched = watched or bool(torch.nn.modules.module._has_any_global_hook())
    return torch.is_grad_enabled() and eager and not watched and all(modules[part.norm].training for part in parts)


_run.__name__ = _convolve.__name__ = _clip.__name__ = "forward"  # the name by which pickle asks a module for it


def _form(modules: nn.Sequential, part: Part) -> Form:
    """A unit with its weights."""
    spread: Any = None if part.spread is None else modules[part.spread]
    point: Any = None if part.point is None else modules[part.point]
    norm: Any = modules[part.norm]
    return Form(
        kernel=None if spread is None else spread.weight,
        weight=None if point is None else point.weight,
        stride=1 if spread is None else spread.stride[0],
        dilation=1 if spread is None else spread.dilation[0],
        norm=norm,
        affine=(norm.weight, norm.bias) if norm.affine else None,
        limit=LIMITS[nn.ReLU if part.activation is None else type(modules[part.activation])],
    )


class _Units(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, forms: Sequence[Form], entered: bool, x: Tensor, *weights: Tensor) -> Tensor:
        """The units, one after another; `entered`: behind an activation of x."""
        its = list(_with(forms, iter([weight.contiguous() for weight in weights])))
        read, made = x.contiguous(memory_format=torch.channels_last), list[Made]()
        before = _identity(read) if entered else None
        for form in its:
            made.append(calls.unit_forward(form, read, before))
            read, before = made[-1].raw, made[-1].known
        ctx.forms, ctx.entered, ctx.with_y = forms, entered, [one.y is not None for one in made]
        ctx.save_for_backward(x, *weights, *(tensor for one in made for tensor in one if tensor is not None))
        return calls.add_up([(read, before, 1.0)])

    @staticmethod
    def backward(ctx: Any, pull: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[2:]
        x, *saved = ctx.saved_tensors
        weights, rest = saved[: len(wanted) - 1], iter(saved[len(wanted) - 1 :])
        if torch.is_grad_enabled():
            return None, None, *_differentiable(ctx.forms, ctx.entered, x, weights, pull, wanted)
        forms = list(_with(ctx.forms, iter([weight.contiguous() for weight in weights])))
        x = x.contiguous(memory_format=torch.channels_last)
        made = [Made(next(rest) if with_y else None, next(rest), next(rest)) for with_y in ctx.with_y]
        pull = pull.contiguous(memory_format=torch.channels_last)
        total, dots = calls.dots(pull, [(made[-1].raw, made[-1].known, 0.0)])
        arriving, of_x = Pull(pull, total, dots[0]), None
        found: list[Tensor | None] = []
        for place in reversed(range(len(forms))):
            form, first = forms[place], place == 0
            before = _identity(x) if ctx.entered and first else None if first else made[place - 1].known
            read = x if first else made[place - 1].raw
            wanted_here = not first or wanted[0], any(wanted[1:])
            gradients = calls.unit_backward(form, arriving, 1.0, made[place], read, before, wanted_here)
            convolutions = [its for its in (gradients.of_kernel, gradients.of_weight) if its is not None]
            found = [*convolutions, *(gradients.of_norm.unbind() if form.affine else ()), *found]
            of_x = gradients.of_x
            if not first:
                assert of_x is not None
                assert gradients.of_before is not None
                arriving = Pull(of_x, *gradients.of_before)
        return None, None, of_x, *(found if any(wanted[1:]) else (None,) * len(weights))


def _with(forms: Sequence[Form], weights: Iterator[Tensor]) -> Iterator[Form]:
    """Units with weights in place of their own."""
    for form in forms:
        kernel, weight = (None if its is None else next(weights) for its in form[:2])
        affine = form.affine and (next(weights), next(weights))
        yield form._replace(kernel=kernel, weight=weight, affine=affine)


def _identity(x: Tensor) -> Tensor:
    """What is known of a BatchNorm that changes nothing [4, C]."""
    return x.new_tensor([[0.0], [1.0], [1.0], [0.0]]).repeat(1, x.shape[1])


def _differentiable(
    forms: Sequence[Form], entered: bool, x: Tensor, weights: Sequence[Tensor], pull: Tensor, wanted: Sequence[bool]
) -> Iterator[Tensor | None]:
    """The gradients as functions of all that they depend on, for second derivatives."""
    tensors = [tensor.view_as(tensor) for tensor in (x, *weights)]
    out, own = tensors[0], _with(forms, iter(tensors[1:]))
    for place, form in enumerate(own):
        out = out.clamp(0, form.limit) if place or entered else out
        out = out if form.kernel is None else depthwise(out, form.kernel, form.stride, form.dilation)
        out = out if form.weight is None else F.conv2d(out, form.weight)
        scale, shift = form.affine or (None, None)
        out = F.batch_norm(out, None, None, scale, shift, training=True, eps=form.norm.eps)
    needed = [tensor for tensor, its in zip(tensors, wanted, strict=True) if its]
    found = iter(torch.autograd.grad(out, needed, pull, create_graph=True))
    return (next(found) if its else None for its in wanted)

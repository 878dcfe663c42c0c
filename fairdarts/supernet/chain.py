"""How all choices of a chain space run under given gates."""

from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.networks.chain import conv_bn, stem
from fairdarts.ops.again import again
from fairdarts.ops.mbconv import Projection, choice
from fairdarts.relaxation import Gates
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.supernet.bottlenecks import fits, gated_bottlenecks


def gated(operation: nn.Module, x: Tensor, gate: Tensor) -> Tensor:
    """gate · operation(x). Where a BatchNorm without weights ends the operation, the gate is its weight."""
    last = operation[-1] if isinstance(operation, nn.Sequential) else None
    if type(last) is not nn.BatchNorm2d or last.affine:
        return gate * operation(x)
    x = operation.taken(x) if isinstance(operation, Projection) else x
    for module in list(operation)[:-1]:
        x = module(x)
    if last.training:
        last.num_batches_tracked.add_(1)
    scale = gate.to(last.running_mean.dtype).expand(last.num_features).contiguous()
    return F.batch_norm(x, last.running_mean, last.running_var, scale, None, last.training, last.momentum, last.eps)


class MixedLayer(nn.Module):
    """A layer of which every choice runs: Σ gate · choice(x) (FairDARTS, eq. 5, and with sigmoid gates eq. 6)."""

    def __init__(self, names: tuple[str, ...], layer: Layer, recompute: bool):
        super().__init__()
        self.names, self.recompute = names, recompute
        self.candidates = nn.ModuleList(choice(name, *layer, affine=False) for name in names)
        self.joint = [column for column, candidate in enumerate(self.candidates) if fits(candidate)]

    def forward(self, x: Tensor, gates: Tensor, disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        """x [B, C, H, W], gates [candidates] → [B, C', H', W'].

        `index` is the layer's own number, by which a disturbance knows its place.
        """
        disturbed = [self.training and disturbance is not None and disturbance.touches(name) for name in self.names]
        eager = not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        quick = self.training and eager and x.device.type == "cpu" and torch.is_grad_enabled()
        joint = [column for column in self.joint if quick and not disturbed[column]]
        terms = []
        if joint:
            blocks = [self.candidates[column] for column in joint]
            terms.append(gated_bottlenecks(x, gates[joint], blocks, self.recompute))
        for column, (name, candidate) in enumerate(zip(self.names, self.candidates, strict=True)):
            if disturbed[column]:
                terms.append(gates[column] * disturbance.of_output(candidate(x), name, index, 0, column))
            elif column not in joint:
                terms.append(gated(candidate, x, gates[column]))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class ChainSupernet(nn.Module):
    """The supernet of a chain space. It holds weights only: the gates come from outside.

    `forward(x [B, in, H, W], gates, disturbance)` gives logits [B, classes]; in evaluation nothing is disturbed.
    What is kept for the backward pass: with memory `none`, every tensor that would be slow to make again; with
    `recompute`, on the CPU, no tensor inside a bottleneck; with `checkpoint`, the outputs of layers alone. The numbers
    are the same.
    """

    def __init__(
        self,
        space: ChainSpace,
        classes: int,
        in_channels: int = 3,
        memory: Literal["none", "recompute", "checkpoint"] = "none",
    ):
        super().__init__()
        self.memory, self.candidates = memory, space.candidates
        self.stem = stem(space.stem, in_channels)
        self.layers = nn.ModuleList(
            MixedLayer(space.candidates, layer, memory == "recompute") for layer in space.layers
        )
        self.head = conv_bn(space.layers[-1].c_out, space.head, 1, 1, "relu6")
        self.classifier = nn.Linear(space.head, classes)

    @property
    def blocks(self) -> nn.ModuleList:
        """What is compiled, and computed again, one by one."""
        return self.layers

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None) -> Tensor:
        x = self.stem(x)
        for index, (layer, own) in enumerate(zip(self.layers, gates["layers"].unbind(), strict=True)):
            run = partial(again, layer) if self.memory == "checkpoint" else layer
            x = run(x, own, disturbance, index)
        return self.classifier(self.head(x).mean((2, 3)))

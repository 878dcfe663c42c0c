"""How the layers of a chain run under gates: Σ gate · choice(x) (FairDARTS, eq. 5 and 6), or a single choice."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.networks.chain import conv_bn, stem
from fairdarts.ops.mbconv import Bottleneck, Residual, choice
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.supernet.kernels.bottlenecks import fits, gated_bottlenecks
from fairdarts.supernet.kernels.terms import gated
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import SupernetParts, total, weighted


class ChoiceLayer(nn.Module):
    """A layer of a chain, all of whose choices are there."""

    def __init__(self, point: int, names: Sequence[str], layer: Layer, affine: bool, recompute: bool):
        super().__init__()
        self.points, self.names, self.recompute = (point,), tuple(names), recompute
        self.candidates = nn.ModuleList(choice(name, *layer, affine=affine) for name in names)
        self.joint = {column for column, candidate in enumerate(self.candidates) if fits(_block(candidate))}

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The choices that run."""
        return (self.candidates[column] for column in gates[0].active)

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        """x [B, C, H, W], the gate of its one point → [B, C', H', W']."""
        (gate,) = gates
        if not gate.active:
            raise ValueError(f"gates[{self.points[0]}]: no active choice, but a layer of a chain needs one")
        disturbed = disturbance if self.training else None
        if isinstance(gate.weights, Tensor):
            return self.gated_sum(x, gate, gate.weights, disturbed, index)
        return weighted([self.output(column, x, disturbed, index) for column in gate.active], gate)

    def output(self, column: int, x: Tensor, disturbance: Disturbance | None, index: int) -> Tensor:
        """What a choice gives, disturbed where it should be."""
        name, out = self.names[column], self.candidates[column](x)
        if disturbance is not None and disturbance.touches(name):
            return disturbance.of_output(out, name, index, 0, column)
        return out

    def gated_sum(self, x: Tensor, gate: Gate, weights: Tensor, disturbance: Disturbance | None, index: int) -> Tensor:
        """The sum under weights [active]; bottlenecks run jointly where the CPU trains."""
        eager = not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        quick = self.training and eager and x.device.type == "cpu" and torch.is_grad_enabled()
        disturbed = {column for column in gate.active if disturbance and disturbance.touches(self.names[column])}
        count = len(gate.active) - gate.idle
        joint = [at for at, column in enumerate(gate.active[:count]) if quick and column in self.joint - disturbed]
        terms = []
        if joint:
            candidates = [self.candidates[gate.active[at]] for at in joint]
            blocks = cast("list[Bottleneck]", [*map(_block, candidates)])  # as they fit
            terms.append(gated_bottlenecks(x, weights[joint], blocks, self.recompute))
            past = [at for at, candidate in zip(joint, candidates, strict=True) if isinstance(candidate, Residual)]
            if past:
                terms.append(weights[past].sum() * x)
        for at, column in enumerate(gate.active):
            if at >= count:
                with torch.no_grad():
                    out = self.output(column, x, disturbance, index)
                terms.append(weights[at] * out)
            elif column in disturbed:
                terms.append(weights[at] * self.output(column, x, disturbance, index))
            elif at not in joint:
                terms.append(gated(self.candidates[column], x, weights[at]))
        return total(terms)


def _block(candidate: nn.Module) -> nn.Module:
    """The bottleneck inside a choice with a residual; else the choice itself."""
    return candidate.block if type(candidate) is Residual else candidate


class ChainTail(nn.Module):
    """What stands behind the layers: 1×1 convolution, dropout, mean over the pixels, classifier."""

    def __init__(self, space: ChainSpace, classes: int, dropout: float):
        super().__init__()
        self.head = conv_bn(space.layers[-1].c_out, space.head, 1, 1, "relu6")
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(space.head, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.head(x)).mean((2, 3)))


def chain_parts(
    space: ChainSpace, classes: int, in_channels: int, settings: SupernetSettings, recompute: bool
) -> SupernetParts:
    """Stem, layers and tail, as in the stand-alone network."""
    # Searches have always drawn the stem's weights first, one-shot trainings the layers': the numbers of a seed stay.
    entry = stem(space.stem, in_channels) if settings.tied else None
    layers = zip(space.choices, space.layers, strict=True)
    stages = [ChoiceLayer(number, *layer, settings.affine, recompute) for number, layer in enumerate(layers)]
    entry = entry or stem(space.stem, in_channels)
    return SupernetParts(entry, stages, ChainTail(space, classes, settings.global_dropout))

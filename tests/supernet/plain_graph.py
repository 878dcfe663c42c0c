"""The supernet of NAS-Bench-101 in a plain form, for the tests.

It knows the names of weights, but no module: it looks for the vertices on ways from input to output, counts channels,
cuts weights and adds up edges in loops.
"""

from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.drop_path import drop_path
from fairdarts.supernet.settings import SupernetSettings

CONV3, CONV1, POOL = range(3)
Path = tuple[int, ...]


def ways(inputs: Path) -> list[tuple[int, ...]]:
    """All ways from vertex 0 to the last one."""
    found, last = [], len(inputs)
    for count in range(last):
        for between in combinations(range(1, last), count):
            way = (0, *between, last)
            if all(inputs[target - 1] >> source & 1 for source, target in pairwise(way)):
                found.append(way)
    return found


class Plain:
    """The network of a path, with a supernet's weights: `whole` has a stem, stages and a tail."""

    def __init__(self, whole: nn.Module, path: Path, settings: SupernetSettings, widths: tuple[int, ...]):
        self.weights = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
        self.operations, inputs = path[:5], path[5:]
        self.on_a_way = sorted({vertex for way in ways(inputs) for vertex in way})
        self.sources = {v: [s for s in self.on_a_way if inputs[v - 1] >> s & 1] for v in self.on_a_way if v}
        self.settings, self.widths, self.training = settings, widths, whole.training

    def channels(self, width: int) -> dict[int, int]:
        ends = [vertex for vertex in self.sources[6] if vertex]
        if self.settings.dynamic_channels == "disabled":
            return {vertex: width // len(ends) for vertex in self.on_a_way} | {6: width // len(ends) * len(ends)}
        own = {6: width}
        for number, vertex in enumerate(ends):
            own[vertex] = width // len(ends) + (1 if number < width % len(ends) else 0)
        for vertex in reversed(self.on_a_way[1:-1]):
            if vertex not in ends:
                own[vertex] = max(own[reader] for reader in self.sources if vertex in self.sources[reader])
        return own

    def cut(self, weight: Tensor, c_out: int, c_in: int) -> Tensor:
        o, i = weight.shape[:2]
        match self.settings.dynamic_channels:
            case "fixed":
                return weight[:c_out][:, :c_in]
            case "shuffle":
                weight = weight[self.order(o)[:c_out]]
                return weight[:, self.order(i)[:c_in]]
            case "interpolate":
                rows = [weight[n * o // c_out : -(-(n + 1) * o // c_out)].mean(0) for n in range(c_out)]
                weight = torch.stack(rows)
                columns = [weight[:, n * i // c_in : -(-(n + 1) * i // c_in)].mean(1) for n in range(c_in)]
                return torch.stack(columns, 1)
        assert weight.shape[:2] == (c_out, c_in)
        return weight

    def order(self, channels: int) -> Tensor:
        """Drawn anew in training, and otherwise once for every width."""
        generator = None if self.training else torch.Generator().manual_seed(channels)
        return torch.randperm(channels, generator=generator)

    def conv_bn_relu(self, name: str, x: Tensor, channels: int, norm: int = 0) -> Tensor:
        if f"{name}.conv.weight" in self.weights:
            weight = self.weights[f"{name}.conv.weight"]
        else:  # the centre of the larger kernel of the same vertex
            larger = self.weights[f"{name[:-1]}{CONV3}.conv.weight"]
            weight = larger[:, :, 1:2, 1:2] * self.weights[f"{name}.conv.projection"]
        weight = self.cut(weight, channels, x.shape[1])
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        keys = (f"{name}.norms.{norm}.{key}" for key in ("running_mean", "running_var", "weight", "bias"))
        mean, var, weight, bias = (self.weights[key][:channels] if key in self.weights else None for key in keys)
        if mean is not None:
            mean, var = mean.clone(), var.clone()
        x = F.batch_norm(x, mean, var, weight, bias, self.training)
        return x.clamp(min=0)

    def edge(self, x: Tensor) -> Tensor:
        return drop_path(x, self.settings.path_dropout) if self.training else x

    def cell(self, name: str, x: Tensor, width: int) -> Tensor:
        channels, values = self.channels(width), {}
        for vertex in self.on_a_way[1:-1]:
            added = torch.zeros(1, dtype=x.dtype)
            for source in self.sources[vertex]:
                if source == 0:
                    read = self.conv_bn_relu(f"{name}.projections.{vertex - 1}", x, channels[vertex])
                else:
                    read = values[source][:, : channels[vertex]]
                added = added + self.edge(read)
            choice = self.operations[vertex - 1]
            if choice == POOL:
                values[vertex] = F.max_pool2d(added, 3, stride=1, padding=1)
            else:
                norm = sum(1 << source for source in self.sources[vertex]) - 1 if self.settings.wsbn else 0
                own = f"{name}.operations.{vertex - 1}.{choice}"
                values[vertex] = self.conv_bn_relu(own, added, channels[vertex], norm)
        direct, parts = 0, []
        for source in self.sources[6]:
            if source == 0:
                direct = self.edge(self.conv_bn_relu(f"{name}.projections.5", x, channels[6]))
            else:
                parts.append(self.edge(values[source]))
        return torch.cat(parts, 1) + direct if parts else direct

    def __call__(self, x: Tensor) -> Tensor:
        get = self.weights.get
        x = F.conv2d(x, get("stem.0.weight"), padding=1)
        norm = [get(f"stem.1.{key}") for key in ("running_mean", "running_var", "weight", "bias")]
        norm = [one if one is None else one.clone() for one in norm[:2]] + norm[2:]
        x = F.batch_norm(x, *norm, self.training).clamp(min=0)
        for number, width in enumerate(self.widths):  # of one cell each
            x = self.cell(f"stages.{2 * number}", F.max_pool2d(x, 2) if number else x, width)
        names = [name for name in self.weights if name.startswith("tail.")]
        weight, bias = (self.weights[name] for name in names)
        return F.linear(x.mean((2, 3)), weight, bias)

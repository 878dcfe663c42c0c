"""How the choices of a path run, with the weights that all paths share."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from fairdarts.networks.chain import conv_bn, stem
from fairdarts.ops.mbconv import choice
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.gates import Subnet
from fairdarts.spaces.nasbench101 import Bench101Space
from fairdarts.spaces.space import Space
from fairdarts.supernet.bench import bench_stages, bench_stem, bench_tail
from fairdarts.supernet.cell_path import cell_stages, cell_stem, cell_tail
from fairdarts.supernet.factors import Factors
from fairdarts.supernet.nasbench101 import graph_stages, graph_stem, graph_tail


class ChoiceLayer(nn.Module):
    """A layer of a chain: one of its choices, or the mean of several."""

    def __init__(self, point: int, names: Sequence[str], layer: Layer, affine: bool):
        super().__init__()
        self.points = (point,)
        self.candidates = nn.ModuleList(choice(name, *layer, affine=affine) for name in names)

    def active(self, chosen: Subnet) -> Iterator[nn.Module]:
        """The modules that run."""
        return (self.candidates[index] for index in chosen[0])

    def forward(self, x: Tensor, chosen: Subnet) -> Tensor:
        """x [B, C, H, W] → [B, C', H', W']; `chosen` holds the choices of this layer's one point."""
        outputs = [candidate(x) for candidate in self.active(chosen)]
        return outputs[0] if len(outputs) == 1 else sum(outputs[1:], outputs[0]) / len(outputs)


class ChainTail(nn.Module):
    """What stands behind the layers: 1×1 convolution, dropout, mean over the pixels, classifier."""

    def __init__(self, space: ChainSpace, classes: int, dropout: float):
        super().__init__()
        self.head = conv_bn(space.layers[-1].c_out, space.head, 1, 1, "relu6")
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(space.head, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.dropout(self.head(x)).mean((2, 3)))


class PathSupernet(nn.Module):
    """A stem, stages one after another, a tail: `forward(x [B, in, H, W], subnet)` gives logits [B, classes].

    A stage has `points`, the numbers of the choice points that it reads (none where it is fixed), runs as
    `stage(x, chosen)` on what is chosen at these, and `active(chosen)` gives the modules that run then. Stem, tail and
    fixed stages are shared by all paths.
    """

    def __init__(self, stem: nn.Module, stages: Sequence[nn.Module], tail: nn.Module):
        super().__init__()
        self.stem, self.stages, self.tail = stem, nn.ModuleList(stages), tail

    @property
    def blocks(self) -> list[nn.Module]:
        """What is compiled, one by one: stem, tail, and every choice of a layer."""
        layers = [stage for stage in self.stages if isinstance(stage, ChoiceLayer)]
        return [self.stem, *(candidate for layer in layers for candidate in layer.candidates), self.tail]

    def after_stem(self, x: Tensor, chosen: Subnet) -> Tensor:
        """Logits from what the stem gave."""
        for stage in self.stages:
            x = stage(x, at(stage, chosen))
        return self.tail(x)

    def forward(self, x: Tensor, chosen: Subnet) -> Tensor:
        return self.after_stem(self.stem(x), chosen)

    def active(self, chosen: Subnet) -> Iterator[nn.Module]:
        """The modules behind the stem that run, the tail included."""
        for stage in self.stages:
            yield from stage.active(at(stage, chosen))
        yield self.tail


def at(stage: nn.Module, chosen: Subnet) -> Subnet:
    """What is chosen at the points of a stage."""
    return tuple(chosen[point] for point in stage.points)


def norms(modules: Iterator[nn.Module]) -> list[nn.BatchNorm2d]:
    """The BatchNorms in some modules, each once."""
    every = dict.fromkeys(part for module in modules for part in module.modules())
    return [part for part in every if isinstance(part, nn.modules.batchnorm._BatchNorm)]


def remembering(modules: Iterator[nn.Module]) -> list[nn.BatchNorm2d]:
    """The BatchNorms in some modules that track statistics, each once."""
    return [norm for norm in norms(modules) if norm.track_running_stats]


def path_supernet(
    space: Space,
    classes: int,
    in_channels: int = 3,
    factors: Factors = Factors(),  # noqa: B008 (it is frozen)
) -> PathSupernet:
    """A fresh supernet of a space's paths, as the factors say."""
    match space:
        case ChainSpace():
            layers = zip(space.choices, space.layers, strict=True)
            stages = [ChoiceLayer(number, *layer, factors.affine) for number, layer in enumerate(layers)]
            parts = stem(space.stem, in_channels), stages, ChainTail(space, classes, factors.global_dropout)
        case Bench101Space():
            parts = graph_stem(space, in_channels, factors), graph_stages(space, factors)
            parts = *parts, graph_tail(space, classes, factors)
        case CellSpace():
            parts = cell_stem(space, in_channels, factors), cell_stages(space, factors)
            parts = *parts, cell_tail(space, classes, factors)
        case _:
            parts = bench_stem(space, in_channels, factors), bench_stages(space, factors)
            parts = *parts, bench_tail(space, classes, factors)
    supernet = PathSupernet(*parts)
    if not factors.track:
        for norm in norms([supernet]):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return supernet

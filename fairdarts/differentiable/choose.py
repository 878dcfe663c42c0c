"""The end of a search by its supernet: of networks drawn from the gates, the best by held-out accuracy.

SETN (arXiv:1910.05733) samples candidates by their probabilities and keeps that which its supernet judges best. Its
authors' code, in NAS-Bench-201, judges each by one batch of held-out images, and takes the likeliest 100 where it is
asked for 100; here so many are drawn, some of them perhaps twice, and all are judged by all held-out images.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fairdarts.data.serve import evaluation_batches
from fairdarts.data.sources import Source
from fairdarts.differentiable.derive import GateMatrices
from fairdarts.differentiable.learner import Batch, Learner
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.seed import PATHS, fold
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.cell_paths import input_pairs
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space


def best_drawn(
    learner: Learner, gates: GateMatrices, source: Source, held_out: list[int], device: torch.device
) -> tuple[SinglePath, float]:
    """The path that is chosen, of equal ones the first, and its accuracy on the held-out images in percent."""
    settings = learner.settings
    assert settings.choose is not None, "a search that chooses says how many it draws"
    generator = torch.Generator().manual_seed(fold(settings.seed, PATHS))
    paths = [drawn_path(gates, learner.supernet.space, generator) for _ in range(settings.choose.networks)]
    layout = LAYOUTS[settings.compute.layout]
    batches: Callable[[], Iterable[Batch]] = partial(
        evaluation_batches, source, settings.data, held_out, device, layout
    )
    accuracies = Evaluator(learner.supernet, batches, precision=settings.compute.precision)(paths)
    best = accuracies.index(max(accuracies))
    return paths[best], accuracies[best]


def drawn_path(gates: GateMatrices, space: Space, generator: torch.Generator) -> SinglePath:
    """A path whose choice is drawn at every point in proportion to its gates.

    A node of a cell reads two of its edges, drawn in proportion to their strongest gates, by which its derivation ranks
    them, too; `none` is never drawn there, as no genotype of cells has it.
    """
    return DRAWN[space.kind](gates, space, generator)


def _points(gates: GateMatrices, space: Space, generator: torch.Generator) -> SinglePath:
    """A choice of every point."""
    found = {}
    for name, part in space.parts.items():
        for point, row in zip(part.points, gates[name], strict=True):
            found[point] = _drawn(row, 1, generator)[0]
    return tuple(found[point] for point in range(len(found)))


def _cells(gates: GateMatrices, space: CellSpace, generator: torch.Generator) -> SinglePath:
    """The decisions of all cells: of every node its pair of inputs, and the operations of these two edges."""
    columns = [column for column, name in enumerate(space.candidates) if name != "none"]
    path: list[int] = []
    for part in space.parts:
        rows = {edge: row[columns] for edge, row in zip(space.edges, gates[part], strict=True)}
        for node in range(space.inputs, space.inputs + space.nodes):
            strongest = np.array([rows[node, source].max() for source in range(node)])
            first, second = sorted(_drawn(strongest, 2, generator))
            path.append(input_pairs(node).index((first, second)))
            path += [columns[_drawn(rows[node, source], 1, generator)[0]] for source in (first, second)]
    return tuple(path)


def _drawn(weights: np.ndarray, count: int, generator: torch.Generator) -> list[int]:
    """So many different numbers, in proportion to weights; those of weight zero where there are no others left."""
    shares: Tensor = torch.from_numpy(weights).clamp_min(torch.finfo(torch.float64).tiny)
    return torch.multinomial(shares, count, generator=generator).tolist()


DRAWN: dict[str, Callable[[GateMatrices, Any, torch.Generator], SinglePath]] = {
    "cell": _cells,
    "chain": _points,
    "nasbench201": _points,
}
"""kind of space → how a path is drawn from its gates"""

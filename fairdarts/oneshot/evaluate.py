"""How good a path is with the weights of the supernet: its accuracy on held-out images.

Paths that begin alike share what they have in common: a batch goes through the tree of the paths, every branch computed
once and forgotten before the next, so that no more than the activations of one path and one batch are held.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from fairdarts.oneshot.running_stats import running_stats
from fairdarts.oneshot.settings import Statistics
from fairdarts.runtime import distributed
from fairdarts.runtime.device import autocast
from fairdarts.spaces.gates import Gates, SinglePath, subnet
from fairdarts.supernet.supernet import Supernet, at, norms, tracked_norms

Batches = Callable[[], Iterable[tuple[Tensor, Tensor]]]
"""Gives (images [B, C, H, W], labels [B]) on the device, the same ones every time."""

Branch = Callable[[Hashable, Iterable[nn.Module], Callable[[], Tensor]], Tensor]
"""Computes a branch of the tree, of which it is told a name and the modules that run."""


class Evaluator:
    """Judges paths, each once; it leaves the supernet as it was.

    `held_out` are the images to judge by, `calibration` the training batches where `statistics` is a number of them.
    """

    def __init__(
        self,
        supernet: Supernet,
        held_out: Batches,
        statistics: Statistics = "tracked",
        calibration: Batches | None = None,
        precision: str = "auto",
    ):
        self.supernet, self.held_out, self.statistics = supernet, held_out, statistics
        self.calibration, self.precision = calibration, precision
        self.known: dict[SinglePath, float] = {}

    def __call__(self, paths: Iterable[SinglePath]) -> list[float]:
        """The accuracy of every path in percent. Several processes share out those that are not known yet.

        Raises UserError where an image cannot be read, as `distributed.together` does.
        """
        paths = list(paths)
        new = sorted(set(paths) - self.known.keys())  # in this order, those that share most stand together
        if new:
            self.known |= zip(new, self._judge(new), strict=True)
        return [self.known[path] for path in paths]

    def _judge(self, paths: Sequence[SinglePath]) -> list[float]:
        share = -(-len(paths) // distributed.ranks())
        begin = min(distributed.rank() * share, len(paths))
        part = paths[begin : begin + share]
        hits = torch.zeros(len(paths), dtype=torch.float64)
        with distributed.together(), _untouched(self.supernet), torch.no_grad():
            hits[begin : begin + len(part)] = self._accuracies(part)
        distributed.sum_([hits])
        return hits.tolist()

    def _accuracies(self, paths: Sequence[SinglePath]) -> Tensor:
        """In percent, [paths], on the CPU."""
        gates = {path: self.supernet.space.gates(subnet(path)) for path in paths}
        run, place = self._prepared(gates), {path: number for number, path in enumerate(paths)}
        hits: Any = 0
        images_seen = 0
        for images, labels in self.held_out():
            right = torch.zeros(len(paths), dtype=torch.int64, device=images.device)
            with autocast(images.device, self.precision):
                for path, logits in leaves(self.supernet, images, gates, run):
                    right[place[path]] = (logits.argmax(1) == labels).sum()
            hits, images_seen = hits + right, images_seen + len(images)
        return 100 * hits.cpu().double() / images_seen

    def _prepared(self, gates: Mapping[SinglePath, Gates]) -> Branch:
        """Makes the BatchNorms ready, and gives what computes a branch with them."""
        every = norms([self.supernet])
        self.supernet.eval()  # nothing is dropped
        for norm in every:  # what its running statistics take of a pass: all, or nothing
            norm.train(self.statistics != "tracked")
            norm.momentum = 0.0 if self.statistics == "batch" else 1.0
        if not isinstance(self.statistics, int):
            return lambda _name, _modules, compute: compute()
        kept: dict[Hashable, list[Tensor]] = {}
        if self.calibration is None:
            raise ValueError(f"statistics: {self.statistics}: so many batches need calibration, which gives them")
        batches = 0
        for images, _ in islice(self.calibration(), self.statistics):
            with autocast(images.device, self.precision):
                for _ in leaves(self.supernet, images, gates, _noting(kept)):
                    pass
            batches += 1
        for sums in kept.values():
            if sums:
                torch._foreach_div_(sums, batches)
        self.supernet.eval()
        return _recalling(kept)


def leaves(
    supernet: Supernet, images: Tensor, gates: Mapping[SinglePath, Gates], run: Branch
) -> Iterator[tuple[SinglePath, Tensor]]:
    """Every path with its logits [B, classes] for a batch, in the order of the tree; `gates` are the paths'."""
    depths = range(len(supernet.stages))
    read = [sorted({point for stage in supernet.stages[: depth + 1] for point in stage.points}) for depth in depths]

    def walk(depth: int, x: Any, group: Sequence[SinglePath]) -> Iterator[tuple[SinglePath, Tensor]]:
        if depth == len(supernet.stages):
            logits = run(("tail", gates[group[0]]), [supernet.tail], lambda: supernet.tail(x))
            yield from ((path, logits) for path in group)  # several where they are the same network
            return
        stage = supernet.stages[depth]
        branches: dict[Gates, list[SinglePath]] = {}
        for path in group:
            branches.setdefault(at(stage, gates[path]), []).append(path)
        for opened, branch in branches.items():
            name = depth, tuple(gates[branch[0]][point] for point in read[depth])
            grown = run(name, stage.active(opened), partial(stage, x, opened))
            yield from walk(depth + 1, grown, branch)

    yield from walk(0, run("stem", [supernet.stem], lambda: supernet.stem(images)), [*gates])


def _noting(kept: dict[Hashable, list[Tensor]]) -> Branch:
    """Adds up the running statistics of a branch's BatchNorms."""

    def run(name: Hashable, modules: Iterable[nn.Module], compute: Callable[[], Tensor]) -> Tensor:
        out = compute()
        buffers = [buffer for norm in tracked_norms(modules) for buffer in running_stats(norm)]
        if name not in kept:
            kept[name] = [buffer.clone() for buffer in buffers]
        elif buffers:
            torch._foreach_add_(kept[name], buffers)
        return out

    return run


def _recalling(kept: dict[Hashable, list[Tensor]]) -> Branch:
    """Puts back the running statistics that a branch's BatchNorms should have."""

    def run(name: Hashable, modules: Iterable[nn.Module], compute: Callable[[], Tensor]) -> Tensor:
        buffers = [buffer for norm in tracked_norms(modules) for buffer in running_stats(norm)]
        for buffer, known in zip(buffers, kept[name], strict=True):
            buffer.copy_(known)
        return compute()

    return run


@contextmanager
def _untouched(supernet: Supernet) -> Iterator[None]:
    """Within it, modes and BatchNorms may be changed; afterwards they are as before."""
    training = supernet.training
    before = [(norm, norm.momentum, [buffer.clone() for buffer in norm.buffers()]) for norm in norms([supernet])]
    try:
        yield
    finally:
        supernet.train(training)
        for norm, momentum, buffers in before:
            norm.momentum = momentum
            for buffer, value in zip(norm.buffers(), buffers, strict=True):
                buffer.copy_(value)

#!/usr/bin/env python3
"""What does the finite difference of second-order DARTS compute, against the exact correction, along a search?

    python benchmarks/second_order.py --root cifar-8000 --out benchmarks/results/second-order-nasbench201-small.json
    python benchmarks/second_order.py --root cifar-8000 --size s1-small --at 0 20

A search of its recipe takes its own steps (by the finite difference, as DARTS' do). Before the steps that are asked
for, copies of what the step starts from, one for every precision, measure on the step's two batches, so that the search
goes on as if nobody had looked. `fairdarts/differentiable/unrolled.py` has the formulas.

- `differences`: the finite difference at ε = length / ‖v‖, DARTS' length 0.01 and smaller ones. `cosine` and `ratio`
  (of norms) are with `exact`, the correction by differentiating twice in the last precision; `error` is the norm of
  what separates the two, as a share of the exact one's: a correction that is left out has 1.
- `size`: ξ · s · ‖correction‖ / ‖∇α L_val(w)‖, against the gradient of first order.
- `gradient_cosine` and `gradient_error`: of the whole gradient of α with the whole exact one; `first_cosine` with that
  of first order. `uncorrected` is ∇α L_val(w'), which leaves only the correction out.
- `switched`: the share of the inputs of ReLUs that are positive at one of w + εv and w − εv, and not at the other.
- `moved`: the correction once more, without any derivative: every α is moved by ± its learning rate, as far as a step
  of Adam does, one step is trained from there, and the held-out loss asked for. What this difference of losses and
  ∇α L_val(w') leave of each other is compared with every correction.
"""

import argparse
import copy
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from circumstances import circumstances
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.data.sources import open_source
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.learner import Batch, Learner, StepIndex
from fairdarts.differentiable.loop import learning_rate
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner, open_batches
from fairdarts.differentiable.unrolled import (
    EPSILON,
    Tensors,
    exact,
    finite_difference,
    frozen,
    slope,
    unrolled,
    weights_at,
)
from fairdarts.reading import read_yaml
from fairdarts.relaxation import dense, relax
from fairdarts.runtime.device import keep_memory, use_threads
from fairdarts.spaces.space import load_space


class Size(NamedTuple):
    recipe: str
    cells: int
    """of a stage, where there are stages"""
    channels: int
    image: int


SIZES = {
    "nasbench201-small": Size("darts-second-order-nasbench201", 1, 8, 16),
    "nasbench201": Size("darts-second-order-nasbench201", 5, 16, 32),
    "s1-small": Size("darts-second-order-s1-cifar10", 5, 8, 16),
    "s1": Size("darts-second-order-s1-cifar10", 8, 16, 32),
}
LENGTHS = tuple(EPSILON * 10.0**-power for power in range(5))
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


class Signs(TorchDispatchMode):
    """While entered, keeps which inputs of every ReLU are positive, in the order in which they run."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if function in (torch.ops.aten.relu.default, torch.ops.aten.relu_.default):
            self.seen.append(out > 0)
        return out


def settings_of(size: Size, own: dict[str, str]) -> SearchSettings:
    path = resources.find("recipes", size.recipe)
    sizes = {"supernet.cells": str(size.cells), "supernet.channels": str(size.channels)}
    return check(SearchSettings, read_yaml(path), path, sizes | own)


def copy_in(learner: Learner, dtype: torch.dtype) -> Learner:
    """A learner of its own that starts from the same numbers, in another precision."""
    twin = copy.deepcopy(learner)
    twin.supernet.to(dtype)
    for alpha in twin.alphas.values():
        alpha.data = alpha.data.to(dtype)
    for state in twin.weight_optimizer.state.values():
        state["momentum_buffer"] = state["momentum_buffer"].to(dtype)
    return twin


def loss_of(learner: Learner, batch: Batch) -> Tensor:
    gates = dense(relax(learner.alphas, learner.settings.relaxation), learner.supernet.space)
    return F.cross_entropy(learner.supernet(batch[0], gates), batch[1])


def flat(tensors: Tensors) -> Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors]).double()


def cosine(one: Tensor, other: Tensor) -> float:
    return F.cosine_similarity(one, other, dim=0).item()


def error(one: Tensor, right: Tensor) -> float:
    return ((one - right).norm() / right.norm()).item()


def next_weights(learner: Learner, train: Batch) -> Tensors:
    gradients = torch.autograd.grad(loss_of(learner, train), learner.weights)
    return unrolled(learner.weights, gradients, learner.weight_optimizer)


def switched(loss: Callable[[], Tensor], weights: Tensors, v: Tensors, length: float) -> float:
    """The share of ReLU inputs that change their sign between w + εv and w − εv, ε = length / ‖v‖."""
    epsilon, signs = length / flat(v).norm().item(), []
    for side in (epsilon, -epsilon):
        moved = torch._foreach_add([weight.detach() for weight in weights], v, alpha=side)
        with weights_at(weights, moved), torch.no_grad(), Signs() as watched:
            loss()
        signs.append(watched.seen)
    pairs = list(zip(*signs, strict=True))
    return sum(int((one != other).sum()) for one, other in pairs) / sum(one.numel() for one, _ in pairs)


class Taken(NamedTuple):
    """What one precision finds on one pair of batches, flat vectors of all α in float64."""

    first: Tensor
    """∇α L_val(w)"""
    uncorrected: Tensor
    """∇α L_val(w')"""
    v: Tensors
    """∇w' L_val(w'), a tensor for every weight"""
    slope: float
    exact: Tensor
    differences: dict[float, Tensor]
    """length → finite difference"""


def taken(learner: Learner, train: Batch, valid: Batch, lengths: Sequence[float]) -> Taken:
    """All gradients and corrections of a step, from a learner whose BatchNorm statistics may be spoilt."""
    alphas, weights, loss = list(learner.alphas.values()), learner.weights, partial(loss_of, learner, train)
    with frozen(weights):
        first = torch.autograd.grad(loss_of(learner, valid), alphas)
    with weights_at(weights, next_weights(learner, train)):
        both = torch.autograd.grad(loss_of(learner, valid), [*alphas, *weights])
    uncorrected, v = both[: len(alphas)], both[len(alphas) :]
    differences = {length: flat(finite_difference(loss, weights, alphas, v, length)) for length in lengths}
    right = flat(exact(loss, weights, alphas, v))
    return Taken(flat(first), flat(uncorrected), v, slope(learner.weight_optimizer), right, differences)


def moved(learner: Learner, train: Batch, valid: Batch, by: float) -> Tensor:
    """The gradient of the held-out loss after one more training step, by moving every α by ± `by`."""
    found = []
    for alpha in learner.alphas.values():
        for entry in alpha.data.view(-1):  # views, so that what is written is α's
            here, losses = entry.item(), []
            for side in (by, -by):
                entry.fill_(here + side)
                with weights_at(learner.weights, next_weights(learner, train)), torch.no_grad():
                    losses.append(loss_of(learner, valid).item())
            entry.fill_(here)
            found.append((losses[0] - losses[1]) / (2 * by))
    return torch.tensor(found, dtype=torch.float64)


def measure(
    learner: Learner, train: Batch, valid: Batch, precisions: list[str], lengths: Sequence[float], move: bool
) -> dict[str, Any]:
    """What every precision finds before a step, against the exact correction of the last one."""
    cast = {name: [(images.to(PRECISIONS[name]), labels) for images, labels in (train, valid)] for name in precisions}
    copies = {name: copy_in(learner, PRECISIONS[name]) for name in precisions}
    found = {name: taken(copies[name], *cast[name], lengths) for name in precisions}
    finest, loss = copies[precisions[-1]], partial(loss_of, copies[precisions[-1]], cast[precisions[-1]][0])
    best = found[precisions[-1]]
    right, gradient = best.exact, best.uncorrected - best.slope * best.exact

    def told(own: Taken, correction: Tensor) -> dict[str, float]:
        whole = own.uncorrected - own.slope * correction
        return {
            "cosine": cosine(correction, right),
            "ratio": (correction.norm() / right.norm()).item(),
            "error": error(correction, right),
            "size": (own.slope * correction.norm() / own.first.norm()).item(),
            "gradient_cosine": cosine(whole, gradient),
            "gradient_error": error(whole, gradient),
            "first_cosine": cosine(whole, own.first),
        }

    point: dict[str, Any] = {
        name: {
            "exact": told(own, own.exact),
            "differences": {f"{length:g}": told(own, vector) for length, vector in own.differences.items()},
        }
        for name, own in found.items()
    }
    point["switched"] = {f"{length:g}": switched(loss, finest.weights, best.v, length) for length in lengths}
    for name in ("first", "uncorrected"):
        vector = getattr(best, name)
        point[name] = {"gradient_cosine": cosine(vector, gradient), "gradient_error": error(vector, gradient)}
    if move:
        by = learner.settings.architect.lr
        left = (best.uncorrected - moved(finest, *cast[precisions[-1]], by)) / best.slope
        held = {"exact": right, **{f"{length:g}": own for length, own in best.differences.items()}}
        point["moved"] = {
            "by": by,
            "size": (best.slope * left.norm() / best.first.norm()).item(),
            "correction_cosine": {name: cosine(own, left) for name, own in held.items()},
            "correction_error": {name: error(own, left) for name, own in held.items()},
        }
    return point


def steps_of(settings: SearchSettings) -> Iterator[tuple[Learner, Batch, Batch, StepIndex, float]]:
    """The search: before every step its learner, batches, index, and how many epochs are behind it; then the step."""
    source, device = open_source(settings.data), torch.device("cpu")
    space = load_space(settings.space)
    halves = check_fit(settings, space, source)
    learner, steps = make_learner(settings, space, source, device), len(halves[0]) // settings.data.batch_size
    train, valid, _ = open_batches(settings, source, halves, device, 0, 0)
    learner.supernet.train()
    for number in range(settings.epochs * steps):
        at = StepIndex(number // steps, number)
        for group in learner.weight_optimizer.param_groups:
            group["lr"] = learning_rate(at.epoch, settings.epochs, settings.weights.lr, settings.weights.lr_min)
        batches = next(train), next(valid)
        yield learner, *batches, at, number / steps
        STEPS[settings.architect.kind](learner, *batches, at)


def rounded(value: Any) -> Any:
    """Numbers of a result with six digits."""
    if isinstance(value, dict):
        return {key: rounded(own) for key, own in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="class folders of images")
    parser.add_argument("--size", choices=sorted(SIZES), default="nasbench201-small")
    parser.add_argument("--cells", type=int, help="other than the size's")
    parser.add_argument("--image", type=int, help="other than the size's")
    parser.add_argument("--batch", type=int, default=64, help="images of each of a step's two batches")
    parser.add_argument("--at", type=int, nargs="+", default=[0, 10, 31, 62, 124, 248], help="before which steps")
    parser.add_argument("--moved", type=int, nargs="+", default=[], help="before which of them every α is moved: slow")
    parser.add_argument("--lengths", type=float, nargs="+", default=LENGTHS, help="ε · ‖v‖")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file, written after every point; default: standard output")
    args = parser.parse_args()

    use_threads(1)
    keep_memory()
    size = SIZES[args.size]
    size = size._replace(cells=args.cells or size.cells, image=args.image or size.image)
    own = {"seed": str(args.seed), "data.batch_size": str(args.batch), "data.workers": "0"}
    own |= {"data.kind": "folder", "data.root": args.root, "data.image_size": str(size.image)}
    points: list[dict[str, Any]] = []
    result = {**circumstances("cpu"), **size._asdict(), "batch": args.batch, "seed": args.seed, "points": points}
    for learner, train, valid, at, epoch in steps_of(settings_of(size, own)):
        if at.step in args.at:
            point = measure(learner, train, valid, args.precisions, args.lengths, at.step in args.moved)
            points.append(rounded({"step": at.step, "epoch": epoch, **point}))
            result["cpu_seconds"] = round(time.process_time())
            result["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            if args.out:
                args.out.write_text(text(result))
            print(f"step {at.step}: {result['cpu_seconds']} s of CPU", file=sys.stderr)
        if at.step == max(args.at):
            break
    if not args.out:
        print(text(result), end="")


def text(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=1) + "\n"


if __name__ == "__main__":
    main()

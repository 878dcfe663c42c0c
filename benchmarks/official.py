#!/usr/bin/env python3
"""Is the library's FairDARTS step the authors' own, and what do both take? Against your clone of their repository.

    git clone https://github.com/xiaomi-automl/FairDARTS        # has no licence: it stays yours, and apart
    python benchmarks/official.py FairDARTS --threads 1 --out benchmarks/results/official-cpu-1-thread.json

The clone is imported, so it is executed, from the path that you give; nothing in it is changed. Its search (folder
`fairdarts`) was written for one GPU: here, on the CPU, `.cuda()` leaves tensors and modules where they are. Network,
loss and architect are the authors', and make the step of S1 as their `train_search.py` does: `Architect.step` on
held-out images, then the weights by the criterion's first value, clipped. That file itself cannot be run, as it reads
the command line and makes folders when imported.

Both hold the same numbers: weights and buffers are copied in the order in which both define their modules (stem; of
every cell what preprocesses its two inputs, then edge by edge and operation by operation; classifier), and last names
and shapes must agree one by one. Rows of α are edges in both, columns the operations of `genotypes.PRIMITIVES`, which
must be those of S1 in their order.

First some steps of both in float64 must end within 1e-10 of each other in α, weights and BatchNorm buffers (as a share
of the largest number of a tensor, where that is above 1). Then, by turns and each in a process of its own: the official
step as it is, the official step in channels_last, and the library's with every `compute.memory`. In processes of their
own also because the authors' 1×1 convolutions have a stride, and those may damage memory on the CPU
(fairdarts/ops/cell.py). `ratio_quartiles` are of official / library, round by round, `ratio_channels_last_quartiles` of
official in channels_last / library; `saved` and `peak` are those of search_step.py, as shares of the official step's.
`files` tells which state of the authors' files was run: their SHA-256, one after the other, shortened.
"""

import argparse
import hashlib
import importlib
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from apart import line_of
from circumstances import circumstances
from measured import Server, add_options, by_turns, give, largest, ratios, serve
from search_step import (
    BOTH,
    MEMORY,
    Batch,
    apart,
    batch,
    grown,
    in_channels_last,
    learner_of,
    library_step,
    saved,
    settings_of,
)
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.differentiable.learner import Learner
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.relaxation import dense, relax
from fairdarts.spaces.space import load_space

RECIPE, SPACE = "fairdarts-s1-cifar10", "s1"
REPOSITORY = "https://github.com/xiaomi-automl/FairDARTS"
MODULES = ("auto_augment", "utils", "genotypes", "operations", "model_search", "architect", "separate_loss")
"""files of its folder `fairdarts` that a step needs; each imports some of those before it"""
OFFICIAL = ("official", "official channels_last")
LIBRARY = ("none", "recompute", "checkpoint")
COMPARED = {"images": 4, "size": 32}
CPU = torch.device("cpu")

Take = Callable[[Batch, Batch], object]


class Checkout(NamedTuple):
    """What a clone of the authors' repository has."""

    network: Callable[..., nn.Module]
    architect: Callable[..., Any]
    loss: Callable[..., nn.Module]
    files: str


def load(path: Path) -> Checkout:
    """The authors' classes. UserError where a path is no clone of their repository, or does not run here.

    Their modules have common names, so the interpreter forgets them again.
    """
    folder = path / "fairdarts"
    for name in MODULES:
        if not (folder / f"{name}.py").is_file():
            raise UserError(f"{path}: should be a clone of {REPOSITORY}: it has no fairdarts/{name}.py")
    text = b"".join((folder / f"{name}.py").read_bytes() for name in MODULES)
    kept, writes = {name: sys.modules.pop(name, None) for name in MODULES}, sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        code = {name: importlib.import_module(name) for name in MODULES}
        found = Checkout(
            code["model_search"].Network,
            code["architect"].Architect,
            code["separate_loss"].ConvSeparateLoss,
            hashlib.sha256(text).hexdigest()[:16],
        )
        operations = tuple(map(str, code["genotypes"].PRIMITIVES))
    except Exception as error:  # whatever their code does
        raise UserError(f"{folder}: {line_of(error)}; should run as {REPOSITORY} does") from None
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = writes
        for name, module in kept.items():
            sys.modules.pop(name, None)
            sys.modules.update({name: module} if module else {})
    if operations != (own := load_space(SPACE).candidates):
        raise UserError(f"{folder / 'genotypes.py'}: PRIMITIVES: {', '.join(operations)}: should be {', '.join(own)}")
    # Gates are held against the scalar 0.5, which is meant to be spread.
    warnings.filterwarnings("ignore", message="Using a target size", category=UserWarning)
    return found


@contextmanager
def without_cuda() -> Iterator[None]:
    """While entered, `.cuda()` leaves tensors and modules where they are."""
    kept = [(kind, kind.cuda) for kind in (Tensor, nn.Module)]
    for kind, _ in kept:
        kind.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        for kind, method in kept:
            kind.cuda = method  # type: ignore[method-assign]


class OfficialStep:
    """The authors' first-order step: α on the held-out batch, then the weights on the training batch."""

    def __init__(self, checkout: Checkout, settings: SearchSettings):
        weights, architect = settings.weights, settings.architect
        loss = checkout.loss(weight=settings.zero_one.weight)
        size = settings.supernet
        self.network = checkout.network(size.channels, 10, size.cells, loss)
        words = {"momentum": weights.momentum, "weight_decay": weights.weight_decay}
        words |= {"arch_learning_rate": architect.lr, "arch_weight_decay": architect.weight_decay}
        self.architect = checkout.architect(self.network, SimpleNamespace(arch_lr_gamma=architect.betas[0], **words))
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), weights.lr, momentum=weights.momentum, weight_decay=weights.weight_decay
        )
        self.criterion, self.clip = loss, weights.clip

    def loss(self, one: Batch) -> Tensor:
        gates = torch.cat([alpha.sigmoid() for alpha in self.network.arch_parameters()])
        return self.criterion(self.network(one[0]), one[1], gates)[0]

    def __call__(self, train: Batch, valid: Batch) -> None:
        self.architect.step(*valid)
        self.optimizer.zero_grad()
        self.loss(train).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()


def pairs(learner: Learner, official: OfficialStep) -> list[tuple[Tensor, Tensor]]:
    """What is the same in both, the library's first: weights, buffers and α. UserError where the modules differ."""
    own, theirs = learner.supernet.state_dict(), official.network.state_dict()
    if len(own) != len(theirs):
        raise UserError(f"model_search.Network: has {len(theirs)} tensors: should have {len(own)}, as the library's")
    for (name, one), (other, two) in zip(own.items(), theirs.items(), strict=True):
        if one.shape != two.shape or name.rpartition(".")[2] != other.rpartition(".")[2]:
            told = f"{other} {list(two.shape)}: should be as the library's {name} {list(one.shape)}"
            raise UserError(f"model_search.Network: {told}")
    alphas = zip((learner.alphas["normal"], learner.alphas["reduce"]), official.network.arch_parameters(), strict=True)
    return [*zip(own.values(), theirs.values(), strict=True), *((one.detach(), two.detach()) for one, two in alphas)]


def both(checkout: Checkout, args: argparse.Namespace, memory: str, dtype: torch.dtype) -> tuple[Learner, OfficialStep]:
    """The library's step and the authors', with the same numbers. α is normal: from zero, as in the recipe, the
    zero-one loss would push nothing at first."""
    settings = settings_of(RECIPE, SPACE, (args.cells, args.channels), {MEMORY: memory})
    learner = learner_of(settings, dtype, CPU)
    torch.set_default_dtype(dtype)
    official = OfficialStep(checkout, settings)
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for alpha in learner.alphas.values():
            alpha.normal_(generator=torch.Generator().manual_seed(0))
        for own, theirs in pairs(learner, official):
            theirs.copy_(own)
    learner.supernet.train()
    official.network.train()
    return learner, official


def difference(checkout: Checkout, args: argparse.Namespace) -> float:
    """The largest one between the two after some steps in float64."""
    generator = torch.Generator().manual_seed(0)
    learner, official = both(checkout, args, "none", torch.float64)
    for _ in range(args.compared):
        one = [batch(COMPARED["images"], COMPARED["size"], torch.float64, CPU, generator) for _ in range(2)]
        official(*one)
        library_step(learner, *one)
    return largest(apart(theirs.double(), own.double()) for own, theirs in pairs(learner, official))


def take_of(name: str, checkout: Checkout, args: argparse.Namespace) -> Take:
    """The step of a way."""
    learner, official = both(checkout, args, name if name in LIBRARY else "none", torch.float32)
    if name in LIBRARY:
        return lambda train, valid: library_step(learner, train, valid)
    if name == "official":
        return official
    official.network.to(memory_format=torch.channels_last)
    return lambda *pair: official(*map(in_channels_last, pair))


def step_when_asked(name: str, checkout: Checkout, args: argparse.Namespace) -> None:
    """Serves the steps of a way, all of the same two batches."""
    generator, take = torch.Generator().manual_seed(0), take_of(name, checkout, args)
    train, valid = (batch(args.batch, args.image, torch.float32, CPU, generator) for _ in range(2))
    serve(lambda: take(train, valid), CPU)


def kept_by(name: str, checkout: Checkout, args: argparse.Namespace) -> int:
    """Bytes that a forward pass keeps for the backward pass."""
    train = batch(args.batch, args.image, torch.float32, CPU, torch.Generator().manual_seed(0))
    learner, official = both(checkout, args, name if name in LIBRARY else "none", torch.float32)
    if name in LIBRARY:
        images, _ = in_channels_last(train)
        gates = dense(relax(learner.alphas, "sigmoid"), learner.supernet.space)
        return saved(lambda: learner.supernet(images, gates), learner.supernet)
    if name == "official channels_last":
        train = in_channels_last(train)
        official.network.to(memory_format=torch.channels_last)
    return saved(lambda: official.loss(train), official.network)


def words_of(args: argparse.Namespace) -> list[str]:
    """The words by which this program measures in another process what it measures here."""
    keys = ("threads", "batch", "image", "cells", "channels")
    return [str(args.checkout), *(word for key in keys for word in (f"--{key}", str(getattr(args, key))))]


def measure(checkout: Checkout, args: argparse.Namespace) -> dict[str, object]:
    found = difference(checkout, args)
    if not found < 1e-10:
        raise SystemExit(f"the two steps do not agree: {found:.1e} after {args.compared} steps in float64")
    names = (*OFFICIAL, *LIBRARY)
    servers = {name: Server(__file__, ["--serve", name, *words_of(args)]) for name in names}
    times, first = by_turns(servers, args.pairs)

    def peak(name: str) -> int:
        words = [sys.executable, __file__, "--grow", name, *words_of(args)]
        return int(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)

    kept, peaks = ({name: of(name) for name in names} for of in (lambda name: kept_by(name, checkout, args), peak))
    table = {
        name: {
            "seconds": round(statistics.median(own), 4),
            "first_seconds": round(first[name], 2),
            "images_per_second": round(2 * args.batch / statistics.median(own), 1),
            **ratios(own, times["official"], times["official channels_last"]),
            "saved": round(kept[name] / kept["official"], 3),
            "peak": round(peaks[name] / peaks["official"], 3),
        }
        for name, own in times.items()
    }
    return {
        **circumstances("cpu"),
        "files": checkout.files,
        **{key: getattr(args, key) for key in ("threads", "batch", "image", "cells", "channels", "pairs", "compared")},
        "difference_float64": found,
        "official_saved_mib": round(kept["official"] / 2**20),
        "official_peak_mib": round(peaks["official"] / 2**20),
        "steps": table,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help=f"clone of {REPOSITORY}")
    add_options(parser, 16, BOTH)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16, help="of the first cells")
    parser.add_argument("--compared", type=int, default=10, help="steps that are compared in float64")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--grow", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        with without_cuda():
            checkout = load(args.checkout)
            if args.serve:
                step_when_asked(args.serve, checkout, args)
            elif args.grow:
                args.device = "cpu"
                print(grown(take_of(args.grow, checkout, args), args, 2))
            else:
                give(measure(checkout, args), args.out)
    except UserError as error:
        print(f"official.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

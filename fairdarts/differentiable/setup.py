"""What a search starts with: supernet, α and optimizers, and the images; and whether all of it fits together."""

from collections.abc import Generator
from typing import Any

import torch
from torch import nn

from fairdarts.config import UserError, nearest
from fairdarts.cost.counted import Counted
from fairdarts.data.balance import class_weights
from fairdarts.data.serve import server
from fairdarts.data.sources import Source
from fairdarts.data.split import halves as halves_of
from fairdarts.differentiable.choose import DRAWN
from fairdarts.differentiable.derive import check_kind, check_rule
from fairdarts.differentiable.edges import check_edges, initial_betas
from fairdarts.differentiable.freezing import make_freezing
from fairdarts.differentiable.learner import Batch, Learner
from fairdarts.differentiable.price import make_price
from fairdarts.differentiable.progression import check_progression
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.stages import held_out_batches, stages_of
from fairdarts.genotype import SKIP
from fairdarts.ops.fast import with_fast_gradients
from fairdarts.relaxation import initial_alphas
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, pick
from fairdarts.runtime.seed import ALPHAS, BETAS, CURVATURE, TRAIN, VALID, WEIGHTS, fold
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space
from fairdarts.supernet.settings import check_supernet
from fairdarts.supernet.supernet import Supernet, make_supernet


def make_learner(
    settings: SearchSettings,
    space: Space,
    source: Source,
    device: torch.device,
    costs: Counted | None = None,
    steps: int = 1,
    stage: int = 0,
) -> Learner:
    """A fresh supernet, α and both optimizers, decided by the seed and the number of the stage alone.

    Where the settings ask for a cost, `costs` and the `steps` of an epoch are needed.
    """
    settings, later = stages_of(settings)[stage].settings, (stage,) if stage else ()
    torch.manual_seed(fold(settings.seed, WEIGHTS, *later))
    sizes = len(source.classes), len(source.mean)
    made = make_supernet(space, *sizes, settings.supernet, settings.compute.memory)
    # torch's stubs know no memory_format with a device
    moved = made.to(device, memory_format=LAYOUTS[settings.compute.layout])  # type: ignore[call-overload]
    supernet: Supernet = with_fast_gradients(moved)
    if settings.compute.batch_norm == "synchronized":
        supernet = nn.SyncBatchNorm.convert_sync_batchnorm(supernet)
    generator = torch.Generator().manual_seed(fold(settings.seed, ALPHAS, *later))
    drawn = initial_alphas(space, settings.architect.initial_std, generator)
    if settings.edges:
        generator = torch.Generator().manual_seed(fold(settings.seed, BETAS, *later))
        drawn |= initial_betas(space, settings.architect.initial_std, generator)
    alphas = {part: alpha.to(device).requires_grad_() for part, alpha in drawn.items()}
    if settings.compute.compile != "none":
        if later:
            torch._dynamo.reset()  # the graphs of the stage before would count against the limit
        torch._dynamo.config.recompile_limit = 4 * len(supernet.stages)  # two graphs a stage; eager beyond the limit
        for cell in supernet.stages:
            cell.compile(mode=settings.compute.compile, dynamic=False)
    weights, architect = settings.weights, settings.architect
    quick = {"fused": True} if device.type == "cuda" else {"foreach": True}
    options: dict[str, Any] = {"weight_decay": weights.weight_decay, "nesterov": weights.nesterov, **quick}
    weight_optimizer = torch.optim.SGD(supernet.parameters(), weights.lr, weights.momentum, **options)
    alpha_optimizer: torch.optim.Optimizer = torch.optim.SGD(alphas.values(), architect.lr)
    if architect.optimizer == "adam":
        options = {"betas": architect.betas, "weight_decay": architect.weight_decay, **quick}
        alpha_optimizer = torch.optim.Adam(alphas.values(), architect.lr, **options)
    price = None
    if settings.cost:
        assert costs is not None, "a search that asks for a cost is told them"
        like = next(iter(alphas.values()))
        price = make_price(settings.cost, settings.derive, costs.table, space, like, steps)
    counts = class_weights(settings.data, source, settings.seed)
    counts = None if counts is None else counts.to(device)
    own = settings.freezing
    freezing = make_freezing(own, supernet, [*supernet.parameters()]) if own else None
    optimizers = weight_optimizer, alpha_optimizer
    return Learner(settings, supernet, alphas, *optimizers, price, counts, freezing=freezing, stage=stage)


def check_fit(settings: SearchSettings, space: Space, source: Source) -> tuple[list[int], list[int]]:
    """The indices of training and held-out images. Raises UserError where settings, machine and data do not fit."""
    check_kind(space, f"space: {space.name}")
    for key, plain in (("compile", "none"), ("batch_norm", "averaged")):
        value = getattr(settings.compute, key)
        if pick(settings.device).type == "cpu" and value != plain:
            raise UserError(f"compute.{key}: {value}: is for CUDA; on the CPU it should be {plain}")
    lower = settings.compute.precision == "bfloat16" or pick(settings.device).type != "cpu"
    if settings.compute.memory == "recompute" and lower:
        raise UserError("compute.memory: recompute: is for float32 on the CPU; elsewhere it should be checkpoint")
    check_composed(settings, space)
    size = settings.data.batch_size
    distributed.check_shares(size, settings.compute.accumulate)
    halves = halves_of(settings.data, source, settings.seed)
    alone = settings.architect.kind == "single_level" and not settings.measures_curvature
    smallest = len(halves[0]) if alone else min(map(len, halves))
    if smallest < 2:
        few = f"{len(source.dataset)} images are too few: at least 2 should train, and as many be held out"
        raise UserError(f"data: {few if not alone else f'{smallest} images train the weights; should be 2 or more'}")
    if size > smallest:
        has = f"should be at most {smallest}, the images that train the weights or the architecture"
        raise UserError(f"data.batch_size: {size}: {has}")
    return halves


def check_composed(settings: SearchSettings, space: Space) -> None:
    """Raises UserError where the space does not have or allow what the settings ask for."""
    names = {name for part in space.parts.values() for name in part.candidates}
    if settings.stopping.kind == "skips" and SKIP not in names:
        raise UserError(f"stopping.kind: skips: space {space.name} has no skip connections to stop at")
    if settings.auxiliary and SKIP not in names:
        raise UserError(f"auxiliary: space {space.name} has no skip connections; set auxiliary null")
    if settings.choose and space.kind not in DRAWN:
        raise UserError(f"choose: space {space.name} is of kind {space.kind}, of which no paths are drawn from gates")
    check_rule(settings.derive, space, "derive.")
    check_supernet(settings.supernet, space)
    check_edges(settings, space)
    stages = check_progression(settings, space)
    if settings.supernet.draws and (settings.architect.kind == "second_order" or settings.measures_curvature):
        what = "curvature" if settings.measures_curvature else "architect.kind: second_order"
        drawn = "draws anew in every pass, so that what is measured would be the draws"
        raise UserError(f"{what}: the supernet's dropout {drawn}; set supernet.path_dropout and global_dropout 0")
    for cells in dict.fromkeys(stage.settings.supernet.cells for stage in stages):
        if isinstance(space, CellSpace) and cells and len(space.reduction_cells(cells)) == cells:
            raise UserError(f"supernet.cells: {cells}: all of them are reduction cells in {space.name}; should be more")
    for section in ("noise", "dropout"):
        for name in getattr(getattr(settings, section), "operations", ()):
            if name not in names:
                near = nearest(name, names)
                raise UserError(f"{section}.operations: '{name}' is not an operation of space {space.name}{near}")


def open_batches(
    settings: SearchSettings,
    source: Source,
    halves: tuple[list[int], list[int]],
    device: torch.device,
    step: int,
    epoch: int,
) -> list[Generator[Batch, None, None]]:
    """Endless batches on the device, of each this process's share, to be closed: for the weights and for α, from a step
    of the search on; for the curvature, from an epoch on. The batches for α begin behind `architect.warmup`, and wait
    while a later stage warms up."""
    shard = (distributed.rank(), distributed.ranks())
    serve = server(source, settings.data, device, LAYOUTS[settings.compute.layout], shard)
    train, valid = halves
    steps = len(train) // settings.data.batch_size
    seen = settings.architect.warmup * steps + held_out_batches(settings, step, steps)
    streams = (train, TRAIN, step), (valid, VALID, seen), (valid, CURVATURE, epoch)
    return [serve(indices=half, seed=fold(settings.seed, name), start=start) for half, name, start in streams]

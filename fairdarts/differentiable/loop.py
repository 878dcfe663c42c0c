"""The differentiable search, from settings to a genotype."""

import math
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from fairdarts.config import Notice
from fairdarts.cost.counted import Counted
from fairdarts.data.serve import check_alike, keep_held_out
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint
from fairdarts.differentiable.architect import STEPS, SUMS, warm_up
from fairdarts.differentiable.choose import best_drawn
from fairdarts.differentiable.curvature import held_out_curvature
from fairdarts.differentiable.derive import METHODS, as_matrices, check_records, derive, dominant
from fairdarts.differentiable.edges import edge_shares
from fairdarts.differentiable.gates import living, recorded, relaxed
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.penalties import record as penalty_record
from fairdarts.differentiable.progression import advanced, with_alive
from fairdarts.differentiable.settings import MAY_CHANGE, SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner, open_batches
from fairdarts.differentiable.stages import stage_at, trains_on_held_out
from fairdarts.differentiable.state import put_back, state_of
from fairdarts.differentiable.stopping import kept_record, verdict
from fairdarts.genotype import Genotype
from fairdarts.native.calls import use_native
from fairdarts.relaxation import Matrices
from fairdarts.runtime import distributed
from fairdarts.runtime.device import keep_memory, pick, use_threads
from fairdarts.runtime.epochs import begin, check_converging, check_processes, epochs, means_of, resumes, save
from fairdarts.runtime.finite import all_finite
from fairdarts.runtime.position import Position, identity_of
from fairdarts.runtime.resume import common_state, restored
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.seed import DROPS, fold
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.space import Space


class Observer(Protocol):
    """Who watches a search; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor, alphas: Matrices) -> None:
        """After every step: epoch and step count from 1, `sums` are SUMS over the epoch's steps so far."""

    def epoch(self, record: dict[str, Any]) -> None:
        """After every epoch: its record, as metrics.jsonl holds it."""


def learning_rate(epoch: int, epochs: int, lr: float, lr_min: float) -> float:
    """The cosine schedule: lr at epoch 0, lr_min at `epochs`."""
    return lr_min + (lr - lr_min) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def search(
    settings: SearchSettings,
    space: Space,
    source: Source,
    run: RunDirectory,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
    about: Callable[[Genotype], dict[str, Any]] | None = None,
    costs: Counted | None = None,
) -> Genotype:
    """Search from the start, or (resume) from the run's last checkpoint, to the final genotype.

    Every record holds what is known `about` the genotype that would be derived then; nothing learns from it. Where the
    settings ask for a cost, `costs` tell what networks cost, and every record what is expected and what is derived.
    Several processes take every step together, and the first one writes.
    Raises Interrupted once a signal stopped it, the state saved; UserError where data or disk fail, the state of the
    last step or at least of the last checkpoint saved; Diverged where loss, weights or α are no longer finite.
    """
    use_threads(settings.threads)
    keep_memory()
    use_native(settings.compute.native)
    device, writes = pick(settings.device), distributed.rank() == 0
    images = fingerprint(source)
    with distributed.together():
        halves = check_fit(settings, space, source)
        check_alike(settings.data, images)
    steps = len(halves[0]) // settings.data.batch_size
    identity = identity_of(settings, MAY_CHANGE, space, images)
    if costs and settings.cost and settings.cost.quantity == "latency":
        identity["latency.csv"] = str(costs.table)
    fresh = partial(make_learner, settings, space, source, device, costs, steps)
    learner = fresh()
    at, sums = Position(), torch.zeros(len(SUMS), device=device)
    records: list[dict[str, Any]] = []
    lost = torch.zeros_like(sums)  # of the present epoch, how often each was not finite

    def told(record: dict[str, Any]) -> dict[str, Any]:
        return record | about(found_in(record, settings, space, run.path.name)) if about else record

    def described(epoch: int) -> dict[str, Any]:
        record = gate_record(epoch, learner, space) | ({"stage": learner.stage + 1} if settings.stages else {})
        return record | (cost_record(record["gates"], learner, space, costs) if costs else {})

    def state() -> dict[str, Any]:
        return common_state(identity, sums, at, records) | state_of(learner)

    def return_to(state: dict[str, Any]) -> None:
        nonlocal learner
        if "stage" in state:
            learner = with_alive(fresh(state["stage"]), state["alive"])
        put_back(learner, state)

    resume = resumes(run, resume)
    distributed.first(keep_held_out, run, settings.data, source, halves[1])
    if resume:
        records += restored(run, identity, sums, at, return_to, first=0)
        with distributed.together():
            check_records(records, space, str(run.metrics))
        if about:  # of the epochs before, too
            records[:] = map(told, records)
            distributed.first(run.rewrite, records)
    else:
        records.append(told(described(0)))
        begin(run, records, state)

    train, valid, looked_at = open_batches(settings, source, halves, device, at.epoch * steps + at.step, at.epoch)

    def draw() -> tuple[Any, Any]:
        return next(train), next(valid) if trains_on_held_out(settings, at.epoch) else None

    with closing(train), closing(valid), closing(looked_at):  # else loading processes would live on in an error
        for steps_left in epochs(settings, run, at, records, state, steps, draw, observer.epoch, stop):
            if verdict(records, settings.stopping, settings.architect.warmup):
                break
            lost.zero_()
            stage = stage_at(settings, at.epoch)
            if stage.number != learner.stage:
                asked, gates = settings.stages[stage.number], records[-1]["gates"]
                learner = advanced(learner, asked, gates, partial(fresh, stage.number))
            epoch = at.epoch - stage.first
            lr = learning_rate(epoch, stage.settings.epochs, settings.weights.lr, settings.weights.lr_min)
            for group in learner.weight_optimizer.param_groups:
                group["lr"] = lr
            take_step = STEPS[settings.architect.kind] if epoch >= settings.architect.warmup else warm_up
            halves_seen = 2 if trains_on_held_out(settings, at.epoch) else 1
            for batches in steps_left:
                if settings.supernet.draws:
                    number = at.epoch * steps + at.step
                    torch.manual_seed(fold(settings.seed, DROPS, distributed.rank(), number))
                seen = take_step(learner, *batches, StepIndex(epoch, at.epoch * steps + at.step))
                sums += seen
                lost += ~seen.isfinite()
                observer.step(at.epoch + 1, at.step + 1, steps, sums, learner.alphas)

            means = means_of(sums, SUMS, steps)
            tensors = [*learner.alphas.values(), *learner.supernet.state_dict().values()]
            check_converging(
                run, means["train_loss"], tensors, partial(diverged, settings, learner, lost, at.epoch + 1)
            )
            check_processes(run, at.epoch + 1, [*learner.alphas.values(), *learner.weights], "α or weights")
            times = at.finish_epoch(steps * settings.data.batch_size * halves_seen)
            record = described(at.epoch)
            record |= {key: mean for key, mean in means.items() if not math.isnan(mean)}
            record |= {"lr": lr, **times}
            if settings.measures_curvature:
                with distributed.together():
                    batch = next(looked_at)
                record["eigenvalue"] = held_out_curvature(learner, batch)
            records.append(told(record))
            with distributed.together():
                if writes:
                    genotype = derived(record["gates"], settings, space, f"{run.path.name}-epoch-{at.epoch}")
                    run.write_genotype(genotype, f"epoch-{at.epoch:03d}")

    ended = verdict(records, settings.stopping, settings.architect.warmup)
    kept = kept_record(records, settings.stopping, settings.architect.warmup)
    gates = kept["gates"]
    if settings.choose:
        matrices = as_matrices(gates, space, str(run.metrics))
        path, accuracy = best_drawn(learner, matrices, source, halves[1], device)
        kept |= {"chosen": list(path), "chosen_accuracy": accuracy}
        kept |= told(kept)
        distributed.first(run.rewrite, records)
        save(run, state)
    genotype = found_in(kept, settings, space, run.path.name, f"; stopped: {ended.reason}" if ended else "")
    with distributed.together():
        if writes:
            run.write_genotype(genotype, "final")
            for part in genotype.empty_cells:
                strongest = f"{settings.derive.threshold} (the strongest is {max(map(max, gates[part])):.3f})"
                advice = "derive another by argmax or a lower threshold"
                nothing = f"too few gates of {part} reached {strongest}, so nothing leads through the cell"
                if METHODS[settings.derive.method]:
                    nothing = f"by {settings.derive.method} nothing leads through the {part} cell"
                warnings.warn(f"{run.path}: {nothing}; {advice}", Notice, stacklevel=2)
    return genotype


def diverged(settings: SearchSettings, learner: Learner, lost: Tensor, epoch: int) -> str:
    """What went wrong, and which learning rate to lower; `lost` are the steps of which each of SUMS was not finite.

    Of a bi-level step the held-out loss is the first to see new weights, and the training loss the first to see new α.
    """
    train, _, valid, *_ = lost.tolist()
    bilevel = trains_on_held_out(settings, epoch - 1)
    of_alphas, of_weights = f"architect.lr ({settings.architect.lr})", f"weights.lr ({settings.weights.lr})"
    if settings.architect.kind == "single_level" and not all_finite(learner.alphas.values()):
        return f"the loss and α are no longer finite in epoch {epoch}; lower {of_weights} or {of_alphas}"
    if bilevel and train > valid:
        return f"α is no longer finite in epoch {epoch}; lower {of_alphas}"
    what = "the loss is" if train or (bilevel and valid) else "the weights are"
    return f"{what} no longer finite in epoch {epoch}; lower {of_weights}"


def gate_record(epoch: int, learner: Learner, space: Space) -> dict[str, Any]:
    """What a record says of the architecture: α, gates, the shares of edges, the number of dominant operations and of
    frozen candidates, and penalties."""
    gates = recorded(learner, learner.alphas)
    rule, penalties, shares = learner.settings.derive, learner.settings.penalties, edge_shares(learner.alphas, space)
    record: dict[str, Any] = {
        "epoch": epoch,
        "gates": {part: gates[part].tolist() for part in space.parts},
        "alphas": {part: learner.alphas[part].tolist() for part in space.parts},
        "dominant": {part: dominant(gates[part], space, part, rule.method, rule.threshold) for part in space.parts},
        **({"edges": {part: share.tolist() for part, share in shares.items()}} if shares else {}),
    }
    if learner.freezing:
        record["frozen"] = int(learner.freezing.frozen.sum())
    if penalties:
        alphas = learner.alphas
        record["penalties"] = penalty_record(penalties, living(learner, alphas), relaxed(learner, alphas))
    return record


def cost_record(gates: dict[str, Any], learner: Learner, space: Space, costs: Counted) -> dict[str, Any]:
    """What a record says of the cost that is expected under its gates, and of the network that they derive."""
    assert learner.price is not None, "a search whose costs are known has a price"
    with torch.no_grad():
        matrices = relaxed(learner, learner.alphas)
    found = derived(gates, learner.settings, space, learner.settings.name)
    return {"cost": learner.price.record(matrices, costs.of(found))}


def found_in(record: dict[str, Any], settings: SearchSettings, space: Space, name: str, note: str = "") -> Genotype:
    """What a search has found by a record: the network that it chose then, or what the gates derive."""
    if settings.choose is None or "chosen" not in record:
        return derived(record["gates"], settings, space, name, note)
    origin = f"search {settings.name}, seed {settings.seed}, the best of {settings.choose.networks} networks drawn from"
    origin += f" the gates: {record['chosen_accuracy']:.2f} % on held-out images"
    return space.genotype_of(tuple(record["chosen"]), name, origin + note)


def derived(gates: dict[str, Any], settings: SearchSettings, space: Space, name: str, note: str = "") -> Genotype:
    """The genotype of a record's gates by the settings' method; its source ends in the note."""
    rule = settings.derive
    origin = f"search {settings.name}, seed {settings.seed}, {rule.method}"
    origin += "" if rule.method == "argmax" or rule.threshold is None else f" {rule.threshold}"
    origin += ("" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell") + note
    return derive(as_matrices(gates, space, name), space, rule.method, rule.threshold, name, origin, rule.max_skips)

"""The differentiable search, from settings to a genotype."""

import math
import warnings
from contextlib import closing
from typing import Any, Protocol

import torch
from torch import Tensor

from fairdarts.config import Notice, UserError
from fairdarts.data.serve import check_alike, keep_held_out
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint
from fairdarts.genotype import Genotype
from fairdarts.relaxation import Gates, gate_matrices
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.device import pick, use_threads
from fairdarts.runtime.finite import all_finite
from fairdarts.runtime.pace import Pace
from fairdarts.runtime.position import Position, identity_of
from fairdarts.runtime.run import Run
from fairdarts.runtime.stop import Diverged, Stop
from fairdarts.search.architect import STEPS, SUMS, Learner, Moment
from fairdarts.search.curvature import held_out_curvature
from fairdarts.search.derive import as_matrices, derive, dominant
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.search.setup import check_fit, make_learner, open_batches
from fairdarts.search.state import restored, state_of
from fairdarts.search.stopping import kept_record, verdict
from fairdarts.spaces.space import Space


class Observer(Protocol):
    """Who watches a search; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor, alphas: Gates) -> None:
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
    run: Run,
    observer: Observer,
    stop: Stop,
    resume: bool = False,
) -> Genotype:
    """Search from the start, or (resume) from the run's last checkpoint, to the final genotype.

    Several processes take every step together, and the first one writes.
    Raises Interrupted once a signal stopped it, the state saved; UserError where data or disk fail, the state of the
    last step or at least of the last checkpoint saved; Diverged where loss, weights or α are no longer finite.
    """
    use_threads(settings.threads)
    device, writes = pick(settings.device), distributed.rank() == 0
    images = fingerprint(source)
    with distributed.together():
        halves = check_fit(settings, space, source)
        check_alike(settings.data, images)
    steps = len(halves[0]) // settings.data.batch_size
    identity = identity_of(settings, MAY_CHANGE, space, images)
    learner = make_learner(settings, space, source, device)
    at, sums = Position(), torch.zeros(len(SUMS), device=device)
    records: list[dict[str, Any]] = []
    lost = torch.zeros_like(sums)  # of the present epoch, how often each was not finite

    def save() -> None:
        with distributed.together():
            if writes:
                checkpoint.save(run.last, state_of(learner, identity, sums, at, records))

    with distributed.together():
        if writes:
            resume = resume and (run.last.is_file() or len(run.records()) > 1)
            keep_held_out(run, settings.data, source, halves[1])
    if distributed.shared(resume):
        records += restored(learner, identity, sums, at, run, space)
    else:
        records.append(gate_record(0, learner, space))
        with distributed.together():
            if writes:
                run.rewrite(records)  # a run that was killed before its first checkpoint begins anew
        save()

    train, valid, looked_at = open_batches(settings, source, halves, device, at.epoch * steps + at.step, at.epoch)
    take_step, held_out = STEPS[settings.architect.kind], settings.architect.kind != "single_level"
    pace = Pace(settings.save_minutes, at, stop, save)
    learner.supernet.train()
    with closing(train), closing(valid), closing(looked_at):  # else loading processes would live on in an error
        while at.epoch < settings.epochs and not verdict(records, settings.stopping):
            lr = learning_rate(at.epoch, settings.epochs, settings.weights.lr, settings.weights.lr_min)
            for group in learner.weight_optimizer.param_groups:
                group["lr"] = lr
            while at.step < steps:
                batches = pace.fetch(lambda: (next(train), next(valid) if held_out else None))
                seen = take_step(learner, *batches, Moment(at.epoch, at.epoch * steps + at.step))
                sums += seen
                lost += ~seen.isfinite()
                at.step += 1
                observer.step(at.epoch + 1, at.step, steps, sums, learner.alphas)

            means = dict(zip(SUMS, (sums / steps).tolist(), strict=True))
            with distributed.together():
                sound = math.isfinite(means["train_loss"])
                if not sound or not all_finite([*learner.alphas.values(), *learner.supernet.state_dict().values()]):
                    raise Diverged(f"{run.path}: {diverged(learner, lost, at.epoch + 1)}")
            alike = distributed.agree_on([*learner.alphas.values(), *learner.weights])
            with distributed.together():
                if not alike:
                    raise UserError(f"{run.path}: after epoch {at.epoch + 1} the processes hold different α or weights")
            times = at.finish_epoch(steps * settings.data.batch_size * (1 + held_out))
            record = gate_record(at.epoch, learner, space)
            record |= {key: mean for key, mean in means.items() if not math.isnan(mean)}
            record |= {"lr": lr, **times}
            if settings.measures_curvature:
                with distributed.together():
                    batch = next(looked_at)
                record["eigenvalue"] = held_out_curvature(learner, batch)
            sums.zero_()
            lost.zero_()
            records.append(record)
            with distributed.together():
                if writes:
                    run.log(record)
                    genotype = derived(record["gates"], settings, space, f"{run.path.name}-epoch-{at.epoch}")
                    run.write_genotype(genotype, f"epoch-{at.epoch:03d}")
            pace.save()
            observer.epoch(record)

    ended = verdict(records, settings.stopping)
    gates = kept_record(records, settings.stopping)["gates"]
    genotype = derived(gates, settings, space, run.path.name, f"; stopped: {ended.reason}" if ended else "")
    with distributed.together():
        if writes:
            run.write_genotype(genotype, "final")
            for part in genotype.empty_cells:
                strongest = f"{settings.derive.threshold} (the strongest is {max(map(max, gates[part])):.3f})"
                advice = "derive another by argmax or a lower threshold"
                nothing = f"no gate of the {part} cell reached {strongest}, so it makes no network"
                warnings.warn(f"{run.path}: {nothing}; {advice}", Notice, stacklevel=2)
    return genotype


def diverged(learner: Learner, lost: Tensor, epoch: int) -> str:
    """What went wrong, and which learning rate to lower; `lost` are the steps of which each of SUMS was not finite.

    Of a bi-level step the held-out loss is the first to see new weights, and the training loss the first to see new α.
    """
    settings, (train, _, valid, *_) = learner.settings, lost.tolist()
    of_alphas, of_weights = f"architect.lr ({settings.architect.lr})", f"weights.lr ({settings.weights.lr})"
    if settings.architect.kind == "single_level" and not all_finite(learner.alphas.values()):
        return f"the loss and α are no longer finite in epoch {epoch}; lower {of_weights} or {of_alphas}"
    if settings.architect.kind != "single_level" and train > valid:
        return f"α is no longer finite in epoch {epoch}; lower {of_alphas}"
    what = "the loss is" if train or valid else "the weights are"
    return f"{what} no longer finite in epoch {epoch}; lower {of_weights}"


def gate_record(epoch: int, learner: Learner, space: Space) -> dict[str, Any]:
    """What a record says of the architecture: α, gates, and the number of dominant operations."""
    gates = gate_matrices(learner.alphas, learner.settings.relaxation)
    rule = learner.settings.derive
    return {
        "epoch": epoch,
        "gates": {part: gates[part].tolist() for part in space.parts},
        "alphas": {part: learner.alphas[part].tolist() for part in space.parts},
        "dominant": {part: dominant(gates[part], space, rule.method, rule.threshold) for part in space.parts},
    }


def derived(gates: dict[str, Any], settings: SearchSettings, space: Space, name: str, note: str = "") -> Genotype:
    """The genotype of a record's gates by the settings' method; its source ends in the note."""
    rule = settings.derive
    origin = f"search {settings.name}, seed {settings.seed}, {rule.method}"
    origin += "" if rule.method == "argmax" else f" {rule.threshold}"
    origin += ("" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell") + note
    return derive(as_matrices(gates, space, name), space, rule.method, rule.threshold, name, origin, rule.max_skips)

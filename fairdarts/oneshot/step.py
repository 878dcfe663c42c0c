"""One supernet step: the gradients of some subnets on one batch, and the updates they make.

Where several paths follow one another before an update, the stem runs once: its output is the same for all of them, and
its gradient is the sum of theirs. Behind it each path runs forward and backward alone, in the memory of one path.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from fairdarts.data.balance import cross_entropy
from fairdarts.oneshot.running_stats import SharedStats, repeated, running_stats
from fairdarts.oneshot.sampler import Step
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.runtime import distributed
from fairdarts.runtime.device import autocast
from fairdarts.spaces.gates import Gates
from fairdarts.supernet.supernet import Supernet, tracked_norms

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W] and labels [B]"""

SUMS = ("train_loss", "train_accuracy")
"""What a step measures, the mean over its passes, each summed over the steps of an epoch"""


@dataclass(frozen=True)
class Learner:
    """All that a step updates."""

    settings: TrainingSettings
    supernet: Supernet
    optimizer: torch.optim.Optimizer
    class_weights: Tensor | None = None
    """what the loss of an image of every class is multiplied by [classes]; None for 1"""

    @property
    def weights(self) -> list[Tensor]:
        """The supernet's parameters, as their optimizer lists them: to ask thousands of modules takes a while."""
        return self.optimizer.param_groups[0]["params"]


def supernet_step(learner: Learner, step: Step, batch: Batch) -> Tensor:
    """Takes a step on this process's batch: its share of the images, or with `parallel` path all of them.

    A choice that no subnet runs has no gradient, and keeps its weights: neither momentum nor weight decay move it.
    Gives SUMS [2].
    """
    seen = torch.zeros(len(SUMS), dtype=learner.weights[0].dtype, device=batch[0].device)
    for update in step:
        subnets = [learner.supernet.space.gates(chosen) for chosen in update]
        if learner.settings.compute.parallel == "path" and distributed.ranks() > 1:
            seen += path_parallel(learner, subnets, batch)
        else:
            seen += data_parallel(learner, subnets, batch)
        average_shared(learner, subnets)
        learner.optimizer.step()
        learner.optimizer.zero_grad()
    return seen / sum(map(len, step))


def data_parallel(learner: Learner, subnets: Sequence[Gates], batch: Batch) -> Tensor:
    """Leaves the gradient of all subnets in the weights: the mean over the processes. Gives SUMS over the subnets."""
    count, order = learner.settings.compute.accumulate, range(len(subnets))
    images, labels = batch
    seen = torch.zeros(len(SUMS), dtype=learner.weights[0].dtype, device=images.device)
    for part in zip(images.chunk(count), labels.chunk(count), strict=True):
        seen += add_gradients(learner, subnets, order, part, 1 / count)
    if distributed.ranks() > 1:
        ran = (module for gates in subnets for module in learner.supernet.active(gates))
        moved = [buffer for norm in tracked_norms([learner.supernet.stem, *ran]) for buffer in running_stats(norm)]
        distributed.average_([*_found(learner), *moved, seen])
    return seen


def path_parallel(learner: Learner, subnets: Sequence[Gates], batch: Batch) -> Tensor:
    """As `data_parallel`, where each process has the whole batch and goes through every n-th subnet (Algorithm 2).

    The gradient of a choice is made by one process, that of stem and tail by all of them, a part each. Everything is
    summed over the processes, choices too, as the next step gives a choice to another process.
    """
    supernet, indices = learner.supernet, range(distributed.rank(), len(subnets), distributed.ranks())
    stats = SharedStats([tracked_norms(supernet.active(gates)) for gates in subnets])
    seen = add_gradients(learner, subnets, indices, batch, 1.0, stats.take)
    ran = [supernet.stem, *(module for gates in subnets for module in supernet.active(gates))]
    weights = list({id(weight): weight for module in ran for weight in module.parameters()}.values())
    given = torch.tensor([float(weight.grad is not None) for weight in weights])
    distributed.sum_([given])  # on the CPU, which waits for no device
    for weight, processes in zip(weights, given.tolist(), strict=True):
        if weight.grad is None and processes:  # what no process has, as its result reaches no logits, stays without
            weight.grad = torch.zeros_like(weight)
    distributed.sum_([*_found(learner), *stats.taken, seen])
    stats.put_back()
    return seen


def add_gradients(
    learner: Learner,
    subnets: Sequence[Gates],
    indices: Sequence[int],
    batch: Batch,
    share: float,
    after: Callable[[int], None] | None = None,
) -> Tensor:
    """Adds `share` of the gradients of this process's `own` subnets to the weights; SUMS over these, times `share`.

    The stem's BatchNorms move as if each of the `subnets` had run the stem. `after` is told the number of every subnet
    that has run.
    """
    supernet, (images, labels) = learner.supernet, batch
    precision = learner.settings.compute.precision
    seen = torch.zeros(len(SUMS), dtype=learner.weights[0].dtype, device=images.device)
    with autocast(images.device, precision), repeated(supernet.stem, len(subnets)):
        stemmed = supernet.stem(images)
    pair = isinstance(stemmed, tuple)  # of the stem for large images
    outs = stemmed if pair else (stemmed,)
    entries = tuple(out.detach().requires_grad_() for out in outs)
    for index in indices:
        with autocast(images.device, precision):
            logits = supernet.after_stem(entries if pair else entries[0], subnets[index])
        logits = logits.to(learner.weights[0].dtype)
        loss = cross_entropy(logits, labels, learner.class_weights)
        (loss if share == 1 else loss * share).backward()
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        seen += torch.stack([loss.detach(), accuracy]) * share
        if after:
            after(index)
    # one has none where no path leads from the stem to the logits, as in NAS-Bench-201
    read = [(out, entry.grad) for out, entry in zip(outs, entries, strict=True) if entry.grad is not None]
    if read:
        torch.autograd.backward([out for out, _ in read], [grad for _, grad in read])
    return seen


def average_shared(learner: Learner, subnets: Sequence[Gates]) -> None:
    """Divides the gradient of every weight by the number of the subnets that run it, if the settings say so."""
    if len(subnets) == 1 or learner.settings.weights.shared_gradient != "mean":
        return
    supernet = learner.supernet
    uses: Counter[nn.Parameter] = Counter()
    for gates in subnets:
        ran = chain([supernet.stem], supernet.active(gates))
        uses.update({weight for module in ran for weight in module.parameters()})
    for weight, count in uses.items():
        if count > 1 and weight.grad is not None:
            weight.grad /= count


def _found(learner: Learner) -> list[Tensor]:
    return [weight.grad for weight in learner.weights if weight.grad is not None]

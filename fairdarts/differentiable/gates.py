"""From α to the gates of a pass: relaxed, sampled, and what stands beside them."""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from fairdarts.differentiable.components import AuxiliarySettings
from fairdarts.differentiable.edges import edge_shares, with_shares
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.sampling import SAMPLERS, Draw
from fairdarts.disturbance import Disturbance
from fairdarts.genotype import SKIP
from fairdarts.noise import SCHEDULES
from fairdarts.relaxation import SIMPLEX, SPARSE, Matrices, dense, relax
from fairdarts.runtime.seed import DISTURBANCE, GATES, fold
from fairdarts.spaces.gates import Gates
from fairdarts.spaces.space import Space


class Pass(NamedTuple):
    """What a pass runs under."""

    gates: Matrices
    """part → the relaxed gates, undisturbed [points, candidates]"""
    seen: Gates
    """those under which the supernet runs"""
    disturbance: Disturbance | None
    """of what the operations give"""


def living(learner: Learner, alphas: Matrices) -> Matrices:
    """α of every part; of a candidate that is no longer there −∞, which every relaxation makes a gate of zero."""
    alphas = {part: alphas[part] for part in learner.supernet.space.parts}
    if learner.alive is None:
        return alphas
    return {part: alpha.masked_fill(~learner.alive[part], -torch.inf) for part, alpha in alphas.items()}


def relaxed(learner: Learner, alphas: Matrices) -> Matrices:
    """The gates of every part [points, candidates]: neither disturbed nor sampled."""
    return relax(living(learner, alphas), learner.settings.relaxation)


def of_the_living(learner: Learner, gates: Matrices) -> Gates:
    """Gates of every point's candidates that are there, those of gate zero among them."""
    space = learner.supernet.space
    found = [*dense(gates, space)]
    for name, alive in (learner.alive or {}).items():
        for point, there in zip(space.parts[name].points, alive.tolist(), strict=True):
            active = [column for column, kept in enumerate(there) if kept]
            whole = cast(Tensor, found[point].weights)  # as α makes them
            found[point] = found[point]._replace(active=tuple(active), weights=whole[active])
    return tuple(found)


def has_zeros(learner: Learner) -> bool:
    """Whether there are gates of zero, whose candidates do not run."""
    return learner.alive is not None or learner.settings.relaxation in SPARSE


def undisturbed(learner: Learner, alphas: Matrices) -> Gates:
    """The gates themselves, under which all candidates run that are there."""
    space = learner.supernet.space
    return with_shares(dense(relaxed(learner, alphas), space, has_zeros(learner)), space, edge_shares(alphas, space))


def recorded(learner: Learner, alphas: Matrices) -> dict[str, np.ndarray]:
    """The gates of every part as float64 arrays, on the CPU: what is derived from, shown, recorded.

    Where edges have weights, a gate is multiplied by the share of its edge (PC-DARTS, section 3.3).
    """
    with torch.no_grad():
        gates, shares = relaxed(learner, alphas), edge_shares(alphas, learner.supernet.space)
        if shares is not None:
            gates = {part: matrix * shares[part][:, None] for part, matrix in gates.items()}
        return {part: matrix.double().cpu().numpy() for part, matrix in gates.items()}


def gates_of_pass(
    learner: Learner,
    alphas: Matrices,
    at: StepIndex,
    half: int,
    shard: int,
    learns: bool,
    moved: Matrices | None = None,
) -> Pass:
    """The gates of a pass over a part of a batch of one half of the images; `learns` where α gets a gradient of it.

    Where they are `moved` elsewhere, by part, the pass runs under these; what is a gradient of α flows through both.
    """
    settings, space = learner.settings, learner.supernet.space
    gates, disturbance, sparse = relaxed(learner, alphas), None, has_zeros(learner)
    shares = edge_shares(alphas, space)
    of_pass = gates
    if settings.noise or settings.dropout:
        seed = fold(settings.seed, DISTURBANCE, at.step, half)
        disturbance = Disturbance(settings.noise, settings.dropout, seed, at.epoch / settings.epochs, shard)
        alphas = disturbance.of_alphas({part: alphas[part] for part in space.parts}, space.parts)
        of_pass = relaxed(learner, alphas)
    if moved is not None:
        both = {part: moved[part] + (p - gates[part].detach()) for part, p in of_pass.items()}
        if settings.noise and settings.noise.on == "gate":
            for part, p in both.items():
                both[part] = p + (projected(learner, p, of_pass[part]) - p).detach()
        of_pass = both
    if settings.sampling is None:
        seen = dense(of_pass, space, sparse)
    else:
        like = next(iter(gates.values()))
        generator = torch.Generator(like.device).manual_seed(fold(settings.seed, GATES, at.step, half))
        done = at.epoch / max(1, settings.epochs - 1)
        draw = Draw(space, living(learner, alphas), settings.relaxation, done, learns, sparse, generator)
        seen = SAMPLERS[settings.sampling.kind](settings.sampling, of_pass, draw)
    if settings.auxiliary:
        strength = auxiliary_weight(settings.auxiliary, at.epoch / settings.epochs)
        seen = with_auxiliary(seen, space, strength, next(iter(gates.values())))
    return Pass(gates, with_shares(seen, space, shares), disturbance)


def projected(learner: Learner, moved: Tensor, gates: Tensor) -> Tensor:
    """Gates from 0 to 1, whose rows are probabilities where those of the relaxation are. What is zero stays zero, and a
    row that would be all zeros stays as it is."""
    moved = moved.clamp(0, 1).masked_fill(gates == 0, 0)
    total = moved.sum(-1, keepdim=True)
    return torch.where(total > 0, moved / total if learner.settings.relaxation in SIMPLEX else moved, gates)


def auxiliary_weight(settings: AuxiliarySettings, done: float) -> float:
    """The weight of the auxiliary skip connection, when a share of the epochs is done."""
    return settings.weight * SCHEDULES[settings.schedule](done)


def with_auxiliary(gates: Gates, space: Space, weight: float, like: Tensor) -> Gates:
    """Gates under which a skip connection of a weight that is not learnt runs beside the candidates (DARTS−,
    arXiv:2009.01027).

    It is the skip connection among the candidates, whose gate it adds to. Where that changes shape it has weights, and
    both then share them. A point that offers none has none beside it.
    """
    if not weight:
        return gates
    found = []
    for gate, names in zip(gates, space.points, strict=True):
        if SKIP not in names:
            found.append(gate)
            continue
        column, (active, weights, _, idle) = names.index(SKIP), gate
        if not isinstance(weights, Tensor):
            share = 1 / max(1, len(active)) if weights is None else weights
            weights = like.new_full((len(active),), share)
        if column in active[: len(active) - idle]:
            beside = like.new_tensor([weight * (choice == column) for choice in active])
            found.append(gate._replace(weights=weights + beside))
            continue
        if column in active:  # it is idle no longer
            at = active.index(column)
            own, rest = weights[at : at + 1] + weight, torch.cat([weights[:at], weights[at + 1 :]])
            active, idle = active[:at] + active[at + 1 :], idle - 1
        else:
            own, rest = like.new_tensor([weight]), weights
        found.append(gate._replace(active=(column, *active), weights=torch.cat([own, rest]), idle=idle))
    return tuple(found)

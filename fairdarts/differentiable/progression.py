"""From one stage of a search to the next: which candidates go on, and what begins anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from fairdarts.config import UserError
from fairdarts.differentiable.learner import Learner
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.stages import Stage, StageSettings, stages_of
from fairdarts.genotype import SKIP
from fairdarts.relaxation import RELAXATIONS, Matrices
from fairdarts.spaces.space import Space
from fairdarts.supernet.settings import check_supernet

GateRows = Mapping[str, Sequence[Sequence[float]]]
"""part of the space → gates of its points [points, candidates], as a record holds them"""


def survivors(gates: GateRows, alive: Matrices | None, keep: int) -> Matrices:
    """The candidates of the `keep` largest gates of every point, booleans [points, candidates] by part; ties go to
    those that stand first. One that is no longer `alive` does not come back."""
    found = {}
    for part, rows in gates.items():
        values = torch.tensor(rows, dtype=torch.float64)
        if alive is not None:
            values = values.masked_fill(~alive[part].cpu(), -torch.inf)
        best = values.argsort(dim=-1, descending=True, stable=True)[:, :keep]
        found[part] = torch.zeros_like(values, dtype=torch.bool).scatter_(-1, best, True) & (values >= 0)
    return found


def advanced(before: Learner, stage: StageSettings, gates: GateRows, fresh: Callable[[], Learner]) -> Learner:
    """The learner of a stage, after the learner of the stage before and its last gates.

    Weights and both optimizers are `fresh`, and so is α; where it is kept, so are the state of its optimizer and of
    what it costs.
    """
    learner = fresh()
    if stage.alphas == "kept":
        for part, alpha in learner.alphas.items():
            alpha.data.copy_(before.alphas[part].data)
        learner.alpha_optimizer.load_state_dict(before.alpha_optimizer.state_dict())
        if learner.price and before.price:
            learner.price.multiplier.copy_(before.price.multiplier)
    return with_alive(learner, before.alive if stage.keep is None else survivors(gates, before.alive, stage.keep))


def with_alive(learner: Learner, alive: Matrices | None) -> Learner:
    """The learner, of whose candidates these alone are there."""
    if alive is None:
        return replace(learner, alive=None)
    return replace(learner, alive={part: there.to(learner.alphas[part].device) for part, there in alive.items()})


def check_progression(settings: SearchSettings, space: Space) -> list[Stage]:
    """The stages of a search. Raises UserError where the space cannot follow them."""
    stages, most = stages_of(settings), max(map(len, space.points))
    names = {name for part in space.parts.values() for name in part.candidates}
    never = [*({"none"} & names), *({SKIP} & names if settings.derive.max_skips is not None else ())]
    for number, told in enumerate(settings.stages):
        place = f"stages.{number}"
        if told.keep is not None and told.keep > most:
            raise UserError(
                f"{place}.keep: {told.keep}: should be at most {most}, the candidates in space {space.name}"
            )
        if told.keep is not None and told.keep <= len(never):
            why = f"as the genotype may not have {' and '.join(never)}"
            raise UserError(f"{place}.keep: {told.keep}: should be at least {len(never) + 1}, {why}")
        try:
            check_supernet(stages[number].settings.supernet, space)
        except UserError as error:
            key, _, problem = str(error).removeprefix("supernet.").partition(": ")
            own = f"{place}.{key}" if getattr(told, key, None) is not None else f"{place}: supernet.{key}"
            raise UserError(f"{own}: {problem}") from None
    if any(told.keep for told in settings.stages) and not _leaves_out(settings.relaxation):
        gone = f"α = -inf should give a gate of 0 by '{settings.relaxation}', as candidates are left out that way"
        raise UserError(f"relaxation: {gone}")
    return stages


def _leaves_out(relaxation: str) -> bool:
    gates: Any = RELAXATIONS[relaxation](torch.tensor([[0.0, -torch.inf]]))
    return bool(gates.isfinite().all()) and not gates[0, 1]

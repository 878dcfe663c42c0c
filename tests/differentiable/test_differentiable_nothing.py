"""Where only `none` runs, the logits are those of no image: a step goes on, and pulls at no α that it does not see."""

from typing import Any

import pytest
import torch

from fairdarts.checking import check
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.curvature import held_out_curvature
from fairdarts.differentiable.learner import Learner
from fairdarts.differentiable.settings import DenseSupernetSettings, SearchSettings
from fairdarts.spaces.space import load_space
from fairdarts.supernet.supernet import make_supernet
from tests.search_steps import settings_of, sgd_of, stream

HARD = {"kind": "gumbel", "hard": True, "temperature": [1, 1]}
ADVERSARY = {"kind": "adversarial", "radius": [0.0, 1e-9], "steps": 1}


def idle(kind: str, hessian: str = "exact", **changed: Any) -> Learner:
    """A learner of NAS-Bench-201 in which `none` is far ahead everywhere, where zero-one losses pull at nothing."""
    content = settings_of(kind, "softmax", 0.0, "squared", 5.0).model_dump(mode="json")
    content |= {"space": "nasbench201"} | changed
    content["architect"] |= {"hessian": hessian, "weight_decay": 0}
    settings, space = check(SearchSettings, content, "test"), load_space("nasbench201")
    torch.manual_seed(0)
    supernet = make_supernet(space, 3, settings=DenseSupernetSettings(cells=1, channels=2)).double()
    alphas = {name: torch.zeros(part.shape, dtype=torch.float64) for name, part in space.parts.items()}
    for alpha in alphas.values():
        alpha[:, space.candidates.index("none")] = 100
        alpha.requires_grad_()
    adam = torch.optim.Adam(alphas.values(), 0.1)
    return Learner(settings, supernet, alphas, sgd_of(supernet.parameters(), settings), adam)


@pytest.mark.parametrize("kind", ["first_order", "second_order", "single_level"])
@pytest.mark.parametrize("changed", [{"sampling": HARD}, {"relaxation": "sparsemax"}], ids=["gdas", "sparsemax"])
@pytest.mark.parametrize("perturbation", [None, ADVERSARY], ids=["unmoved", "adversary"])
def test_a_step_trains_what_the_loss_depends_on(kind: str, changed: dict[str, Any], perturbation: Any):
    own, batches = idle(kind, perturbation=perturbation, **changed), stream(0)
    own.supernet.train()
    before = {name: value.clone() for name, value in own.supernet.named_parameters()}
    alphas = {part: alpha.detach().clone() for part, alpha in own.alphas.items()}
    assert STEPS[kind](own, next(batches), next(batches))[0].isfinite()
    moved = {name for name, value in own.supernet.named_parameters() if not torch.equal(value, before[name])}
    assert "tail.4.bias" in moved
    assert not any(".candidates." in name for name in moved)
    assert all(torch.equal(alphas[part], alpha) for part, alpha in own.alphas.items())


def test_differences_pull_at_nothing_either():
    own, batches = idle("second_order", "finite_difference", sampling=HARD), stream(0)
    before = {part: alpha.detach().clone() for part, alpha in own.alphas.items()}
    STEPS["second_order"](own, next(batches), next(batches))
    assert all(torch.equal(before[part], alpha) for part, alpha in own.alphas.items())


def test_a_loss_of_no_gate_is_flat():
    assert held_out_curvature(idle("first_order", relaxation="sparsemax"), next(stream(0))) == 0

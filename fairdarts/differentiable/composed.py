"""Which components of a search do not go together, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fairdarts.differentiable.settings import SearchSettings

PATHS = ("binary", "uniform")
"""the kinds of sampling under which weights train on paths"""
EXCLUSIVE = ("softmax", "sparsemax", "dirichlet")
"""the relaxations whose gates sum to 1 at every point, by their names: torch is not loaded here"""

COMPETING = (
    "edges compete for shares of their node, so that how large a gate is depends on their number: take derive.method "
    "argmax, without a threshold"
)
"""why no threshold goes with edge weights"""


def conflict(settings: SearchSettings) -> str | None:
    """What of the settings has no meaning beside what else, in one line; None where all of it goes together."""
    kind = settings.sampling.kind if settings.sampling else None
    of_sampling = f"sampling.kind {kind}"
    if kind == "dirichlet" and settings.relaxation != "dirichlet":
        return f"{of_sampling}: draws by α of relaxation dirichlet, but relaxation is {settings.relaxation}"
    if kind in PATHS and settings.architect.kind == "second_order":
        return f"{of_sampling}: weights train on paths, which depend on no α: set architect.kind first_order"
    if kind == "uniform" and settings.architect.kind == "single_level":
        return f"{of_sampling}: draws where weights train alone, but architect.kind single_level never does that"
    if kind and settings.compute.compile != "none":
        return f"{of_sampling}: is drawn anew in every pass, too often for compute.compile; set it none"
    if settings.edges and settings.derive.threshold is not None:
        return f"derive.threshold {settings.derive.threshold}: with edges {settings.edges}, {COMPETING}"
    if settings.edges and settings.choose:
        without = "judges networks whose edges have no shares, under which weights train"
        return f"choose.networks {settings.choose.networks}: {without} with edges {settings.edges}; leave one out"
    if settings.perturbation:
        moved = f"perturbation.kind {settings.perturbation.kind}"
        if kind == "uniform":
            return f"{moved}: moves gates by which nothing is drawn under {of_sampling}"
        if kind == "binary" and settings.perturbation.kind == "adversarial":
            return f"{moved}: follows the gates' gradient, but {kind} gates of weights have none"
    return _of_penalties(settings) or _of_training(settings)


def _of_penalties(settings: SearchSettings) -> str | None:
    forms = [own.form for own in settings.penalties]
    if twice := {form for form in forms if forms.count(form) > 1}:
        return f"penalties: {min(twice)} stands there more than once; should once"
    if "dirichlet_kl" in forms and settings.relaxation != "dirichlet":
        return f"penalties: dirichlet_kl is for relaxation dirichlet, not {settings.relaxation}"
    if "l1" in forms and settings.relaxation in EXCLUSIVE:
        return f"penalties: l1 is always the same under relaxation {settings.relaxation}, whose gates sum to 1"
    return None


def _of_training(settings: SearchSettings) -> str | None:
    """What of how α and weights train has no meaning."""
    architect, exponentiated = settings.architect, "architect.optimizer exponentiated"
    if architect.optimizer == "exponentiated" and settings.relaxation != "softmax":
        return f"{exponentiated}: is for gates of relaxation softmax, not {settings.relaxation}"
    if architect.optimizer == "exponentiated" and any(own.form == "beta_decay" for own in settings.penalties):
        return f"penalties: beta_decay is always zero under {exponentiated}, whose α are logarithms of gates"
    if settings.freezing and architect.kind != "first_order":
        held_out = "a held-out gradient of the weights at which they train"
        return f"freezing: needs {held_out}: architect.kind first_order, not {architect.kind}"
    if settings.freezing and settings.cost and settings.cost.form == "power":
        return "freezing: compares gradients of a loss that cost.form power multiplies; set it lagrange"
    if settings.freezing and settings.supernet.ofa_kernel:
        return "freezing: judges candidates alone, which share kernels where supernet.ofa_kernel is true"
    return None

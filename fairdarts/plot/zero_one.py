"""What form have the zero-one losses? L₀₋₁ and the control L′₀₋₁ of one gate, as in FairDARTS (arXiv:1911.12126),
Fig. 5."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from fairdarts.differentiable.losses import ZERO_ONE
from fairdarts.plot import style
from fairdarts.plot.settings import USUAL

NAMES = {"squared": "$L_{0-1} = -(z - 0.5)^2$ (squared)", "absolute": "$L'_{0-1} = -|z - 0.5|$ (absolute)"}
"""form → what it is called; one of a user's own has its name"""
STEPS = 480
"""of a curve: an even number, so that 0.5 is a point between two, where the gradient of L′₀₋₁ leaps"""
FARTHEST = 6.0
"""α that is shown, either way"""


class ZeroOneInfo(NamedTuple):
    """Every form of ZERO_ONE, of one gate z = σ(α), weight 1."""

    z: np.ndarray
    """gates from 0 to 1 [points]"""
    alpha: np.ndarray
    """from −6 to 6 [points]"""
    losses: dict[str, np.ndarray]
    """form → loss at each z"""
    by_gate: dict[str, np.ndarray]
    """form → dL/dz at each z"""
    by_alpha: dict[str, np.ndarray]
    """form → dL/dα at each α, which is what moves α: dL/dz · z(1 − z)"""


def zero_one_info() -> ZeroOneInfo:
    """Losses as they are in searches, gradients by autograd."""
    middles = (torch.arange(STEPS, dtype=torch.float64) + 0.5) / STEPS
    z, alpha = middles, FARTHEST * (2 * middles - 1)
    losses, by_gate, by_alpha = {}, {}, {}
    for form in ZERO_ONE:
        losses[form], by_gate[form] = _loss_and_gradient(form, z, lambda gate: gate)
        _, by_alpha[form] = _loss_and_gradient(form, alpha, torch.sigmoid)
    return ZeroOneInfo(z.numpy(), alpha.numpy(), losses, by_gate, by_alpha)


def _loss_and_gradient(form: str, places: Tensor, gate_of: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Loss and gradient of a single gate at every place [points]."""
    leaf = places.clone().requires_grad_()
    losses = torch.stack([ZERO_ONE[form](gate) for gate in gate_of(leaf).unsqueeze(1)])
    (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach().numpy(), gradient.numpy()


def zero_one_figure(info: ZeroOneInfo) -> Figure:
    """The losses, and their gradients in the gate and in α: a line a form."""
    figure, (losses, by_gate, by_alpha) = style.panels(3, 3, (3.5, 3.2))
    for number, form in enumerate(info.losses):
        look = {"color": style.series(number)["color"], "linestyle": "--" if number % 2 else "-", "linewidth": 2}
        losses.plot(info.z, info.losses[form], **look, label=NAMES.get(form, form))
        by_gate.plot(*_broken(info.z, info.by_gate[form]), **look)
        by_alpha.plot(*_broken(info.alpha, info.by_alpha[form]), **look)
    style.tidy(losses, "gate z = σ(α)", "loss")
    style.tidy(by_gate, "gate z = σ(α)", "gradient in z")
    style.tidy(by_alpha, "α", "gradient in α")
    for ax in (by_gate, by_alpha):
        ax.axhline(0, color=style.FAINT, linewidth=0.8)
    style.legend_below(figure, *losses.get_legend_handles_labels())
    return figure


def _broken(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve with a gap in its middle where it leaps there, as it has no value between."""
    middle = len(values) // 2
    slopes = np.abs(np.diff(values))
    if slopes[middle - 1] <= 10 * slopes[middle]:
        return places, values
    return np.insert(places, middle, places[middle]), np.insert(values, middle, np.nan)


def draw_zero_one(folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes `zero-one` into `folder`."""
    return style.save(zero_one_figure(zero_one_info()), folder, "zero-one", formats)

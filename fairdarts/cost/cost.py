"""What a network costs, and how it is told."""

from typing import Literal, NamedTuple, get_args

from fairdarts.config import UserError
from fairdarts.runtime.shape import Size, size_text

Rule = Literal["convolutions", "fairdarts"]
"""whose multiply-adds are counted: those of convolutions and linear layers; or, as FairDARTS' authors count
(arXiv:1911.12126, Tables 1 and 2), those of average poolings as well"""
RULES: tuple[Rule, ...] = get_args(Rule)


def check_rule(rule: str, place: str) -> None:
    """Raises UserError where there is no such rule; the place is what the caller calls it."""
    if rule not in RULES:
        raise UserError(f"{place}: {rule}: should be one of {', '.join(RULES)}")


class Cost(NamedTuple):
    """What a network costs."""

    params: int
    """parameters without the auxiliary head"""
    params_with_auxiliary: int
    """parameters with it"""
    madds: int
    """multiply-adds for one image, without the auxiliary head: of convolutions and linear layers, where no other rule
    is asked for"""


def cost_text(cost: Cost, image: Size) -> str:
    """'2.36 M parameters, 371.5 M multiply-adds for 32×32 images', the images being those that it was counted for."""
    millions = f"{cost.params / 1e6:.2f} M parameters, {cost.madds / 1e6:.1f} M multiply-adds"
    return f"{millions} for {size_text(image)} images"

"""What a network costs, and how it is told."""

from typing import NamedTuple

from fairdarts.runtime.shape import Size, size_text


class Cost(NamedTuple):
    """What a network costs."""

    params: int
    """parameters without the auxiliary head"""
    params_with_auxiliary: int
    """parameters with it"""
    madds: int
    """multiply-adds of convolutions and linear layers for one image, without the auxiliary head"""


def cost_text(cost: Cost, image: Size) -> str:
    """'2.36 M parameters, 371.5 M multiply-adds for 32×32 images', the images being those that it was counted for."""
    millions = f"{cost.params / 1e6:.2f} M parameters, {cost.madds / 1e6:.1f} M multiply-adds"
    return f"{millions} for {size_text(image)} images"

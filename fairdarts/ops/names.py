"""The names of the candidate operations, as spaces and genotypes have them: known without torch, which builds them."""

import re

from fairdarts.genotype import SKIP
from fairdarts.own import OWN

CELL = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    SKIP,
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
)
"""of cells, which ops/cell.py builds"""
NASBENCH201 = ("none", SKIP, "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""of NAS-Bench-201, which ops/nasbench201.py builds"""
NASBENCH101 = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""of NAS-Bench-101, which ops/nasbench101.py builds, in the benchmark's order"""
BOTTLENECK = re.compile(r"(MB)?E([1-9]\d?)K([1-9]?[13579])")
"""residual, expansion and kernel of an inverted bottleneck, which ops/mbconv.py builds"""


def is_choice(name: str) -> bool:
    """Whether a layer may have it: skip_connect, an inverted bottleneck, or an operation of a user's own."""
    return name == SKIP or name in OWN["operation"] or is_bottleneck(name)


def is_bottleneck(name: str) -> bool:
    """Whether it is an inverted bottleneck of expansion x and odd kernel y: ExKy alone, or MBExKy with its residual."""
    return BOTTLENECK.fullmatch(name) is not None

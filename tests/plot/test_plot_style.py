"""Colours and labels of operations."""

import re

import pytest

from fairdarts.ops.cell import OPS
from fairdarts.plot import style


def test_every_operation_has_a_colour_of_its_own():
    assert set(style.COLOURS) >= set(OPS)
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


def test_an_unknown_operation_has_a_colour_fixed_by_its_name():
    assert style.colour("conv_7x1_1x7") == "#9B3B93"  # equal in every process
    assert style.colour("conv_7x1_1x7") != style.colour("conv_1x1")
    assert re.fullmatch("#[0-9A-F]{6}", style.colour("conv_1x1"))


@pytest.mark.parametrize(
    ("op", "text"),
    [("sep_conv_3x3", "sep conv 3×3"), ("none", "none"), ("max_pool", "max pool"), ("conv_7x1_1x7", "conv 7×1 1×7")],
)
def test_labels_are_readable(op, text):
    assert style.label(op) == text


@pytest.mark.parametrize(("background", "ink"), [("#000000", "white"), ("#FFFFFF", style.INK), ("#F79A02", style.INK)])
def test_ink_stands_out(background, ink):
    assert style.ink_on(background) == ink

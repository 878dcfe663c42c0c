"""Drawn chains: which boxes stand where, and what is said of each layer."""

import re
from itertools import pairwise

import pytest

from fairdarts.genotype import ChainGenotype
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot import style
from fairdarts.plot.chain import Row, chain_graph, chain_rows
from fairdarts.spaces.chain import ChainSpace, ChainStage
from fairdarts.spaces.space import load_space

S2 = load_space("s2")
STAGES = (ChainStage(channels=16, layers=3, stride=1), ChainStage(channels=24, layers=2, stride=2))
SMALL = S2.model_copy(update={"stages": STAGES})
"""five layers: 16 channels as the stem gives, so that layer 0 keeps the shape, then 24 at half the resolution"""
SKIP = "skip_connect"


def drawn(*layers: tuple[str, ...], space: ChainSpace = SMALL) -> tuple[ChainGenotype, ChainSpace]:
    return ChainGenotype(name="g", space=space.name, source="tests", layers=layers), space


def rows(*layers: tuple[str, ...]) -> tuple[Row, ...]:
    return chain_rows(*drawn(*layers))


def boxes(source: str) -> dict[str, str]:
    """Name → text of every operation in a source: op<row>.<place>.<box>."""
    return {name: text.strip('"') for name, text in re.findall(r'^\t"(op[\d.]+)" \[label=("[^"]+"|\w+)', source, re.M)}


LAYERS = ((SKIP, "E6K5"), (), ("E3K7",), ("E3K3", "E6K3"), (SKIP,))


def test_every_choice_has_a_box_and_a_layer_without_any_is_shown_as_removed():
    source = chain_graph(*drawn(*LAYERS), "title").source
    assert boxes(source) == {
        "op0.0.0": "conv 3×3",
        "op0.1.0": "BOTTLE K3",
        "op1.0.0": "MBE6 K5",
        "op1.1.0": "removed",
        "op1.2.0": "IBE3 K7",
        "op2.0.0": "IBE3 K3",
        "op2.0.1": "IBE6 K3",
        "op2.1.0": "skip connect",
        "op3.0.0": "conv 1×1",
        "op3.1.0": "average pool",
        "op3.2.0": "linear",
    }
    captions = re.findall(r'"caption[12]\.\d" \[label="([^"]+)"', source)
    assert captions == ["layer 0", "layer 1", "layer 2", "layer 3, stride 2", "layer 4"]


def test_absent_layers_are_dashed_and_the_others_are_not():
    source = chain_graph(*drawn(*LAYERS), "title").source
    dashed = set(re.findall(r'^\t"(op[\d.]+)" \[.*dashed', source, re.M))
    assert dashed == {"op1.1.0", "op2.1.0"}
    assert re.search(rf'"op1.1.0".*fontcolor="{style.FAINT}"', source)


@pytest.mark.parametrize(
    ("choices", "texts", "residual"),
    [
        (("E6K5", SKIP), ["MBE6 K5"], True),
        ((SKIP, "E3K3"), ["MBE3 K3"], True),
        (("E3K7",), ["IBE3 K7"], False),
        (("E3K7", "E6K7"), ["IBE3 K7", "IBE6 K7"], False),
        (("E3K7", SKIP, "E6K7"), ["IBE3 K7", "IBE6 K7"], True),
        (("MBE3K7",), ["MBE3 K7"], True),
        ((SKIP,), ["skip connect"], False),
        ((), ["removed"], False),
    ],
)
def test_a_layer_that_keeps_the_shape(choices: tuple[str, ...], texts: list[str], residual: bool):
    place = rows(("E3K3",), choices, *[("E3K3",)] * 3)[1].places[1]
    assert ([box.text for box in place.boxes], place.residual) == (texts, residual)


@pytest.mark.parametrize(
    ("choices", "texts"),
    [((SKIP,), ["skip, 1×1"]), ((SKIP, "E6K5"), ["IBE6 K5", "skip, 1×1"]), (("E6K5",), ["IBE6 K5"])],
)
def test_the_skip_of_a_layer_that_changes_the_shape_is_a_convolution(choices: tuple[str, ...], texts: list[str]):
    place = rows(*[("E3K3",)] * 3, choices, ("E3K3",))[2].places[0]
    assert ([box.text for box in place.boxes], place.residual) == (texts, False)


def test_only_a_sum_has_a_plus_and_only_a_residual_has_a_red_line():
    source = chain_graph(*drawn(*LAYERS), "title").source
    assert re.findall(r'"(sum[\d.]+)" \[label="\+"', source) == ["sum1.0", "sum2.0"]
    red = [line for line in source.splitlines() if "->" in line and style.COLOURS[SKIP] in line]
    assert len(red) == 3  # up, along, and down to the sum
    assert '-> "sum1.0"' in red[-1]
    into = [line for line in source.splitlines() if '-> "sum2.0"' in line]
    assert len(into) == 2


def test_operations_have_the_colour_of_every_figure():
    source = chain_graph(*drawn(*LAYERS), "title").source
    assert re.search(rf'"op1.0.0" \[.*fillcolor="{style.COLOURS["E6K5"]}"', source)


def test_a_row_is_a_stage_with_its_width_and_resolution():
    own = chain_rows(*drawn(*[("E3K3",)] * 19, space=S2))
    assert [row.title.replace("\n", ", ") for row in own] == [
        "stem, 112×112",
        "32 channels, 56×56",
        "40 channels, 28×28",
        "80 channels, 14×14",
        "96 channels, 14×14",
        "192 channels, 7×7",
        "320 channels, 7×7",
        "head",
    ]
    assert [len(row.places) for row in own] == [2, 2, 4, 4, 4, 4, 1, 3]
    assert [place.caption for place in own[0].places] == ["32 channels, stride 2", "16 channels"]
    assert [place.caption for place in own[-1].places] == ["1280 channels", "", "1000 classes"]


def test_rows_and_boxes_lie_apart():
    source = chain_graph(*drawn(*[("E3K3", "E6K3", "E6K7")] * 5), "title").source
    found = re.findall(r'"?((?:row|op)[\d.]+)"? \[.*height=([\d.]+) .*pos="([\d.]+),(-[\d.]+)!"', source)
    spans = {name: (float(y) - float(height) / 2, float(y) + float(height) / 2) for name, height, _, y in found}
    bands = [spans[f"row{number}"] for number in range(4)]
    assert all(lower[1] < upper[0] for upper, lower in pairwise(bands))
    for name, (low, high) in spans.items():
        if name.startswith("op"):
            band = bands[int(name[2])]
            assert band[0] < low < high < band[1]
    stacked = [spans[f"op1.0.{number}"] for number in range(3)]
    assert all(lower[1] < upper[0] for upper, lower in pairwise(stacked))


def test_blocks_with_their_residual_are_called_so_and_a_stem_may_be_one_convolution():
    fair = chain_rows(*load_genotype("fairnas-a"))
    assert [(place.boxes[0].text, place.residual) for place in fair[1].places] == [
        ("MBE3 K7", False),
        ("MBE3 K3", True),
    ]
    assert fair[1].places[1].boxes[0].look == style.box("E3K3")
    space = load_space("nas-bench-macro")
    (stem,) = chain_rows(space.genotype_of((0,) * 8, "", ""), space)[0].places
    assert stem.caption == "32 channels, stride 1"

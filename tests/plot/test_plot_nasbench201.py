"""Drawn cells of NAS-Bench-201: which boxes stand between which nodes."""

import re

from fairdarts.genotype import EdgeGenotype
from fairdarts.plot import style
from fairdarts.plot.drawing import graphs_of
from fairdarts.plot.nasbench201 import bench_graph
from fairdarts.spaces.space import load_space

SPACE = load_space("nasbench201")
EVERY = ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "nor_conv_3x3", "avg_pool_3x3")


def drawn(*edges: str) -> str:
    genotype = EdgeGenotype(name="g", space="nasbench201", source="tests", edges=edges)
    return bench_graph(genotype, SPACE, "title").source


def boxes(source: str) -> dict[str, str]:
    """Node and input of every box → what stands in it."""
    return dict(re.findall(r'^\top(\d\d) \[label="([^"]+)"', source, re.M))


def positions(source: str) -> dict[str, tuple[float, float]]:
    found = re.findall(r'^\t(\d|op\d\d) \[.*pos="(-?[\d.]+),(-?[\d.]+)!"', source, re.M)
    return {name: (float(x), float(y)) for name, x, y in found}


def test_every_edge_has_the_box_of_its_operation():
    source = drawn(*EVERY)
    texts = ("nor conv 3×3", "nor conv 1×1", "avg pool 3×3", "skip connect", "nor conv 3×3", "avg pool 3×3")
    assert boxes(source) == dict(zip(("10", "20", "21", "30", "31", "32"), texts, strict=True))
    assert "none on" not in source
    for op in set(EVERY):
        assert f'fillcolor="{style.COLOURS[op]}"' in source


def test_none_is_left_out_and_named_below_the_title():
    source = drawn("none", "nor_conv_1x1", "skip_connect", "none", "none", "avg_pool_3x3")
    assert boxes(source) == {"20": "nor conv 1×1", "21": "skip connect", "32": "avg pool 3×3"}
    assert "none on (1, 0), (3, 0), (3, 1)<" in source


def test_nodes_that_nothing_feeds_are_grey():
    def grey(source: str) -> set[str]:
        return {name for name, look in re.findall(r"^\t(\d) \[(.*)\]", source, re.M) if style.FAINT in look}

    assert grey(drawn(*EVERY)) == set()
    assert grey(drawn("none", *EVERY[1:])) == {"1"}
    assert grey(drawn(*["none"] * 6)) == {"1", "2", "3"}


def test_every_line_begins_and_ends_at_its_nodes():
    source = drawn(*EVERY)
    assert re.search(r"^\t0 -> op10:w", source, re.M)
    assert re.search(r"^\top21:e -> 2 ", source, re.M)
    places = positions(source)
    for node, start in ((2, 0), (3, 0), (3, 1)):  # by corners: from above or below the one, into the other
        before = re.search(rf'"at (\S+) (\S+)" -> op{node}{start}:w', source).groups()
        after = re.search(rf'op{node}{start}:e -> "at (\S+) (\S+)"', source).groups()
        assert before[1] == after[1] == f"{places[f'op{node}{start}'][1]:.2f}"
        assert abs(float(before[0]) - places[str(start)][0]) < 0.3
        assert abs(float(after[0]) - places[str(node)][0]) < 0.3
    assert source.count("dir=forward") == 3


def test_boxes_lie_apart():
    """A box is at most 1.4 inches wide and 0.35 high, a node 0.85 and 0.45."""
    places = list(positions(drawn(*EVERY)).values())
    assert len(places) == len(set(places)) == 10
    for number, (x, y) in enumerate(places):
        assert all(abs(x - other) > 1.1 or abs(y - level) > 0.4 for other, level in places[:number])


def test_the_one_part_of_the_genotype_is_the_cell():
    genotype = EdgeGenotype(name="g", space="nasbench201", source="tests", edges=EVERY)
    graphs = graphs_of(genotype, SPACE, "g: ")
    assert list(graphs) == ["edges"]
    assert "g: cell" in graphs["edges"].source

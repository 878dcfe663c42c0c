"""Drawn cells of NAS-Bench-101: which boxes there are and which arrows between them."""

import re

import pytest
from bench101 import CONV1, CONV3, POOL, genotype, matrix

from fairdarts.plot import style
from fairdarts.plot.compare import agreement
from fairdarts.plot.drawing import draw_genotype, graphs_of
from fairdarts.plot.nasbench101 import vertex_graph
from fairdarts.spaces.graph import Graph
from fairdarts.spaces.space import load_space

SPACE = load_space("nasbench101")
CELL = Graph(matrix(5, "01", "02", "12", "13", "24", "34", "04"), (CONV3, CONV1, POOL))
LOOSE = Graph(matrix(5, "01", "02", "14", "34"), (CONV3, CONV1, POOL))


def drawn(graph: Graph) -> str:
    return vertex_graph(genotype(graph), "title").source


def nodes(source: str) -> dict[str, tuple[str, str]]:
    """Vertex → what stands in it, and its look."""
    found = re.findall(r'^\t(\d) \[label=("[^"]+"|\w+) (.*)\]', source, re.M)
    return {vertex: (text.strip('"'), look) for vertex, text, look in found}


def arrows(source: str) -> dict[str, str]:
    """ "from to" → its look."""
    return {start + end: look for start, end, look in re.findall(r"^\t(\d) -> (\d) \[(.*)\]", source, re.M)}


def test_every_vertex_and_every_edge_is_drawn():
    source = drawn(CELL)
    texts = {"0": "0: input", "1": "1: conv 3×3", "2": "2: conv 1×1", "3": "3: max pool 3×3", "4": "4: output"}
    assert {vertex: text for vertex, (text, _) in nodes(source).items()} == texts
    assert set(arrows(source)) == {"01", "02", "12", "13", "24", "34", "04"}
    assert "dashed" not in source
    assert "no way" not in source


def test_operations_have_the_colours_of_other_spaces():
    looks = nodes(drawn(CELL))
    for vertex, name in (("1", "nor_conv_3x3"), ("2", "nor_conv_1x1"), ("3", "max_pool_3x3")):
        assert f'fillcolor="{style.COLOURS[name]}"' in looks[vertex][1]


def test_what_is_on_no_way_is_grey_and_named():
    source = drawn(LOOSE)
    assert "on no way from input to output: vertices 2, 3<" in source
    assert {vertex for vertex, (_, look) in nodes(source).items() if style.FAINT in look} == {"2", "3"}
    assert {edge for edge, look in arrows(source).items() if "dashed" in look} == {"02", "34"}


def test_the_one_part_of_the_genotype_is_the_cell(tmp_path):
    graphs = graphs_of(genotype(CELL), SPACE, "g: ")
    assert list(graphs) == ["graph"]
    assert "g: cell" in graphs["graph"].source
    paths, _ = draw_genotype(genotype(CELL), SPACE, tmp_path)
    assert paths[0] == tmp_path / "n-graph.gv"


def test_what_graphs_share():
    one, other = genotype(CELL), genotype(Graph(CELL.matrix, (CONV3, CONV1, CONV1)))
    assert one.elements() - other.elements() == {(3, POOL)}
    assert agreement([one, other]) == pytest.approx(9 / 11)  # of 7 edges and 3 operations each

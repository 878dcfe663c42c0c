"""Genotypes: written and read as YAML, and written as the text that DARTS code prints."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairdarts.config import LARGEST, UserError, plain
from fairdarts.genotype import (
    CellGenotype,
    ChainGenotype,
    EdgeGenotype,
    GraphGenotype,
    live,
    read,
    to_darts_text,
    to_yaml,
)
from fairdarts.networks.printed import from_darts_text
from fairdarts.spaces.space import check_genotype, load_space

PROPERTY = settings(derandomize=True, deadline=None)
PLAIN = st.text().map(plain)
S1 = load_space("s1")
OPERATION = st.sampled_from(S1.candidates)
EDGE = st.integers(2, 5).flatmap(lambda node: st.tuples(OPERATION, st.just(node), st.integers(0, node - 1)))
CELL = st.lists(EDGE, max_size=14).map(tuple)


def genotype(normal: tuple, reduce: tuple, name: str = "n") -> CellGenotype:
    return CellGenotype(schema=1, name=name, space="s1", source="", normal=normal, reduce=reduce)


@PROPERTY
@given(normal=CELL, reduce=CELL)
def test_yaml_round_trip(tmp_path_factory, normal, reduce):
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    written = genotype(normal, reduce)
    path.write_text(to_yaml(written), encoding="utf-8")
    assert check_genotype(read(path), S1, "there") == written


def test_an_output_that_leaves_nodes_out_survives_yaml_and_darts_text(tmp_path):
    chained = tuple(("skip_connect", node, node - 1) for node in range(2, 6))
    written = genotype(chained, chained).model_copy(update={"reduce_concat": (3, 5)})
    (tmp_path / "some.yaml").write_text(to_yaml(written))
    assert read(tmp_path / "some.yaml") == written
    assert "normal_concat" not in to_yaml(written)
    text = to_darts_text(written)
    assert "normal_concat=range(2, 6)" in text
    assert "reduce_concat=[3, 5]" in text
    assert from_darts_text(text, "n", S1) == written


@PROPERTY
@given(
    layers=st.lists(st.lists(st.sampled_from(["E3K3", "E6K7", "skip_connect"]), max_size=2, unique=True), min_size=1),
    notes=st.lists(PLAIN, max_size=3),
)
def test_chains_survive_yaml(tmp_path_factory, layers, notes):
    path = tmp_path_factory.getbasetemp() / "chain.yaml"
    written = ChainGenotype(schema=1, name="n", space="s2", source="a test", notes=notes, layers=layers)
    path.write_text(to_yaml(written), encoding="utf-8")
    assert read(path) == written


@PROPERTY
@given(edges=st.lists(st.sampled_from(load_space("nasbench201").candidates) | PLAIN))
def test_edges_survive_yaml(tmp_path_factory, edges):
    path = tmp_path_factory.getbasetemp() / "edges.yaml"
    written = EdgeGenotype(schema=1, name="n", space="nasbench201", source="a test", edges=edges)
    path.write_text(to_yaml(written), encoding="utf-8")
    assert read(path) == written


def test_edges_are_read_as_words(tmp_path):
    path = tmp_path / "edges.yaml"
    path.write_text("name: n\nspace: nasbench201\nsource: me\nedges: [none, skip_connect]\n")
    assert read(path).edges == ("none", "skip_connect")
    path.write_text("name: n\nspace: nasbench201\nsource: me\nedges: [none, [skip_connect]]\n")
    with pytest.raises(UserError, match=r"edges.yaml: edges.1: \['skip_connect'\]: should be a valid string"):
        read(path)


@PROPERTY
@given(
    operations=st.lists(PLAIN, max_size=4),
    matrix=st.lists(st.lists(st.integers(-LARGEST, LARGEST), max_size=4), max_size=4),
)
def test_graphs_survive_yaml(tmp_path_factory, operations, matrix):
    path = tmp_path_factory.getbasetemp() / "graph.yaml"
    written = GraphGenotype(
        schema=1, name="n", space="nasbench101", source="a test", operations=operations, matrix=matrix
    )
    path.write_text(to_yaml(written), encoding="utf-8")
    assert read(path) == written


def test_half_a_graph_is_none(tmp_path):
    path = tmp_path / "graph.yaml"
    for key, value, other in (("matrix", "[[0, 1], [0, 0]]", "operations"), ("operations", "[]", "matrix")):
        path.write_text(f"name: n\nspace: nasbench101\nsource: me\n{key}: {value}\n")
        with pytest.raises(UserError, match=f"graph.yaml: {other}: is missing"):
            read(path)


@PROPERTY
@given(name=PLAIN)
@example('a: "b" \\ # c')
@example("a\tb\n")
@example("\u2028\ufeff\ufffe")
def test_any_name_survives_yaml(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "name.yaml"
    path.write_text(to_yaml(genotype((), (), name)), encoding="utf-8")
    assert read(path).name == name


@pytest.mark.parametrize("escape", ["\\0", "\\e[31m", "\\x7f", "\\x85", "\\uD800"])
def test_a_name_that_cannot_be_shown_is_refused_where_it_is_read(tmp_path, escape):
    path = tmp_path / "name.yaml"
    path.write_text(to_yaml(genotype((), (), "NAME")).replace("NAME", f"a{escape}"), encoding="utf-8")
    with pytest.raises(UserError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: name: 'a\\")
    assert str(error.value).endswith(": should hold no control characters")


def test_triples_where_a_node_has_other_than_two_inputs():
    paired = tuple(("skip_connect", node, source) for node in (2, 3, 4, 5) for source in (0, 1))
    assert "('skip_connect', 2, 0)" in to_darts_text(genotype(paired, paired[1:]))
    assert "('skip_connect', 2, 0)" not in to_darts_text(genotype(paired, paired))


def test_live_leaves_out_what_reads_an_unfed_node():
    skip = "skip_connect"
    assert live(()) == ((), ())
    assert live(((skip, 2, 0), (skip, 4, 1))) == (((skip, 2, 0), (skip, 4, 1)), (2, 4))
    # node 3 is fed by nothing, so the first operation of node 4 is ignored
    assert live(((skip, 2, 0), (skip, 4, 3), (skip, 4, 1))) == (((skip, 2, 0), (skip, 4, 1)), (2, 4))
    # node 2 is fed by nothing, so 3 is not, so 4 is not
    assert live(((skip, 3, 2), (skip, 4, 3), (skip, 5, 4), (skip, 5, 0))) == (((skip, 5, 0),), (5,))
    assert live(((skip, 3, 2), (skip, 4, 3), (skip, 5, 4))) == ((), ())
    # sums run from node to node, whatever the order of the file
    assert live(((skip, 3, 2), (skip, 2, 0), (skip, 3, 0))) == (((skip, 2, 0), (skip, 3, 2), (skip, 3, 0)), (2, 3))


@PROPERTY
@given(CELL)
def test_live_operations_read_inputs_and_live_nodes_only(edges):
    kept, nodes = live(edges)
    assert {node for _, node, _ in kept} == set(nodes)
    assert {source for _, _, source in kept} <= {0, 1, *nodes}
    for edge in set(edges) - set(kept):
        assert edge[2] not in {0, 1, *nodes}


@pytest.mark.parametrize(
    ("edges", "empty"),
    [
        (("none",) * 6, ["edges"]),
        (("none", "none", "none", "skip_connect", "none", "none"), []),  # straight from the input to the output
        (("avg_pool_3x3", "none", "none", "none", "none", "nor_conv_1x1"), ["edges"]),  # node 2 reads nothing
        (("avg_pool_3x3", "none", "nor_conv_1x1", "none", "none", "nor_conv_1x1"), []),
    ],
)
def test_a_cell_of_edges_is_empty_where_nothing_leads_to_its_output(edges: tuple[str, ...], empty: list[str]):
    genotype = EdgeGenotype(schema=1, name="a", space="nasbench201", source="tests", edges=edges)
    assert genotype.empty_cells == empty

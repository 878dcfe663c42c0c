"""Genotypes: written and read as YAML and as the text that DARTS code prints."""

from collections import namedtuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.genotype import (
    CellGenotype,
    ChainGenotype,
    EdgeGenotype,
    GraphGenotype,
    from_darts_text,
    live,
    read,
    to_darts_text,
    to_yaml,
)
from fairdarts.spaces.space import check_genotype, load_space

PROPERTY = settings(derandomize=True, deadline=None)
S1 = load_space("s1")
OPERATION = st.sampled_from(S1.candidates)
EDGE = st.integers(2, 5).flatmap(lambda node: st.tuples(OPERATION, st.just(node), st.integers(0, node - 1)))
CELL = st.lists(EDGE, max_size=14).map(tuple)
PAIRED_CELL = st.tuples(
    *(st.tuples(OPERATION, st.just(node), st.integers(0, node - 1)) for node in (2, 2, 3, 3, 4, 4, 5, 5))
)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
EMPTY = "Genotype(normal=[], normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))"
Printed = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def genotype(normal: tuple, reduce: tuple, name: str = "n") -> CellGenotype:
    return CellGenotype(schema=1, name=name, space="s1", source="", normal=normal, reduce=reduce)


def refusal(text: str) -> str:
    with pytest.raises(UserError) as error:
        from_darts_text(text, "n", source="log.txt")
    assert "\n" not in str(error.value)
    return str(error.value)


@PROPERTY
@given(normal=CELL, reduce=CELL)
def test_yaml_round_trip(tmp_path_factory, normal, reduce):
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    written = genotype(normal, reduce)
    path.write_text(to_yaml(written), encoding="utf-8")
    assert check_genotype(read(path), S1, "there") == written


@PROPERTY
@given(
    layers=st.lists(st.lists(st.sampled_from(["E3K3", "E6K7", "skip_connect"]), max_size=2, unique=True), min_size=1),
    notes=st.lists(st.text(), max_size=3),
)
def test_chains_survive_yaml(tmp_path_factory, layers, notes):
    path = tmp_path_factory.getbasetemp() / "chain.yaml"
    written = ChainGenotype(schema=1, name="n", space="s2", source="a test", notes=notes, layers=layers)
    path.write_text(to_yaml(written), encoding="utf-8")
    assert read(path) == written


@PROPERTY
@given(edges=st.lists(st.sampled_from(load_space("nasbench201").candidates) | st.text()))
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
@given(operations=st.lists(st.text(), max_size=4), matrix=st.lists(st.lists(st.integers(), max_size=4), max_size=4))
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
@given(name=st.text())
@example('a: "b" \\ # c')
@example("a\x7fb")
@example("a\x85b")  # a line break to YAML
@example("\u2028\ufeff\ufffe")
def test_any_name_survives_yaml(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "name.yaml"
    path.write_text(to_yaml(genotype((), (), name)), encoding="utf-8")
    assert read(path).name == name


@PROPERTY
@given(normal=PAIRED_CELL, reduce=PAIRED_CELL)
def test_pairs_round_trip(normal, reduce):
    text = to_darts_text(genotype(normal, reduce))
    printed = eval(text, {"Genotype": Printed})  # as DARTS code reads it
    assert printed.normal == [(op, source) for op, _, source in normal]
    assert list(printed.reduce_concat) == [2, 3, 4, 5]
    again = from_darts_text(text, "n")
    assert (again.normal, again.reduce) == (normal, reduce)


@PROPERTY
@given(normal=CELL, reduce=CELL | PAIRED_CELL)
def test_triples_round_trip(normal, reduce):
    again = from_darts_text(to_darts_text(genotype(normal, reduce)), "n")
    assert (again.normal, again.reduce) == (normal, reduce)


def test_triples_where_a_node_has_other_than_two_inputs():
    paired = tuple(("skip_connect", node, source) for node in (2, 3, 4, 5) for source in (0, 1))
    assert "('skip_connect', 2, 0)" in to_darts_text(genotype(paired, paired[1:]))
    assert "('skip_connect', 2, 0)" not in to_darts_text(genotype(paired, paired))


def test_what_darts_prints_for_darts_v2():
    shipped = read(resources.find("genotypes", "darts-v2"))
    parsed = from_darts_text(DARTS_V2, "darts-v2")
    assert sorted(parsed.normal) == sorted(shipped.normal)
    assert sorted(parsed.reduce) == sorted(shipped.reduce)
    assert [node for _, node, _ in parsed.normal] == [2, 2, 3, 3, 4, 4, 5, 5]


def test_the_last_genotype_of_a_log(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text(
        f"03/01 10:00 AM genotype = {EMPTY}\nsome text (in brackets)\n03/01 11:00 AM genotype = {DARTS_V2}\n"
    )
    assert read(log).normal == from_darts_text(DARTS_V2, "n").normal
    assert (read(log).name, read(log).source) == ("log", str(log))


@pytest.mark.parametrize("part", ["normal=[]", "normal_concat=range(2, 6)"])
@pytest.mark.parametrize("form", ["{}", "[{}]", "[('skip_connect', 2, {})]", "range({}, 6)"])
def test_malicious_text_is_refused_and_not_executed(tmp_path, part, form):
    code = f"__import__('os').system('touch {tmp_path}/executed')"
    message = refusal(EMPTY.replace(part, f"{part.partition('=')[0]}={form.format(code)}"))
    assert message.startswith(f"log.txt: {part.partition('=')[0]}: should be a list")
    assert not (tmp_path / "executed").exists()


def test_truncated_text_is_refused_wherever_it_ends():
    start = len("Genotype(")
    for end in range(start, len(DARTS_V2)):
        assert "cut off" in refusal(DARTS_V2[:end])
    assert "longer than 20,000 characters" in refusal(f"Genotype(normal={[1] * 20_000})")
    assert "no 'Genotype('" in refusal(DARTS_V2[: start - 1])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[3, 4, 5]", "normal_concat: should be range(2, 6)"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=range(2, 5)", "reduce_concat: should be range(2, 6)"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=5", "reduce_concat: should be a list, not int"),
        ("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 5, 2)]", "normal: should be pairs (operation, input) or triples"),
        (", ('dil_conv_3x3', 2)]", "]", "normal: 7 pairs, should be 8"),
        ("('dil_conv_3x3', 2)]", "'dil_conv_3x3']", "normal: should be a list of (operation, input)"),
        ("('dil_conv_3x3', 2)]", "((), 2)]", "normal.7.0: (): should be a valid string"),
        ("normal=", "normale=", "the Genotype(...) has no normal="),
        ("normal=[", "normal=[[", "not a printed Genotype(...)"),
    ],
)
def test_wrong_text_names_its_part(before, after, message):
    assert refusal(DARTS_V2.replace(before, after, 1)).startswith(f"log.txt: {message}")


TOKENS = [
    "normal=",
    "reduce=",
    "normal_concat=",
    "range(",
    "[",
    "]",
    "(",
    ")",
    ", ",
    "'a'",
    "0",
    " 2",
    "1e999",
    "-",
    "*",
    "{",
    "}",
]


@PROPERTY
@given(
    st.text()
    | st.text().map("Genotype({})".format)
    | st.lists(st.sampled_from(TOKENS)).map(lambda tokens: f"Genotype({''.join(tokens)})")
    | st.lists(st.sampled_from(TOKENS)).map(lambda tokens: EMPTY.replace("[]", "".join(tokens)))
)
@example(EMPTY.replace("[]", "range(1e999)"))
@example(EMPTY.replace("range(2, 6)", f"range({10**12})"))
@example(EMPTY.replace("[]", "-" * 5000 + "1"))
@example(EMPTY.replace("[]", "-" * 50000 + "1"))
@example("Genotype(\x00)")
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_arbitrary_text_is_read_or_refused(text):
    try:
        outcome = from_darts_text(text, "n")
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, CellGenotype) or outcome.startswith("n: ")


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

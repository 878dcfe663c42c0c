"""Drawn cells: what stands in the Graphviz source."""

import re

from fairdarts.networks.zoo import load_genotype
from fairdarts.plot import style
from fairdarts.plot.cell import cell_graph
from fairdarts.plot.drawing import graphs_of


def parse(source: str) -> tuple[set[str], list[tuple[str, str, str]], list[str]]:
    """Of a source: the nodes shown, (input, label, node) of every operation, the nodes that reach the output."""
    name = r'("[^"]+"|\w+)'
    nodes = {node.strip('"') for node in re.findall(rf"^\t+{name} \[", source, re.M)} - {"node", "edge"}
    labels = dict(re.findall(r'(op\d+) \[label="([^"]+)"', source))
    before = {box: start.strip('"') for start, box in re.findall(rf"{name} -> (op\d+):w", source)}
    after = {box: end.strip('"') for box, end in re.findall(rf"(op\d+):e -> {name}", source)}
    outputs = re.findall(r'^\t(\w+) -> "c_\{k\}" (?!\[style=invis)', source, re.M)
    return nodes - set(labels), [(before[box], labels[box], after[box]) for box in labels], outputs


def cell(*edges: tuple[str, int, int]) -> str:
    return cell_graph(edges, "title").source


def test_fairdarts_a_normal_leaves_out_the_node_that_nothing_feeds():
    source = cell(*load_genotype("fairdarts-a")[0].normal)
    nodes, operations, outputs = parse(source)
    assert nodes == {"0", "1", "2", "4", "5", "c_{k}"}
    assert sorted(operations) == [
        ("0", "max pool 3×3", "4"),
        ("0", "sep conv 3×3", "2"),
        ("0", "sep conv 3×3", "5"),
        ("1", "sep conv 5×5", "2"),
    ]
    assert outputs == ["2", "4", "5"]
    assert "no input: node 3<" in source


def test_fairdarts_a_reduce_has_all_nodes():
    nodes, operations, outputs = parse(cell(*load_genotype("fairdarts-a")[0].reduce))
    assert nodes == {"0", "1", "2", "3", "4", "5", "c_{k}"}
    assert len(operations) == 8
    assert ("1", "dil conv 5×5", "3") in operations
    assert outputs == ["2", "3", "4", "5"]


def test_an_output_that_leaves_nodes_out_is_drawn_so():
    genotype, space = load_genotype("nasnet-a")
    drawn = {name: parse(graph.source) for name, graph in graphs_of(genotype, space).items()}
    assert drawn["normal"][2] == ["2", "3", "4", "5", "6"]
    assert drawn["reduce"][2] == ["4", "5", "6"]
    assert {"2", "3"} < drawn["reduce"][0]
    assert len(drawn["normal"][1]) == 10  # two of which are alike


def test_no_note_on_inputs_where_all_nodes_are_fed():
    assert "no input" not in cell(*load_genotype("darts-v2")[0].normal)


def test_nodes_have_the_numbers_of_the_genotype_inputs_first():
    source = cell(("skip_connect", 2, 1), ("dil_conv_3x3", 5, 2))
    _, operations, _ = parse(source)
    assert operations == [("1", "skip connect", "2"), ("2", "dil conv 3×3", "5")]
    assert "<0: c<sub>k−2</sub>>" in source
    assert "<1: c<sub>k−1</sub>>" in source


def test_operations_have_the_colour_of_every_figure():
    source = cell(("max_pool_3x3", 2, 0))
    assert source.count(f'color="{style.COLOURS["max_pool_3x3"]}"') >= 3  # the box and its two lines


def test_operations_that_read_an_unfed_node_are_left_out():
    nodes, operations, outputs = parse(cell(("skip_connect", 2, 0), ("sep_conv_3x3", 4, 3), ("sep_conv_3x3", 5, 4)))
    assert operations == [("0", "skip connect", "2")]
    assert outputs == ["2"]
    assert not nodes & {"3", "4", "5"}


def test_an_unread_input_is_shown_in_grey():
    source = cell(("skip_connect", 2, 0))
    unread, read = (re.search(rf"^\t+{number} \[(.*)\]", source, re.M).group(1) for number in (1, 0))
    assert style.FAINT in unread
    assert style.FAINT not in read


def test_several_operations_may_share_an_edge():
    _, operations, _ = parse(cell(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 0)))
    assert operations == [("0", "skip connect", "2"), ("0", "sep conv 3×3", "2")]


def test_an_empty_cell_says_why():
    source = cell()
    nodes, operations, outputs = parse(source)
    assert nodes == {"0", "1", "c_{k}", "note"}
    assert (operations, outputs) == ([], [])
    assert "no operation reaches the threshold" in source


def test_a_cell_of_which_nothing_is_left_gives_another_reason():
    source = cell(("sep_conv_3x3", 4, 3))
    assert "no operation is fed by the inputs" in source
    assert "threshold" not in source

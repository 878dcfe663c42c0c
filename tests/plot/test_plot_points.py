"""How choice points are called and arranged."""

from fairdarts.plot.cell import cell_graph
from fairdarts.plot.points import choice_points, part_title, resolutions
from fairdarts.runtime.shape import ImageSize
from fairdarts.spaces.space import load_space

S1, S2, BENCH = load_space("s1"), load_space("s2"), load_space("nasbench201")


def test_edges_stand_as_in_table_2_of_the_paper_with_the_numbers_of_genotypes():
    points = choice_points(S1)
    table = "00 01 10 11 12 20 21 22 23 30 31 32 33 34"
    pairs = tuple((int(pair[0]), int(pair[1])) for pair in table.split())
    assert points.places == pairs
    assert points.labels == points.titles == tuple(f"({node + 2}, {source})" for node, source in pairs)
    assert points.groups == (range(2), range(2, 5), range(5, 9), range(9, 14))
    assert set(points.notes) == {""}


def test_an_edge_has_one_number_in_genotype_drawing_and_axis():
    for at, (node, source) in enumerate(S1.edges):
        graph = cell_graph((("skip_connect", node, source), ("skip_connect", source, 0)), "").source
        assert choice_points(S1).labels[at] == f"({node}, {source})"
        assert f"{source} -> op" in graph
        assert f"e -> {node} " in graph
        if source < 2:
            assert f"<{source}: c<sub>" in graph


def test_layers_count_from_0_and_are_grouped_by_stage():
    points = choice_points(S2)
    assert points.axis == "layer"
    assert (points.labels[3], points.titles[18]) == ("3", "layer 18")
    assert [points.places[number] for number in (0, 4, 5, 18)] == [(0, 0), (0, 4), (1, 0), (3, 3)]
    assert [group.start for group in points.groups] == [0, 2, 6, 10, 14, 18]
    assert points.notes[3] == "96 ch\n14×14"
    assert len(points.labels) == len(points.places) == points.groups[-1].stop == 19


def test_edges_of_nas_bench_201_count_all_nodes():
    points = choice_points(BENCH)
    assert points.labels == points.titles == ("(1, 0)", "(2, 0)", "(2, 1)", "(3, 0)", "(3, 1)", "(3, 2)")
    assert points.places == ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2))
    assert points.groups == (range(1), range(1, 3), range(3, 6))
    assert points.notes == ("",) * 3


def test_resolutions_follow_the_strides_and_round_up():
    assert resolutions(S2) == (112, 56, 28, 14, 14, 7, 7)
    for image, expected in ((33, (17, 9, 5)), (ImageSize(33, 64), ((17, 32), (9, 16), (5, 8)))):
        odd = S2.networks.imagenet.model_copy(update={"image": image})
        networks = S2.networks.model_copy(update={"imagenet": odd})
        assert resolutions(S2.model_copy(update={"networks": networks}))[:3] == expected
    assert choice_points(S2.model_copy(update={"networks": networks})).notes[0] == "32 ch\n9×16"


def test_parts_have_titles():
    parts = (*S1.parts, *S2.parts, *BENCH.parts)
    assert [part_title(part) for part in parts] == ["normal cell", "reduce cell", "chain", "cell"]

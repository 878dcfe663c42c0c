"""Figures of a run: the numbers they are drawn from, and what is drawn of them."""

import matplotlib
import numpy as np
import pytest

from fairdarts.plot import style
from fairdarts.plot.dominant import dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info
from fairdarts.plot.gates import draw_run
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.spaces.cell import CellSpace, load_space

S1 = load_space("s1")
SMALL = S1.model_copy(update={"nodes": 2})


def record(space: CellSpace, epoch: int, dominant: dict[str, int] | None = None) -> dict:
    """Gates that tell epoch, cell, edge and candidate apart."""
    edges, candidates = space.shape
    gates = np.arange(edges * candidates).reshape(edges, candidates) / 1000 + epoch / 10
    return {
        "epoch": epoch,
        "gates": {"normal": gates.tolist(), "reduce": (1 - gates).tolist()},
        "dominant": {"normal": dominant or {}, "reduce": {"skip_connect": 8}},
    }


def test_edges_are_numbered_and_ordered_as_in_table_2_of_the_paper():
    table = "00 01 10 11 12 20 21 22 23 30 31 32 33 34"
    pairs = tuple((int(pair[0]), int(pair[1])) for pair in table.split())
    assert heatmap_info([record(S1, 0)], S1).edges == pairs
    assert evolution_info([record(S1, 0)], S1, "normal").edges == pairs


def test_heatmap_shows_the_last_record():
    info = heatmap_info([record(S1, 0), record(S1, 3)], S1)
    assert info.epoch == 3
    assert info.candidates == S1.candidates
    assert info.gates["normal"].shape == info.gates["reduce"].shape == (14, 7)
    assert info.gates["normal"][1, 2] == pytest.approx(0.309)
    assert info.gates["reduce"][1, 2] == pytest.approx(0.691)


def test_heatmap_writes_every_gate_at_its_edge_and_candidate():
    figure = heatmap_figure(heatmap_info([record(SMALL, 3)], SMALL))
    normal = figure.axes[0]
    written = {text.get_position(): text.get_text() for text in normal.texts}
    assert len(written) == 5 * 7
    assert written[2, 1] == "0.31"  # x is the candidate, y the edge
    assert [text.get_text() for text in normal.get_yticklabels()] == ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)", "(1, 2)"]
    assert normal.get_xticklabels()[3].get_text() == "sep\nconv\n3×3"
    assert normal.get_ylim() == (4.5, -0.5)  # the first edge on top
    assert normal.collections[0].get_clim() == (0, 1)
    assert "epoch 3" in figure.get_suptitle()


def test_heatmap_shows_gates_that_diverged():
    diverged = record(SMALL, 1)
    diverged["gates"]["normal"][0][0] = float("nan")
    text = heatmap_figure(heatmap_info([diverged], SMALL)).axes[0].texts[0]
    assert (text.get_text(), text.get_color()) == ("nan", style.INK)


def test_evolution_has_the_gates_of_one_cell_in_the_order_of_epochs():
    records = [record(S1, epoch) for epoch in range(4)]
    info = evolution_info(records, S1, "reduce")
    assert (info.cell, info.epochs) == ("reduce", (0, 1, 2, 3))
    assert info.gates.shape == (4, 14, 7)
    np.testing.assert_allclose(info.gates[:, 13, 6], [0.903, 0.803, 0.703, 0.603])


def test_evolution_draws_each_edge_in_its_panel_and_each_candidate_in_its_colour():
    figure = evolution_figure(evolution_info([record(SMALL, epoch) for epoch in range(3)], SMALL, "normal"))
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}
    assert list(panels) == ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)", "(1, 2)"]
    line = panels["(1, 0)"].lines[3]
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.017], [1, 0.117], [2, 0.217]])
    assert line.get_color() == style.COLOURS["sep_conv_3x3"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [style.label(op) for op in SMALL.candidates]


@pytest.mark.parametrize(("epoch", "top"), [(1, 0.2), (5, 1.02)])
def test_evolution_stretches_small_gates_only(epoch, top):
    figure = evolution_figure(evolution_info([record(SMALL, epoch)], SMALL, "normal"))
    assert figure.axes[0].get_ylim()[1] == pytest.approx(top)


def test_a_single_epoch_shows_every_candidate_beside_the_others():
    figure = evolution_figure(evolution_info([record(SMALL, 0)], SMALL, "normal"))
    places = {float(line.get_xdata()[0]) for line in figure.axes[0].lines}
    assert len(places) == 7
    assert all(abs(place) < 0.5 for place in places)
    assert {line.get_marker() for line in figure.axes[0].lines} == {"o"}


def test_dominant_counts_candidates_in_order_and_the_missing_as_none():
    records = [record(S1, 0), record(S1, 1, {"sep_conv_3x3": 2, "max_pool_3x3": 1}), record(S1, 2, {"max_pool_3x3": 4})]
    info = dominant_info(records, S1)
    assert (info.epochs, info.candidates) == ((0, 1, 2), S1.candidates)
    assert info.counts["normal"].tolist() == [[0, 1, 4], [0] * 3, [0] * 3, [0, 2, 0], [0] * 3, [0] * 3, [0] * 3]
    assert info.counts["reduce"][2].tolist() == [8, 8, 8]


def test_dominant_areas_lie_on_each_other():
    records = [record(S1, 0, {"max_pool_3x3": 1}), record(S1, 2, {"sep_conv_3x3": 2, "max_pool_3x3": 4})]
    figure = dominant_figure(dominant_info(records, S1))
    first, convolution = (figure.axes[0].patches[at].get_data() for at in (0, 3))
    assert (list(first.values), list(first.baseline)) == ([1, 4], [0, 0])
    assert (list(convolution.values), list(convolution.baseline)) == ([1, 6], [1, 4])
    assert list(first.edges) == [-0.5, 1, 2.5]  # epochs that lie apart leave no gap
    assert figure.axes[0].get_ylim() == (0, 8 * 1.05)


def test_a_cell_without_dominant_operations_says_so():
    normal, reduce = dominant_figure(dominant_info([record(S1, 0)], S1)).axes
    assert [text.get_text() for text in normal.texts] == ["no dominant operation"]
    assert not reduce.texts


def test_draw_run_writes_every_figure(tmp_path):
    space = S1.model_copy(update={"nodes": 1})
    paths = draw_run([record(space, 0), record(space, 1)], space, tmp_path / "figures")
    names = ["gates-heatmap", "gates-evolution-normal", "gates-evolution-reduce", "dominant"]
    assert [path.name for path in paths] == [name + end for name in names for end in (".svg", ".png")]
    assert sorted((tmp_path / "figures").iterdir()) == sorted(paths)


def test_the_same_numbers_give_the_same_bytes_and_leave_no_setting_behind(tmp_path):
    before = matplotlib.rcParams["svg.hashsalt"]
    info = dominant_info([record(S1, 0), record(S1, 1)], S1)
    for name in ("one", "two"):
        style.save(dominant_figure(info), tmp_path, name)
    for end in (".svg", ".png"):
        assert (tmp_path / f"one{end}").read_bytes() == (tmp_path / f"two{end}").read_bytes()
    assert b"<dc:date>" not in (tmp_path / "one.svg").read_bytes()
    assert matplotlib.rcParams["svg.hashsalt"] == before

"""Figures of a run: the numbers they are drawn from, and what is drawn of them."""

import matplotlib
import numpy as np
import pytest

from fairdarts.plot import style
from fairdarts.plot.dominant import dominant_by_run_figure, dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info, stacked_figure
from fairdarts.plot.gates import draw_run
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace, ChainStage
from fairdarts.spaces.space import load_space

S1, S2 = load_space("s1"), load_space("s2")
SMALL = S1.model_copy(update={"nodes": 2})
STAGES = (ChainStage(channels=16, layers=4, stride=1), ChainStage(channels=24, layers=3, stride=2))
BENCH = load_space("nasbench201")
CHAIN = S2.model_copy(update={"stages": STAGES})


def record(space: CellSpace, epoch: int, dominant: dict[str, int] | None = None) -> dict:
    """Gates that tell epoch, cell, edge and candidate apart."""
    edges, candidates = next(iter(space.parts.values())).shape
    gates = np.arange(edges * candidates).reshape(edges, candidates) / 1000 + epoch / 10
    return {
        "epoch": epoch,
        "gates": {"normal": gates.tolist(), "reduce": (1 - gates).tolist()},
        "dominant": {"normal": dominant or {}, "reduce": {"skip_connect": 8}},
    }


def chain_record(space: ChainSpace, epoch: int, dominant: dict[str, int] | None = None) -> dict:
    """Gates that tell epoch, layer and candidate apart."""
    gates = (
        np.arange(np.prod(next(iter(space.parts.values())).shape)).reshape(next(iter(space.parts.values())).shape)
        / 1000
        + epoch / 10
    )
    return {"epoch": epoch, "gates": {"layers": gates.tolist()}, "dominant": {"layers": dominant or {}}}


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
    assert [text.get_text() for text in normal.get_yticklabels()] == ["(2, 0)", "(2, 1)", "(3, 0)", "(3, 1)", "(3, 2)"]
    assert normal.get_xticklabels()[3].get_text() == "sep\nconv\n3×3"
    assert normal.get_ylim() == (4.5, -0.5)  # the first edge on top
    assert normal.collections[0].get_clim() == (0, 1)
    assert "epoch 3" in figure.get_suptitle()


def test_the_heatmap_of_a_chain_lies_with_a_gap_between_stages():
    info = heatmap_info([chain_record(CHAIN, 0), chain_record(CHAIN, 3)], CHAIN)
    assert {part: gates.shape for part, gates in info.gates.items()} == {"layers": (7, 7)}
    figure = heatmap_figure(info)
    panel, _ = figure.axes  # and the colour bar
    written = {text.get_position(): text.get_text() for text in panel.texts}
    assert written[5, 2] == "0.34"  # x is the layer, y the candidate
    assert [text.get_text() for text in panel.get_xticklabels()] == [str(layer) for layer in range(7)]
    assert panel.get_yticklabels()[6].get_text() == "skip connect"
    assert panel.get_ylim() == (6.5, -0.5)
    assert panel.get_xlabel() == "layer"
    assert [line.get_xdata()[0] for line in panel.lines] == [3.5]
    assert [text.get_text() for text in panel.texts if "ch" in text.get_text()] == ["16 ch\n112×112", "24 ch\n56×56"]


def test_heatmap_shows_gates_that_diverged():
    diverged = record(SMALL, 1)
    diverged["gates"]["normal"][0][0] = float("nan")
    text = heatmap_figure(heatmap_info([diverged], SMALL)).axes[0].texts[0]
    assert (text.get_text(), text.get_color()) == ("nan", style.INK)


def test_evolution_has_the_gates_of_one_cell_in_the_order_of_epochs():
    records = [record(S1, epoch) for epoch in range(4)]
    info = evolution_info(records, S1, "reduce")
    assert (info.part, info.epochs) == ("reduce", (0, 1, 2, 3))
    assert info.gates.shape == (4, 14, 7)
    np.testing.assert_allclose(info.gates[:, 13, 6], [0.903, 0.803, 0.703, 0.603])


def test_evolution_draws_each_edge_in_its_panel_and_each_candidate_in_its_colour():
    figure = evolution_figure(evolution_info([record(SMALL, epoch) for epoch in range(3)], SMALL, "normal"))
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}
    assert list(panels) == ["(2, 0)", "(2, 1)", "(3, 0)", "(3, 1)", "(3, 2)"]
    line = panels["(3, 0)"].lines[3]
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.017], [1, 0.117], [2, 0.217]])
    assert line.get_color() == style.COLOURS["sep_conv_3x3"]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [style.label(op) for op in SMALL.candidates]


def test_evolution_of_a_chain_has_a_panel_a_layer_and_its_legend_behind_them():
    figure = evolution_figure(evolution_info([chain_record(S2, epoch) for epoch in range(3)], S2, "layers"))
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}
    assert list(panels) == [f"layer {number}" for number in range(19)]
    line = panels["layer 3"].lines[4]
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.025], [1, 0.125], [2, 0.225]])
    assert line.get_color() == style.COLOURS["E6K5"]
    assert figure.get_suptitle() == "Gates of the chain, by layer"
    labelled = [title for title, ax in panels.items() if ax.xaxis.get_tick_params()["labelbottom"]]
    assert labelled == [f"layer {number}" for number in range(14, 19)]  # the lowest of every column
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(ax.get_tightbbox()) for ax in panels.values())


def softmax_record(space: CellSpace | ChainSpace, epoch: int, lead: float) -> dict:
    """Gates of which the first one leads, and the others share the rest."""
    gates = {}
    for part, (points, candidates) in ((name, part.shape) for name, part in space.parts.items()):
        gates[part] = [[lead] + [(1 - lead) / (candidates - 1)] * (candidates - 1) for _ in range(points)]
    return {"epoch": epoch, "gates": gates, "dominant": {part: {} for part in gates}}


@pytest.mark.parametrize(("lead", "top"), [(0.31, 0.35), (0.4, 0.4), (0.99, 1)])
def test_the_heatmap_of_a_softmax_ends_its_colours_near_the_largest_gate(lead: float, top: float):
    info = heatmap_info([softmax_record(SMALL, 3, lead)], SMALL)
    assert info.top == pytest.approx(top)
    *panels, bar = heatmap_figure(info).axes
    assert {ax.collections[0].get_clim() for ax in panels} == {(0, info.top)}
    assert bar.get_ylabel() == ("gate" if top == 1 else f"gate (the scale ends at {top:.2f})")


@pytest.mark.parametrize(("space", "part"), [(SMALL, "normal"), (CHAIN, "layers"), (BENCH, "edges")])
def test_stacked_gates_of_a_softmax_fill_their_panels(space, part: str):
    records = [softmax_record(space, epoch, lead) for epoch, lead in ((0, 0.2), (1, 0.5), (2, 0.7))]
    info = evolution_info(records, space, part)
    figure = stacked_figure(info)
    panels = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in panels] == list(info.points.titles)
    first, *_, last = (patch.get_data() for patch in panels[-1].patches)
    np.testing.assert_allclose(first.values, [0.2, 0.5, 0.7])
    np.testing.assert_allclose(last.values, [1, 1, 1])
    assert panels[0].get_ylim() == (0, 1)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [style.label(op) for op in reversed(space.candidates)]


def test_stacked_gates_of_sigmoids_have_the_height_of_their_sum():
    records = [softmax_record(SMALL, 0, 0.5)]
    records[0]["gates"]["normal"][2] = [0.5] * 7
    panels = {ax.get_title(): ax for ax in stacked_figure(evolution_info(records, SMALL, "normal")).axes}
    assert panels["(3, 0)"].get_ylim() == (0, 3.5)
    tops = {title: panels[title].patches[-1].get_data().values[0] for title in ("(2, 1)", "(3, 0)")}
    assert tops == pytest.approx({"(2, 1)": 1, "(3, 0)": 3.5})


def test_an_arrow_points_at_the_gate_of_the_skip_connection_in_its_boundary_epoch():
    skip = SMALL.candidates.index("skip_connect")
    records = [softmax_record(SMALL, epoch, 0.16) for epoch in range(4)]
    for record, gate in zip(records, (0.14, 0.13, 0.2, 0.3), strict=True):
        record["gates"]["normal"][1] = [(1 - gate) / 6] * 7
        record["gates"]["normal"][1][skip] = gate
    info = evolution_info(records, SMALL, "normal")
    assert info.boundaries == (None, 2, None, None, None)
    figure = evolution_figure(info)
    arrows = {ax.get_title(): [text.xy for text in ax.texts] for ax in figure.axes if ax.texts}
    assert arrows == {"(2, 1)": [(2, 0.2)]}
    assert "boundary epoch" in figure.get_supxlabel()


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


def test_dominant_choices_of_a_chain_have_one_panel():
    records = [chain_record(CHAIN, 0, {"E3K3": 7}), chain_record(CHAIN, 1, {"skip_connect": 5, "E6K7": 2})]
    info = dominant_info(records, CHAIN)
    assert info.counts["layers"].tolist() == [[7, 0], *[[0, 0]] * 4, [0, 2], [0, 5]]
    (panel,) = dominant_figure(info).axes
    assert list(panel.patches[6].get_data().values) == [7, 7]


def test_dominant_operations_of_runs_stand_beside_one_another_on_one_scale():
    few = dominant_info([chain_record(CHAIN, epoch, {"E3K3": 7}) for epoch in range(2)], CHAIN)
    many = dominant_info([chain_record(CHAIN, epoch, {"E3K3": 9, "skip_connect": 11}) for epoch in range(3)], CHAIN)
    noskip = dominant_info([chain_record(load_space("s2-noskip"), 0)], load_space("s2-noskip"))
    figure = dominant_by_run_figure({"noskip": noskip, "darts": few, "fairdarts": many}, "layers")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["noskip", "darts", "fairdarts"]
    assert {ax.get_ylim() for ax in shown} == {(0, 20 * 1.05)}
    assert [list(ax.patches[0].get_data().values) for ax in shown] == [[0], [7, 7], [9, 9, 9]]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == [style.label(op) for op in reversed(CHAIN.candidates)]


def test_a_cell_without_dominant_operations_says_so():
    normal, reduce = dominant_figure(dominant_info([record(S1, 0)], S1)).axes
    assert [text.get_text() for text in normal.texts] == ["no dominant operation"]
    assert not reduce.texts


@pytest.mark.parametrize("kind", ["cell", "chain"])
def test_draw_run_writes_every_figure(tmp_path, kind: str):
    space = CHAIN if kind == "chain" else S1.model_copy(update={"nodes": 1})
    make = chain_record if kind == "chain" else record
    paths = draw_run([make(space, 0), make(space, 1)], space, tmp_path / "figures")
    over_epochs = [f"gates-{kind}-{part}" for kind in ("evolution", "stacked") for part in space.parts]
    names = ["gates-heatmap", *over_epochs, "dominant"]
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

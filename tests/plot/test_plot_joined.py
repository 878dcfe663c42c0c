"""Layers that differ in their choices are shown as one chain."""

import numpy as np
import pytest
from one_shot import BENCH, IRREGULAR

from fairdarts.differentiable.derive import as_matrices, derive
from fairdarts.plot.dominant import dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info
from fairdarts.plot.gates import draw_run
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.plot.joined import all_candidates, joined_dominant, joined_gates, joined_parts, offered
from fairdarts.plot.report_searched import Found, searches
from fairdarts.spaces.space import Space, load_space

S1 = load_space("s1")
RECORD = {
    "epoch": 1,
    "gates": {
        "layers-1": [[0.01, 0.02]],
        "layers-2": [[0.11, 0.12, 0.13], [0.21, 0.22, 0.23]],
        "layers-3": [[0.31, 0.32, 0.33, 0.34, 0.35]],
    },
    "dominant": {"layers-1": {"skip_connect": 1}, "layers-2": {"MBE2K3": 2}, "layers-3": {"skip_connect": 1}},
}
NAMES = ("skip_connect", "E2K3", "MBE2K3", "E1K5", "E1K3", "MBE1K5", "E2K5")
X = np.nan


def made(space: Space, epoch: int) -> dict:
    parts = space.parts
    gates = {name: np.full(part.shape, 0.1 * epoch).tolist() for name, part in parts.items()}
    return {"epoch": epoch, "gates": gates, "dominant": {name: {"skip_connect": 1} for name in parts}}


def test_the_parts_of_a_chain_are_one_and_cells_are_two():
    assert joined_parts(IRREGULAR) == {"layers": ("layers-1", "layers-2", "layers-3")}
    assert joined_parts(S1) == {"normal": ("normal",), "reduce": ("reduce",)}
    assert joined_parts(BENCH) == {"edges": ("edges",)}
    assert all_candidates(IRREGULAR) == NAMES
    assert all_candidates(BENCH) == BENCH.candidates


def test_layers_stand_in_their_order_each_with_its_own_candidates():
    expected = [
        [0.01, 0.02, X, X, X, X, X],
        [0.11, X, 0.12, 0.13, X, X, X],
        [0.21, X, 0.22, 0.23, X, X, X],
        [0.31, 0.33, X, X, 0.32, 0.34, 0.35],
    ]
    np.testing.assert_array_equal(joined_gates(RECORD, IRREGULAR)["layers"], expected)
    np.testing.assert_array_equal(offered(IRREGULAR)["layers"], ~np.isnan(expected))
    assert joined_dominant(RECORD, IRREGULAR) == {"layers": {"skip_connect": 2, "MBE2K3": 2}}


def test_gates_that_diverged_are_none_that_are_not_there():
    record = RECORD | {"gates": RECORD["gates"] | {"layers-1": [[X, 0.02]]}}
    panel, *_ = heatmap_figure(heatmap_info([record], IRREGULAR)).axes
    written = {text.get_position(): text.get_text() for text in panel.texts if "ch" not in text.get_text()}
    assert len(written) == 2 + 3 + 3 + 5
    assert (written[0, 0], written[0, 1], written[3, 4]) == ("nan", "0.02", "0.32")  # x is the layer
    assert [text.get_text() for text in panel.get_xticklabels()] == ["0", "1", "2", "3"]


def test_a_panel_has_the_lines_of_its_own_candidates():
    figure = evolution_figure(evolution_info([RECORD, RECORD | {"epoch": 2}], IRREGULAR, "layers"))
    panels = {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}
    assert {title: len(ax.lines) for title, ax in panels.items()} == {
        "layer 0": 2,
        "layer 1": 3,
        "layer 2": 3,
        "layer 3": 5,
    }
    np.testing.assert_allclose(panels["layer 3"].lines[1].get_ydata(), [0.33, 0.33])  # E2K3
    assert len(figure.legends[0].get_texts()) == len(NAMES)


def test_dominant_operations_of_all_layers_are_added_up():
    info = dominant_info([RECORD], IRREGULAR)
    assert info.counts["layers"][:, 0].tolist() == [2, 0, 2, 0, 0, 0, 0]
    (panel,) = dominant_figure(info).axes
    assert panel.get_title() == "chain"


@pytest.mark.parametrize("space", [IRREGULAR, BENCH], ids=["irregular", "bench"])
def test_a_search_in_any_space_is_drawn_and_told(space: Space, tmp_path):
    records, (part,) = [made(space, 0), made(space, 1)], joined_parts(space)
    names = {path.stem for path in draw_run(records, space, tmp_path)}
    assert names == {"gates-heatmap", f"gates-evolution-{part}", f"gates-stacked-{part}", "dominant"}
    gates = [as_matrices(record["gates"], space, "here") for record in records]
    derived = [derive(one, space, "argmax", None, "g", "tests") for one in gates]
    first = Found("one", "m", "r", None, "", space, records, derived, "", None, "0 M: none", {})
    runs = [first, first._replace(name="two")]
    page = "".join(searches(runs))
    assert f"skip connections, {part}" in page
    assert "layers-1" not in page
    assert page.count(f"{part}: ") == 2  # the numbers of each run's gates

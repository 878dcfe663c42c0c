"""Found architectures as rows of boxes: what stands in them, in which colour and group."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from fairdarts.plot import style
from fairdarts.plot.found import draw_found, found_figure, found_info
from fairdarts.spaces.space import Space, load_space

MACRO, FAIRNAS, BENCH = load_space("nas-bench-macro"), load_space("fairnas-b"), load_space("nasbench201")
SKIPS = ("best", ("skip_connect", "skip_connect", "MBE6K5", *["MBE3K3"] * 5), "93.1 %, 80 M multiply-adds")


def random(space: Space, models: int) -> list[tuple[str, tuple[str, ...], str]]:
    draw = np.random.default_rng(models)
    paths = [tuple(str(draw.choice(choices)) for choices in space.choices) for _ in range(models)]
    return [(f"model {number}", path, "75.3 %, 388 M, 4.7 M") for number, path in enumerate(paths)]


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


def test_a_chain_has_its_stages_with_width_resolution_and_stride():
    info = found_info(random(FAIRNAS, 3), FAIRNAS)
    assert info.columns.axis == "layer"
    assert info.columns.labels == tuple(map(str, range(19)))
    assert info.columns.groups[0] == (range(2), "32 ch\n56×56", True)
    assert [halved for _, _, halved in info.columns.groups] == [True, True, True, False, True, False]
    assert info.choices == FAIRNAS.candidates


def test_a_cell_has_its_edges_by_the_node_they_lead_into():
    info = found_info(random(BENCH, 1), BENCH)
    assert info.columns.labels == ("0→1", "0→2", "1→2", "0→3", "1→3", "2→3")
    assert [group for group, _, _ in info.columns.groups] == [range(1), range(1, 3), range(3, 6)]
    assert not any(halved for _, _, halved in info.columns.groups)


def test_boxes_hold_labels_in_two_lines_and_a_skip_that_changes_the_shape_says_so():
    info = found_info([SKIPS], MACRO)
    assert info.texts[0][:4] == ("skip,\n1×1", "skip\nconnect", "MBE6\nK5", "MBE3\nK3")
    figure = found_figure(info, "title")
    drawn = boxes(figure)
    assert [to_hex(box.get_facecolor()).upper() for box in drawn] == [style.colour(name) for name in SKIPS[1]]
    texts = [text for text in figure.axes[0].texts if "\n" in text.get_text() and text.get_fontsize() == 8]
    inks = {text.get_text(): text.get_color() for text in texts}
    assert inks["MBE3\nK3"] == style.ink_on(style.colour("E3K3"))
    assert {"best", "93.1 %, 80 M multiply-adds"} <= {text.get_text() for text in figure.axes[0].texts}
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["skip connect", "MBE3 K3", "MBE6 K5", "stride 2"]
    assert figure.get_suptitle() == "title"


@pytest.mark.parametrize(
    ("space", "layers"), [(MACRO, 8), (FAIRNAS, 19), (BENCH, 6)], ids=["macro", "fairnas", "bench"]
)
def test_rows_run_down_and_columns_to_the_right_with_gaps_between_stages(space: Space, layers: int):
    info = found_info(random(space, 13), space)
    corners = np.array([(box.get_x(), box.get_y()) for box in boxes(found_figure(info))]).reshape(13, layers, 2)
    assert np.ptp(corners[:, :, 0], axis=0) == pytest.approx(0)
    steps = np.diff(corners[0, :, 0])
    starts = [group.start - 1 for group, _, _ in info.columns.groups[1:]]
    inside = np.delete(steps, starts)
    assert np.ptp(inside) == pytest.approx(0, abs=1e-9)
    assert steps[starts] == pytest.approx(inside[0] + 0.2)
    assert (np.diff(corners[:, 0, 1]) > boxes(found_figure(info))[0].get_height()).all()
    low, high = found_figure(info).axes[0].get_ylim()
    assert low > high == 0  # the first on top


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("space", [MACRO, FAIRNAS, BENCH, load_space("s2")], ids=["macro", "fairnas", "bench", "s2"])
@pytest.mark.parametrize("models", [1, 13])
def test_no_text_leaves_the_figure(space: Space, models: int):
    figure = found_figure(found_info(random(space, models), space), "title")
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for box, text in zip(boxes(figure), figure.axes[0].texts, strict=False):
        if text.get_text() in box_texts(space):
            assert text.get_window_extent().width < box.get_window_extent().width


def box_texts(space: Space) -> set[str]:
    return {"\n".join(style.label(name).rsplit(" ", 1)) for own in space.choices for name in own}


def test_the_same_models_give_the_same_bytes_and_none_no_figure(tmp_path: Path):
    both = [draw_found([SKIPS], MACRO, tmp_path / name) for name in ("one", "two")]
    for one, two in zip(*both, strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert [path.name for path in both[0]] == ["found.svg", "found.png"]
    assert draw_found([], MACRO, tmp_path) == []

"""What sets searches apart, on records small enough to count by hand."""

import numpy as np
import pytest

from fairdarts.genotype import CellGenotype, ChainGenotype, EdgeGenotype
from fairdarts.plot import compare


def record(epoch: int, gates: list[list[float]], skips: int = 0) -> dict:
    dominant = {"normal": {"skip_connect": skips, "max_pool_3x3": 3}, "reduce": {"skip_connect": 7}}
    return {"epoch": epoch, "gates": {"normal": gates, "reduce": gates}, "dominant": dominant}


def genotype(*normal: tuple[str, int, int]) -> CellGenotype:
    return CellGenotype(schema=1, name="g", space="s1", source="tests", normal=normal, reduce=())


@pytest.mark.parametrize(
    ("gates", "expected"), [([[0.5, 0.5]], 0.5), ([[0, 1], [1, 0]], 0), ([[0.9, 0.2]], 0.15), ([[0.25, 1.0]], 0.125)]
)
def test_the_gap_is_the_mean_distance_to_zero_or_one(gates: list[list[float]], expected: float):
    assert compare.gap(record(1, gates)) == pytest.approx(expected)


def test_agreement_is_the_mean_share_of_common_operations():
    a, b, c = ("sep_conv_3x3", 2, 0), ("sep_conv_3x3", 2, 1), ("skip_connect", 2, 0)
    assert compare.agreement([genotype(a, b), genotype(b, a)]) == 1
    assert compare.agreement([genotype(a), genotype(c)]) == 0
    assert compare.agreement([genotype(a, b), genotype(a, c), genotype(a, b)]) == pytest.approx((1 / 3 + 1 + 1 / 3) / 3)
    assert compare.agreement([genotype(a)]) is None
    assert compare.agreement([genotype(), genotype()]) is None


def test_agreement_of_chains_is_that_of_the_choices_of_every_layer():
    def chain(*layers: tuple[str, ...]) -> ChainGenotype:
        return ChainGenotype(name="g", space="s2", source="tests", layers=layers)

    one = chain(("E3K3", "skip_connect"), (), ("E6K7",))
    assert compare.agreement([one, one]) == 1
    assert compare.agreement([one, chain(("skip_connect",), ("E6K7",), ("E6K7",))]) == 2 / 4


def test_agreement_of_one_operation_an_edge_is_that_of_the_edges():
    one, other = (
        EdgeGenotype(name="g", space="nasbench201", source="tests", edges=edges)
        for edges in (("none", "skip_connect", "none"), ("none", "none", "skip_connect"))
    )
    assert compare.agreement([one, one]) == 1
    assert compare.agreement([one, other]) == 1 / 5


def test_gap_and_histogram_take_whatever_parts_a_record_has():
    layers = {"epoch": 1, "gates": {"layers": [[0.25, 1.0], [0.5, 0.02]]}, "dominant": {"layers": {"skip_connect": 2}}}
    assert compare.gap(layers) == pytest.approx((0.25 + 0 + 0.5 + 0.02) / 4)
    shares = compare.histogram_info({"m": {"r": [layers]}})["m"]
    assert shares[[0, 5, 10, 19]].tolist() == [0.25] * 4
    assert compare.skips_info({"m": {"r": [layers]}}, "layers") == {"m": {"r": [2]}}


RUNS = {
    "darts": {"darts-seed0": [record(0, [[0.5]], 1), record(1, [[0.5]], 4)], "darts-seed1": [record(0, [[0.02]], 0)]},
    "fairdarts": {"fairdarts-seed0": [record(0, [[0.5]], 0), record(1, [[1.0]], 2)]},
}


def test_skip_connections_are_those_of_the_normal_cell():
    skips = compare.skips_info(RUNS, "normal")
    assert skips == {
        "darts": {"darts-seed0": [1, 4], "darts-seed1": [0]},
        "fairdarts": {"fairdarts-seed0": [0, 2]},
    }
    figure = compare.skips_figure(skips, "dominant skip connections")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["darts", "fairdarts"]
    assert [len(ax.lines) for ax in shown] == [2, 1]
    assert np.round(shown[0].lines[0].get_ydata()).tolist() == [1, 4]


def test_seeds_are_told_apart_and_look_alike_in_every_panel():
    skips = {"m": {"m-seed0": [1, 4], "m-seed1": [0, 0]}, "n": {"n-seed1": [2, 3]}}
    figure = compare.skips_figure(skips, "derived skip connections")
    first, second = (ax for ax in figure.axes if ax.get_visible())
    looks = [[(line.get_color(), line.get_marker()) for line in ax.lines] for ax in (first, second)]
    assert looks[0][0] != looks[0][1] == looks[1][0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["seed0", "seed1"]
    assert figure.get_supylabel() == "derived skip connections"
    alone = compare.skips_figure({"a": {"a": [1]}, "b": {"b": [2]}}, "skips")
    assert not alone.legends  # the titles say it


def test_derived_skip_connections_are_those_of_the_genotypes_of_every_epoch():
    cells = genotype(("skip_connect", 2, 0), ("sep_conv_3x3", 2, 1), ("skip_connect", 3, 0))
    assert compare.derived_skips_info({"m": {"r": [cells, genotype()]}}, "normal") == {"m": {"r": [2, 0]}}
    edges = EdgeGenotype(name="g", space="nasbench201", source="tests", edges=("skip_connect", *["none"] * 5))
    assert compare.derived_skips_info({"m": {"r": [edges]}}, "edges") == {"m": {"r": [1]}}


def test_the_histogram_is_of_all_last_gates_of_a_method():
    shares = compare.histogram_info(RUNS)
    assert shares["darts"][[0, 10]].tolist() == [0.5, 0.5]
    assert shares["fairdarts"][-1] == 1
    assert all(own.sum() == pytest.approx(1) for own in shares.values())
    figure = compare.histogram_figure(shares)
    assert [bar.get_height() for bar in figure.axes[1].patches][-1] == 100
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes[:2]}) == 1  # heights compare


def test_the_sweep_is_a_dot_a_run():
    figure = compare.sweep_figure(((0.0, 30), (10.0, 12)))
    (line,) = figure.axes[0].lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([0, 10], [30, 12])

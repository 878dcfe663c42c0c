"""Curves of what was measured, and no panel of what was not."""

import math

from fairdarts.plot.curves import curves_figure, curves_info

RECORDS = [
    {"epoch": 0},
    {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.2, "valid_loss": 2.1, "valid_accuracy": 0.1},
    {"epoch": 2, "train_loss": 1.0, "train_accuracy": 0.6, "valid_loss": 1.5, "valid_accuracy": 0.5},
]


def test_curves_are_those_of_the_records():
    info = curves_info(RECORDS)
    assert info.epochs == (1, 2)
    assert info.values["train_loss"] == (2, 1)
    assert info.values["valid_accuracy"] == (0.1, 0.5)
    figure = curves_figure(info)
    assert [ax.get_title() for ax in figure.axes] == ["loss", "accuracy"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "held out"]
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.2, 0.6]


def test_the_eigenvalue_has_a_panel_where_it_was_measured():
    info = curves_info([*RECORDS, {**RECORDS[2], "epoch": 3, "eigenvalue": 0.4}])
    assert math.isnan(info.values["eigenvalue"][0])
    assert info.values["eigenvalue"][2] == 0.4
    assert curves_figure(info).axes[2].get_title() == "largest eigenvalue of the Hessian"


def test_a_single_level_search_has_no_held_out_curve():
    info = curves_info([{"epoch": 0}, {"epoch": 1, "train_loss": 2.0, "train_accuracy": 0.2}])
    assert list(info.values) == ["train_loss", "train_accuracy"]
    assert [len(ax.lines) for ax in curves_figure(info).axes] == [1, 1]

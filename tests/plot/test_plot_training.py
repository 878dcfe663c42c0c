"""Loss, accuracy and learning rate of one training of a network."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fairdarts.plot import training

TOP1 = (0.5, 0.9, 0.75, 0.9)


def records(top1=TOP1, judged: bool = True) -> list[dict]:
    found = []
    for epoch, share in enumerate(top1, start=1):
        record = {"epoch": epoch, "train_loss": 2 / epoch, "train_accuracy": 0.2 * epoch, "lr": 0.1 / epoch}
        record |= {"seconds": 1.0}
        if judged:
            record |= {"valid_loss": 3 / epoch, "valid_top1": share, "valid_top5": 0.5 + share / 2}
        found.append(record)
    return found


def lines(ax: Axes) -> dict[str, list[float]]:
    """The curves of a panel, by colour."""
    return {
        to_hex(line.get_color()).upper(): list(line.get_ydata()) for line in ax.lines if line.get_linestyle() == "-"
    }


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def ring(figure: Figure) -> tuple[float, float]:
    """Epoch and accuracy that are marked as the best."""
    (marked,) = [line for line in figure.axes[1].lines if line.get_label().startswith("best")]
    return float(marked.get_xdata()[0]), float(marked.get_ydata()[0])


def test_the_numbers_are_those_of_the_records():
    info = training.network_info(records())
    assert info.epochs.tolist() == [1, 2, 3, 4]
    assert info.train_loss == pytest.approx([2, 1, 2 / 3, 0.5])
    assert info.valid_loss == pytest.approx([3, 1.5, 1, 0.75])
    assert info.train_accuracy == pytest.approx([20, 40, 60, 80])
    assert info.judged == pytest.approx([50, 90, 75, 90])
    assert info.judged_beside == pytest.approx([75, 95, 87.5, 95])
    assert info.lr == pytest.approx([0.1, 0.05, 0.1 / 3, 0.025])


def test_every_number_has_its_panel_and_colour():
    info = training.network_info(records())
    figure = training.network_figure(info)
    losses, accuracies, rates = figure.axes
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy, %", "learning rate"]
    assert lines(losses) == {training.TRAINED: list(info.train_loss), training.JUDGED: list(info.valid_loss)}
    assert lines(accuracies) == {
        training.TRAINED: list(info.train_accuracy),
        training.JUDGED: list(info.judged),
        training.FIRST_FIVE: list(info.judged_beside),
    }
    assert [list(line.get_ydata()) for line in rates.lines] == [list(info.lr)]
    assert rates.get_ylim()[0] == 0
    assert legend(figure) == [
        "training images (loss: as minimized)",
        "judged images",
        "judged, top-5",
        "best: 90.00 % in epoch 2",
    ]


def test_the_first_of_equally_good_epochs_is_the_best():
    """As the training keeps it: a later one has to be better."""
    assert ring(training.network_figure(training.network_info(records()))) == (2, pytest.approx(90))


def test_an_epoch_that_was_not_judged_is_no_best_one():
    some = records()
    for key in ("valid_loss", "valid_top1", "valid_top5"):
        del some[1][key]
    info = training.network_info(some)
    assert np.isnan([info.valid_loss[1], info.judged[1], info.judged_beside[1]]).all()
    assert ring(training.network_figure(info)) == (4, pytest.approx(90))


def test_without_judged_images_there_is_no_curve_of_them():
    info = training.network_info(records(judged=False))
    assert np.isnan(info.judged).all()
    figure = training.network_figure(info)
    assert [set(lines(ax)) for ax in figure.axes[:2]] == [{training.TRAINED}] * 2
    assert legend(figure) == ["training images (loss: as minimized)"]


def test_one_epoch_is_a_point_in_every_panel():
    figure = training.network_figure(training.network_info(records((0.5,))))
    for ax in figure.axes:
        assert all(line.get_marker() == "o" for line in ax.lines)
        assert [tick for tick in ax.get_xticks() if tick == round(tick)] == list(ax.get_xticks())
    assert ring(figure) == (1, 50)


def test_many_epochs_have_no_markers():
    figure = training.network_figure(training.network_info(records(tuple(np.linspace(0.1, 0.9, 60)))))
    assert {line.get_marker() for line in figure.axes[0].lines} == {"None"}


def test_the_legend_lies_below_all_panels():
    figure = training.network_figure(training.network_info(records()))
    figure.draw_without_rendering()
    top = figure.legends[0].get_window_extent().y1
    assert all(top <= ax.get_tightbbox().y0 for ax in figure.axes)


def test_a_figure_is_written_where_there_is_something_to_show(tmp_path: Path):
    names = [path.name for path in training.draw_network_training(records(), tmp_path)]
    assert names == ["training.svg", "training.png"]
    assert training.draw_network_training([], tmp_path / "none") == []
    assert not (tmp_path / "none").exists()


def test_a_segmentation_network_is_judged_by_its_iou_where_it_was_judged():
    found = [{key: value for key, value in record.items() if "valid" not in key} for record in records()]
    for number, (miou, pixels) in {1: (0.2, 0.5), 3: (0.4, 0.7)}.items():
        found[number] |= {"valid_loss": 1.0, "valid_miou": miou, "valid_accuracy": pixels}
    figure = training.network_figure(training.network_info(found))
    drawn = lines(figure.axes[1])
    assert drawn[training.JUDGED] == pytest.approx([20, 40])
    assert drawn[training.FIRST_FIVE] == pytest.approx([50, 70])
    assert ring(figure) == (4, 40)
    assert "judged images (accuracy: mean IoU)" in legend(figure)

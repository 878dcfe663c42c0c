"""Curves of one training, and of several side by side."""

from pathlib import Path

import numpy as np
import pytest

from fairdarts.plot import supernet

WATCHED = ([10.0, 20.0], [30.0, 50.0], [60.0, 62.0])


def records(accuracies=WATCHED, passes: int = 100) -> list[dict]:
    found = []
    for epoch, watched in enumerate(accuracies, start=1):
        record = {"epoch": epoch, "passes": epoch * passes, "train_loss": 2 / epoch, "train_accuracy": 0.1 * epoch}
        record |= {"updates": [[epoch, epoch]], "lr": 0.1 / epoch, "seconds": 1.0}
        if watched:
            record |= {"watched": watched, "watched_mean": np.mean(watched), "watched_std": np.std(watched)}
        found.append(record)
    return found


def test_a_training_is_that_of_its_records():
    info = supernet.training_info(records())
    assert info.epochs.tolist() == [1, 2, 3]
    assert info.watched.tolist() == [list(own) for own in WATCHED]
    assert info.mean.tolist() == [15, 40, 61]
    assert info.deviation.tolist() == [5, 10, 1]
    assert info.train_accuracy == pytest.approx([10, 20, 30])
    figure = supernet.training_figure(info)
    assert [ax.get_ylabel() for ax in figure.axes] == ["accuracy, %", "training loss", "learning rate"]
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx([2, 1, 2 / 3])
    band = figure.axes[0].collections[0].get_paths()[0].get_extents()
    assert (band.ymin, band.ymax) == (10, 62)


def test_where_nothing_was_watched_there_is_no_curve_of_it():
    info = supernet.training_info(records(((), ())))
    assert info.watched.shape == (2, 0)
    assert np.isnan(info.mean).all()
    figure = supernet.training_figure(info)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["trained paths, training images"]


def test_seeds_of_a_recipe_are_averaged():
    info = supernet.trainings_info(
        [("fair", records(([0.0, 2.0],))), ("spos", records()), ("fair", records(([4.0, 6.0],)))]
    )
    assert info.seeds == {"fair": 2, "spos": 1}
    assert info.mean["fair"].tolist() == [3]
    assert info.deviation["fair"] == pytest.approx([np.std([0, 2, 4, 6])])
    assert info.mean["spos"].tolist() == [15, 40, 61]
    assert info.passes["spos"].tolist() == [100, 200, 300]


def test_trainings_of_different_length_are_not_averaged():
    info = supernet.trainings_info([("fair", records()), ("fair", records(([10.0, 20.0],)))])
    assert info.seeds == {"fair, 3 epochs": 1, "fair, 1 epoch": 1}


def test_passes_have_a_panel_where_epochs_differ_in_them():
    alike = supernet.trainings_info([("fair", records()), ("spos", records())])
    apart = supernet.trainings_info([("fair", records(passes=300)), ("spos", records())])
    assert len(supernet.trainings_figure(alike).axes) == 1
    axes = supernet.trainings_figure(apart).axes
    assert [ax.get_xlabel() for ax in axes] == ["epoch", "batches passed forward and backward"]
    assert [line.get_xdata().tolist() for line in axes[1].lines] == [[300, 600, 900], [100, 200, 300]]


def test_many_lines_have_no_shade():
    few, many = (
        supernet.trainings_figure(supernet.trainings_info([(str(number), records()) for number in range(count)]))
        for count in (2, supernet.SHADED + 1)
    )
    assert len(few.axes[0].collections) == 2
    assert len(many.axes[0].collections) == 0
    assert "shade" not in many.get_suptitle()


def test_figures_are_written_where_there_is_something_to_show(tmp_path: Path):
    names = [path.name for path in supernet.draw_training(records(), tmp_path)]
    assert names == ["training.svg", "training.png", "updates.svg", "updates.png"]
    assert [path.name for path in supernet.draw_trainings([("fair", records())], tmp_path)] == [
        "trainings.svg",
        "trainings.png",
    ]
    assert supernet.draw_training([], tmp_path) == []
    assert supernet.draw_trainings([("fair", records(((), ())))], tmp_path) == []

"""Studies that train the cells which their searches find, and random ones, on runs of a second."""

import json
import os
import signal
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
import torch
import yaml
from runs import assert_same_run
from studies import factor_study

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.runs.study.trained import trained_rows
from fairdarts.runtime.lock import held

RECIPE: dict[str, Any] = {
    "verb": "train",
    "name": "alone",
    "source": "tests",
    "device": "cpu",
    "epochs": 2,
    "data": {"kind": "cifar10", "root": "data", "batch_size": 8, "train_portion": 0.5, "cutout": 16, "workers": 0},
    "network": {"cells": 3, "channels": 2},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 3e-4},
    "schedule": {"kind": "cosine"},
    "loss": {"auxiliary": 0.4},
}
"""made for CIFAR's images, as the shipped ones are; the searches see others"""


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, and without figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    monkeypatch.setattr("fairdarts.runs.training.log_network", lambda *_: None)


@pytest.fixture
def content(tiny_recipe: Path) -> dict[str, Any]:
    """A search that finds cells, and random cells."""
    return {
        "name": "small",
        "source": "tests",
        "seeds": [0, 1],
        "shared": {"epochs": 1},
        "train": {"config": RECIPE, "changes": {"epochs": 1}},
        "random": [{"name": "random", "space": "tiny-space.yaml", "skips": 1}],
        "runs": [{"name": "found", "config": str(tiny_recipe), "changes": {"derive.method": "argmax"}}],
    }


def test_cells_are_trained_with_the_images_and_seeds_of_their_searches(content):
    done = fairdarts.study(content, settings={"train.optimizer.lr": 0.05, "weights.lr": 0.2})
    assert [path.name for path in done.paths] == [
        *("found-seed0", "found-seed0-train", "random-seed0-train"),
        *("found-seed1", "found-seed1-train", "random-seed1-train"),
    ]
    runs = {run.path.name: run for run in done.runs}
    for seed in (0, 1):
        search, training = runs[f"found-seed{seed}"], runs[f"found-seed{seed}-train"]
        assert training.genotype == search.genotype
        drawn = fairdarts.sample_genotypes("tiny-space.yaml", seed=seed, skips=1)[0].genotype
        assert runs[f"random-seed{seed}-train"].genotype == drawn
        assert search.settings.weights.lr == 0.2
        for run in (training, runs[f"random-seed{seed}-train"]):
            told = run.settings
            assert (told.seed, told.epochs, told.optimizer.lr) == (seed, 1, 0.05)
            assert (told.data.kind, told.data.images, told.data.batch_size) == ("fake", 32, 8)
            assert (told.data.cutout, told.loss.auxiliary) == (4, 0)  # as its images have 8×8 pixels
            assert run.shape == search.shape
    again = fairdarts.study(content, settings={"train.optimizer.lr": 0.05, "weights.lr": 0.2})
    assert again.whole
    with pytest.raises(UserError, match=r"found-seed0-train/settings.yaml: optimizer.lr: 0.05, but the study says 0.1"):
        fairdarts.study(content, settings={"weights.lr": 0.2})


def test_the_numbers_are_those_of_the_trainings(content):
    done = fairdarts.study(content)
    found, random = done.trained
    assert (found.name, random.name, found.seeds, found.judged_by) == ("found", "random", (0, 1), "16 held-out images")
    results = [json.loads(Path(f"runs/small/found-seed{seed}-train/results.json").read_text()) for seed in (0, 1)]
    values = [100 * result["last"]["top1"] for result in results]
    assert found.accuracy.values == tuple(values)
    assert (found.accuracy.mean, found.accuracy.deviation, found.best) == (mean(values), stdev(values), max(values))
    for row in (found, random):
        weights = fairdarts.load(f"runs/small/{row.name}-seed0-train").parameters()
        assert row.params.values[0] == sum(weight.numel() for weight in weights) / 1e6
        assert row.missing == {}
    assert random.madds.values[0] > 0
    assert trained_rows(sorted(done.folder.iterdir())) == [found, random]
    assert trained_rows([Path("runs/small/found-seed0")]) == []
    page = done.report("page.html").read_text()
    assert "The cells, trained" in page
    assert f"{found.accuracy.mean:.2f} ± {found.accuracy.deviation:.2f}" in page


def test_the_best_epoch_counts_where_other_images_chose_it(content):
    fairdarts.study(content | {"seeds": [0]})
    file = Path("runs/small/found-seed0-train/results.json")
    told = {"images": 9, "on": "test", "best_by": "held-out", "last": {"top1": 0.5}, "best": {"top1": 0.75}}
    file.write_text(json.dumps(told))
    paths = [file.parent, Path("runs/small/found-seed0")]
    assert trained_rows(paths)[0].accuracy.values == (75,)
    file.write_text(json.dumps(told | {"best_by": "test"}))
    assert trained_rows(paths)[0].accuracy.values == (50,)
    assert trained_rows(paths[:1]) == []  # a training by itself
    file.write_text('{"on": 1}')
    assert trained_rows(paths)[0].missing == {0: f"{file}: not the results of a training"}


def test_a_cell_that_nothing_leads_through_has_failed_and_stops_no_other(content):
    empty = {**content["runs"][0], "name": "empty", "changes": {"derive.threshold": 0.999}}
    notes: list[str] = []
    content |= {"runs": [empty, *content["runs"]], "seeds": [0]}
    with pytest.raises(UserError, match=r"^small: 1 of its runs failed: empty-seed0-train$"):
        fairdarts.study(content, callbacks=Told(notes))
    assert any(note.startswith("empty-seed0-train: ") and "no operation" in note for note in notes)
    row, found, random = trained_rows([Path("runs/small/empty-seed0"), *sorted(Path("runs/small").iterdir())])
    assert (row.accuracy.known, row.missing) == ([], {0: "nothing leads through its cell: normal, reduce"})
    assert len(found.accuracy.known) == len(random.accuracy.known) == 1


class Told(fairdarts.Callback):
    """Keeps what is said."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(content):
    class Stops(fairdarts.Callback):
        def begin(self, run: fairdarts.Run) -> None:
            self.verb = run.verb

        def step(self, epoch: int, step: int, *_: Any) -> None:
            if self.verb == "train":
                os.kill(os.getpid(), signal.SIGINT)

    content |= {"seeds": [0], "random": []}
    with pytest.raises(KeyboardInterrupt):
        fairdarts.study(content, callbacks=Stops())
    assert fairdarts.open_run("runs/small/found-seed0-train").state == "stopped"
    assert fairdarts.study(content).trained[0].missing == {}
    fairdarts.study(content, "whole")
    assert_same_run(Path("runs/small/found-seed0-train"), Path("whole/found-seed0-train"))


def test_a_training_waits_for_its_search(content):
    with held(Path("runs/small/.locks/found-seed0"), Path("runs/small/found-seed0")):  # where another process is at it
        done = fairdarts.study(content)
    assert sorted(run.path.name for run in done.runs) == [
        *("found-seed1", "found-seed1-train", "random-seed0-train", "random-seed1-train"),
    ]
    assert not done.whole
    assert done.trained[0].missing == {0: "is not trained yet"}


def test_images_that_are_handed_over_are_those_of_the_trainings(content):
    images = torch.randint(0, 256, (48, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = (images, torch.arange(48) % 3)
    done = fairdarts.study(content | {"seeds": [0]}, data=data)
    for run in done.runs:  # at the size that the search sees them
        assert (run.settings.data.kind, run.settings.data.number, run.shape.image) == ("given", 48, 8)
    assert done.runs[1].settings.data.cutout == 4
    assert fairdarts.study(content | {"seeds": [0]}, data=data).whole


def test_the_verb_trains_by_a_recipe_and_shows_a_table(content, capsys):
    del content["train"]
    content["seeds"] = [0]
    Path("alone.yaml").write_text(yaml.safe_dump(RECIPE))
    Path("small.yaml").write_text(yaml.safe_dump(content))
    assert main(["study", "small.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "small: random: random cells are trained and not searched; --train RECIPE does" in err
    assert (out, sorted(path.name for path in Path("runs/small").glob("*-seed*"))) == (
        *("runs/small/report.html\n", ["found-seed0"]),
    )
    words = ["study", "small.yaml", "--train", "alone.yaml", "--train.epochs", "1", "--train.lr=0.05", "--epochs", "1"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    settings = fairdarts.open_run("runs/small/found-seed0-train").settings
    assert (settings.epochs, settings.optimizer.lr) == (1, 0.05)
    titles, found, random, page = out.splitlines()
    assert titles.startswith("method")
    assert "accuracy, %" in titles
    assert (found.split()[0], random.split()[0], page) == ("found", "random", "runs/small/report.html")
    assert "1 of 1" in found
    assert "small: run 2 of 3: found-seed0-train" in err
    assert main(["study", "small.yaml", "--train", "alone.yaml", "--train.epoch", "1"]) == 2
    assert "command line: --train.epoch: is neither an option nor a setting" in capsys.readouterr().err
    assert main(["study", "small.yaml", "--train", "alone.yaml", "--train.lr", "-1"]) == 2
    assert "command line: --train.lr (optimizer.lr): '-1': should be" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "asked", "message"),
    [
        ({"train": None}, {"settings": {"train.epochs": 1}}, r"^study: train.epochs: study trains no cells; --train"),
        ({}, {"train": "darts-s1-cifar10"}, r"^study: train: .*darts-s1-cifar10.* is a recipe of `fairdarts search`"),
        ({}, {"settings": {"train.lrr": 1}}, r"^settings: train.lrr: is no setting"),
        ({}, {"settings": {"train": {"epochs": 0}}}, r"^settings: train.epochs: '?0'?: should be"),
        ({}, {"settings": {"train.seed": 1}}, r"^settings: train.seed: a study's seeds stand in its file"),
        ({"train": {"config": RECIPE, "changes": {"seed": 1}}}, {}, r"^study: train: seed: a study's seeds"),
        ({"train": {"config": RECIPE, "changes": {"epoch": 1}}}, {}, r"^study: train: epoch: unknown key .*'epochs'"),
        ({"random": [{"name": "found"}]}, {}, r"the name 'found' stands twice"),
        ({"random": [{"name": "r", "skips": 9}]}, {}, r"^study: r: skips 9: should be 0 or more, at most 8"),
        ({"random": [{"name": "r", "space": "nasbench201"}]}, {}, r"^study: r: space nasbench201: is a nasbench201 sp"),
        (
            {"runs": [{"name": "s", "config": "fairnas-macro-small"}], "shared": {}},
            {},
            r"s: `fairdarts supernet` finds",
        ),
    ],
)
def test_a_mistake_is_named_before_anything_runs(content, change, asked, message):
    with pytest.raises(UserError, match=message):
        fairdarts.study({**content, **change}, **asked)
    assert not Path("runs").exists()


def test_a_study_of_factors_trains_no_cells():
    with pytest.raises(UserError, match=r"^study: --train: is for a study of recipes"):
        fairdarts.study(factor_study(), benchmarks=".", train=RECIPE)

"""From class folders to a model: a whole fit of small images, stopped and gone on with, and what cannot be fitted."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.reading import read_yaml
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.fit import look, plan
from fairdarts.runs.fit.asked import read_asked

BUDGET = "madds <= 300e3"


def photographs(root: Path, number: int, size: tuple[int, int] = (20, 20), classes: str = "ab") -> Path:
    """Images of noise, red of the first class, green of the second."""
    rng = np.random.default_rng(0)
    for place, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for at in range(number):
            pixels = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
            pixels[..., place % 3] += 150
            Image.fromarray(pixels).save(root / name / f"{at}.png")
    return root


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "SEARCH_STEPS", (2, 4))
    monkeypatch.setattr(plan, "SEARCH_EPOCHS", (2, 2))
    monkeypatch.setattr(plan, "TRAIN_EPOCHS", (2, 3))
    monkeypatch.setattr("fairdarts.runs.fit.planned.MEASURED", 2)
    monkeypatch.setattr("fairdarts.transfer.formats.ROUNDS", 3)


class Notes(Callback):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.epochs: list[int] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def epoch(self, record: dict) -> None:
        self.epochs.append(record["epoch"])


def test_class_folders_become_a_model_within_the_budget():
    photographs(Path("photos"), 15)
    notes = Notes()
    found = fairdarts.fit("photos", BUDGET, hours=0.001, callbacks=notes, threads=1)
    results = json.loads(Path("fit/results.json").read_text())
    assert results == json.loads(json.dumps(found.results))
    assert results["cost"] <= 300e3
    assert (found.search.state, found.train.state) == ("finished", "finished")
    assert notes.epochs == [1, 2, *range(1, found.train.settings.epochs + 1)]
    assert notes.lines[0] == "images     24 train, 6 judge (of every class its share, chosen once)"
    chosen = read_yaml(Path("fit/fit.yaml"))["chosen"]
    assert chosen == [line for line in notes.lines if line in chosen]
    assert results["images"] == 6
    low, high = results["interval"]
    assert low <= results["top1"] <= high
    # the file, on the very images that judged
    with Path("fit/images/test.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    told = fairdarts.predict("fit/model.onnx", [Path("fit/images") / path for path, _ in rows], top=1)
    right = sum(one.classes[0] == label for one, (_, label) in zip(told, rows, strict=True))
    assert right / len(rows) == pytest.approx(results["top1"])
    # again: nothing is trained once more
    again = Notes()
    same = fairdarts.fit("photos", BUDGET, hours=0.001, callbacks=again, threads=1)
    assert again.epochs == []
    assert same.results == found.results
    with pytest.raises(UserError, match=r"fit: budget: madds <= 300e3 when it began, madds <= 400e3 now"):
        fairdarts.fit("photos", "madds <= 400e3", hours=0.001)


def test_a_fit_goes_on_where_it_was_stopped(capsys: pytest.CaptureFixture[str]):
    photographs(Path("photos"), 12)

    class Interrupts(Callback):
        def __init__(self, verb: str):
            self.verb = verb

        def begin(self, run: fairdarts.Run) -> None:
            self.now = run.verb

        def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
            if self.now == self.verb and epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    for verb in ("search", "train"):
        with pytest.raises(KeyboardInterrupt):
            fairdarts.fit("photos", BUDGET, hours=0.001, out="parts", callbacks=Interrupts(verb), threads=1)
    assert main(["fit", "photos", "--out", "parts"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("accuracy   ")
    assert "the budget is madds <= 300000" in out
    assert "predict parts/model.onnx PHOTO.jpg" in err
    assert main(["fit", "photos", "--out", "parts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"] == "madds <= 300000"


def test_large_photographs_are_copied_once_and_seen_as_they_are():
    photographs(Path("photos"), 4, size=(80, 160))
    seen = look.look(Path("photos"), 0.25, Callback())
    copies = look.copied(seen, (20, 40), Path("copies"), Callback())
    assert [head[:2] for head in copies.heads] == [(40, 20)] * 6
    first, copy = (Image.open(files.paths[0]) for files in (seen.train, copies.train))
    np.testing.assert_array_equal(first.resize((40, 20), Image.Resampling.BILINEAR), copy)
    before = os.stat(copies.train.paths[0]).st_mtime_ns
    look.copied(seen, (20, 40), Path("copies"), Callback())
    assert os.stat(copies.train.paths[0]).st_mtime_ns == before
    photographs(Path("others"), 4, size=(90, 180))  # of which no older copy is taken
    again = look.copied(look.look(Path("others"), 0.25, Callback()), (20, 40), Path("copies"), Callback())
    assert not {*again.train.paths} & {*copies.train.paths}


def test_a_test_set_that_is_there_judges_and_nothing_is_held_out():
    photographs(Path("photos/train"), 4)
    photographs(Path("photos/test"), 3)
    seen = look.look(Path("photos"), 0.25, Callback())
    assert (len(seen.train), len(seen.test), seen.own_test) == (8, 6, "photos/test")
    Path("photos/test/b").rename("photos/test/c")
    with pytest.raises(UserError, match="photos/test/c: is no class of photos/train"):
        look.look(Path("photos"), 0.25, Callback())


def test_images_that_judge_are_none_that_train():
    photographs(Path("photos"), 10)
    seen = look.look(Path("photos"), 0.2, Callback())
    assert not {*seen.train.paths} & {*seen.test.paths}
    assert (sorted(seen.train.targets), sorted(seen.test.targets)) == ([0] * 8 + [1] * 8, [0, 0, 1, 1])
    few = look.a_share(seen.train, 6, seed=0)
    assert sorted(few.targets) == [0] * 3 + [1] * 3
    assert {*few.paths} < {*seen.train.paths}


def test_shapes_that_most_images_have():
    heads = [look.Head(40, 30, False)] * 9 + [look.Head(30, 40, False)]
    assert look.sides_of(heads) == (30, pytest.approx(4 / 3), True)
    assert not look.sides_of(heads[:1] + heads[-1:]).alike


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("photos --budget madds", "budget: 'madds': should be a quantity"),
        ("photos --budget accuracy<=3", "should bound a cost from above"),
        ("photos", "--budget is missing"),
        ("photos --budget madds<=1e6 --hours 0", "hours"),
        ("photos --budget madds<=1e6 --tst 0.3", "--tst"),
        ("nowhere --budget madds<=1e6", "nowhere: no such folder"),
        ("photos --budget madds<=1e6 --out full", "full: is there already"),
        ("few --budget madds<=1e6", "few/a: 2 images, should be 3 or more"),
        ("photos --budget madds<=10", "the least network for these images costs"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_a_line(words: str, problem: str, capsys: pytest.CaptureFixture[str]):
    photographs(Path("photos"), 4)
    photographs(Path("few"), 2)
    photographs(Path("full"), 1)
    assert main(["fit", *words.split()]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert problem in last
    assert not Path("fit").exists() or not any(Path("fit").iterdir())


def test_threads_and_hours_may_change():
    photographs(Path("photos"), 4)
    asked = read_asked("photos", BUDGET, None, Path("fit"), {"threads": 1})
    Path("fit").mkdir()
    (Path("fit") / "fit.yaml").write_text(json.dumps({"asked": asked.model_dump(mode="json")}))
    assert read_asked("photos", None, None, Path("fit"), {"threads": 2}).threads == 2
    assert read_asked(str(Path("photos").resolve()), None, 2, Path("fit"), {}).hours == 2
    with pytest.raises(UserError, match="fit: seed: 0 when it began, 3 now"):
        read_asked("photos", None, None, Path("fit"), {"seed": 3})

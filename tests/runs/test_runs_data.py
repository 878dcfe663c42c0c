"""Images of one's own that are handed to a function: what becomes of them, and what cannot be."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same_run

import fairdarts

IMAGES = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(48) % 3
TINY = {"data.batch_size": 4, "data.workers": 0}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tiny_recipe: Path) -> fairdarts.Run:
    return fairdarts.search(tiny_recipe, data=(IMAGES, LABELS), settings=TINY, epochs=2, out="run")


def test_a_run_records_what_it_saw(run: fairdarts.Run):
    data = run.settings.data
    assert (data.kind, data.number, data.image_size, data.classes) == ("given", 48, 8, ("0", "1", "2"))
    assert re.fullmatch("[0-9a-f]{16}", data.fingerprint)
    assert run.shape == (8, 3, 3)
    assert f'"fingerprint": "{data.fingerprint}"' in (run.path / "images.json").read_text()


def test_a_file_gives_the_same_search(run: fairdarts.Run, tiny_recipe: Path):
    np.savez("own.npz", images=IMAGES, labels=LABELS)
    other = fairdarts.search(tiny_recipe, data="own.npz", settings=TINY, epochs=2, out="npz")
    assert other.settings.data.kind == "npz"
    assert other.directory.records()[-1]["alphas"] == run.directory.records()[-1]["alphas"]


def test_a_resume_asks_for_the_same_images(run: fairdarts.Run, tiny_recipe: Path):
    class Stops(fairdarts.Callback):
        def epoch(self, record: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fairdarts.search(tiny_recipe, data=(IMAGES, LABELS), settings=TINY, epochs=2, out="stopped", callbacks=Stops())
    stopped = fairdarts.open_run("stopped")
    with pytest.raises(fairdarts.UserError, match="hand them over again from Python"):
        stopped.resume()
    with pytest.raises(fairdarts.UserError, match="other pixels or labels than the run began with"):
        stopped.resume(data=(IMAGES[::-1], LABELS))
    assert_same_run(stopped.resume(data=(IMAGES, LABELS)).path, run.path)
    assert run.resume().state == "finished"  # of which nothing is left to do, whatever the images


def test_what_says_other_images_is_refused(run: fairdarts.Run, tiny_recipe: Path):
    for settings in ({"data.kind": "digits"}, {"data.root": "photos"}, {"data": {"kind": "digits"}}):
        with pytest.raises(fairdarts.UserError, match=r"settings: data.*: leave one of them out"):
            fairdarts.search(tiny_recipe, data=(IMAGES, LABELS), settings=settings)
    fake = fairdarts.search(tiny_recipe, epochs=1, out="fake")
    (fake.path / "genotypes" / "final.yaml").unlink()  # it has not ended yet
    with pytest.raises(fairdarts.UserError, match="sees images of fake, as its settings say"):
        fake.resume(data=(IMAGES, LABELS))


def test_settings_of_a_run_are_a_recipe_for_other_images(run: fairdarts.Run):
    other = fairdarts.search("run/settings.yaml", data=(IMAGES[:24], LABELS[:24]), out="other", epochs=1)
    assert other.settings.data.number == 24


def test_a_trained_network_is_judged_on_its_own_test_set_and_on_others():
    data = {"train": (IMAGES, LABELS), "test": (IMAGES[:12], LABELS[:12])}
    settings = TINY | {"network.cells": 3, "network.channels": 2, "compute.precision": "float32"}
    run = fairdarts.train("fairdarts-a", data=data, settings=settings, epochs=1, out="trained")
    assert run.settings.loss.auxiliary == 0  # its head is made for 32×32 pixels
    judged = fairdarts.evaluate(run, data=data)
    assert (judged.on, judged.images, judged.top1) == ("test", 12, run.results["last"]["top1"])
    others = fairdarts.evaluate(run, data=(IMAGES[12:20], LABELS[12:20]))
    assert (others.on, others.images) == ("other", 8)
    with pytest.raises(fairdarts.UserError, match="hand them over again"):
        fairdarts.evaluate(run)


@pytest.mark.parametrize("wrong", [3, "abc", fairdarts.ProgressBar, [print, 3], {print}])
def test_a_callback_that_is_none_is_named_before_anything_begins(tiny_recipe: Path, wrong: Any):
    with pytest.raises(fairdarts.UserError, match=r"callbacks: .*: should be a fairdarts\.Callback, a function"):
        fairdarts.search(tiny_recipe, callbacks=wrong, out="never")
    assert not Path("never").exists()


def test_every_callback_is_told_of_the_end(tiny_recipe: Path):
    told: list[str] = []

    class Ends(fairdarts.Callback):
        def __init__(self, name: str, fails: bool = False):
            self.name, self.fails = name, fails

        def end(self, run: fairdarts.Run) -> None:
            told.append(self.name)
            if self.fails:
                raise ValueError(self.name)

    with pytest.raises(ValueError, match="second"):
        fairdarts.search(tiny_recipe, epochs=1, callbacks=[Ends("first"), Ends("second", True), Ends("third")])
    assert sorted(told) == ["first", "second", "third"]


def test_a_study_of_images_of_one_s_own_skips_what_is_done(tiny_recipe: Path):
    runs = [{"name": "one", "config": str(tiny_recipe)}]
    study = {"name": "own", "source": "me", "seeds": [0, 1], "shared": TINY | {"epochs": 1}, "runs": runs}
    done = fairdarts.study(study, data=(IMAGES, LABELS))
    assert [(run.state, run.settings.data.number) for run in done.runs] == [("finished", 48)] * 2
    records = [run.records for run in done.runs]
    assert [run.records for run in fairdarts.study(study, data=(IMAGES, LABELS)).runs] == records


def test_a_space_that_is_no_name_says_how_to_register_it(tiny_recipe: Path):
    with pytest.raises(fairdarts.UserError, match=r"space: dict: should be a name or a YAML file; .*register_space"):
        fairdarts.search(tiny_recipe, space={"kind": "cell"})

"""`fairdarts.segment`, and what a trained segmentation network is used for, without a word."""

from pathlib import Path

import numpy as np
import pytest
from photographs import CLASSES, picture, recipe, voc_folder
from PIL import Image
from runs import same

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.reading import dump_yaml
from fairdarts.runs.segment import count_segmenter, segment
from fairdarts.runs.segmenter import judge_segmenter, predict_masks
from fairdarts.runtime import checkpoint
from fairdarts.spaces.space import load_space


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and `run`, a training on them."""
    folder = tmp_path_factory.mktemp("segment")
    segment(small(), recipe(voc_folder(folder / "voc")), epochs=1, out=folder / "run")
    return folder


def small() -> Genotype:
    space = load_space("s2-small")
    return space.genotype_of((1,) * len(space.choices), "small", "tests")


def test_the_verb_and_the_function_give_equal_runs(place: Path, tmp_path: Path):
    (tmp_path / "small.yaml").write_text(to_yaml(small()))
    run = fairdarts.open_run(place / "run")
    (tmp_path / "tiny.yaml").write_text(dump_yaml(run.settings))
    words = [str(tmp_path / "small.yaml"), "--config", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "verb")]
    assert main(["segment", *words]) == 0
    states = [checkpoint.load(path / "checkpoints" / "last.pt") for path in (run.path, tmp_path / "verb")]
    assert same(*states)
    assert run.resume().results == fairdarts.open_run(tmp_path / "verb").results


def test_it_is_judged_as_its_training_judged_it(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    run = fairdarts.open_run(place / "run")
    judged = judge_segmenter(run)
    last = run.results["last"]
    assert (judged.miou, judged.iou, judged.images, judged.on) == (last["miou"], last["iou"], 2, "val")
    assert judged.figures(tmp_path) == [tmp_path / "overlay.png"]
    others = judge_segmenter(run.directory.last, {"data.val": "train"})
    assert others.images == 6
    assert others.figures(tmp_path) == [tmp_path / "overlay-train.png"]
    assert capfd.readouterr() == ("", "")


def test_photographs_become_masks(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    Image.fromarray(picture(0, (31, 45))[0]).save(tmp_path / "a.png")
    (seen,) = predict_masks(place / "run", [tmp_path / "a.png"])
    assert (seen.mask.shape, seen.mask.dtype, seen.files) == ((31, 45), np.uint8, [])
    assert seen.shares == pytest.approx({name: (seen.mask == label).mean() for label, name in enumerate(CLASSES)})
    (written,) = predict_masks(place / "run", [tmp_path / "a.png"], tmp_path / "masks")
    assert written.files == [tmp_path / "masks" / name for name in ("a.png", "a-overlay.png")]
    assert np.array_equal(np.asarray(Image.open(written.files[0])), seen.mask)
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_is_told_before_anything_is_segmented(place: Path, tmp_path: Path):
    Image.fromarray(picture(0)[0]).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: already exists"):
        predict_masks(place / "run", [tmp_path / "a.png"], tmp_path)
    with pytest.raises(UserError, match=r"gone\.jpg: No such file"):
        predict_masks(place / "run", ["gone.jpg"])
    with pytest.raises(UserError, match=r"data\.val: nothing: there is no file"):
        judge_segmenter(place / "run", {"data.val": "nothing"})


def test_its_cost_needs_no_images():
    found = count_segmenter("fairnas-a", settings={"deeplab.output_stride": 8, "data.root": "nowhere"})
    assert (round(found.cost.params / 1e6, 2), round(found.cost.madds / 1e6, 1), found.image) == (3.26, 13575.4, 513)

"""What a search starts with: what does not fit is named, batches are shared, held-out images are written down."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.serve import check_alike, keep_held_out
from fairdarts.data.sources import open_source
from fairdarts.data.split import fingerprint
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner, open_batches
from fairdarts.ops.depthwise import is_depthwise
from fairdarts.reading import read_yaml
from fairdarts.runtime import distributed
from fairdarts.runtime.run import RunDirectory
from fairdarts.spaces.space import load_space
from fairdarts.supernet.chain import ChoiceLayer

FAKE = {
    "data.kind": "fake",
    "data.images": "64",
    "data.image_size": "16",
    "data.train_portion": "0.5",
    "data.cutout": "0",
    "data.batch_size": "8",
}

NOISE = {"noise__distribution": "gaussian", "noise__std": "1", "noise__schedule": "constant"}


def settings_of(recipe: str = "fairdarts-s2-small", **changes: str) -> SearchSettings:
    path = resources.find("recipes", recipe)
    told = {key.replace("__", "."): value for key, value in changes.items()}
    data = {} if told.get("data.kind") == "imagenet" else FAKE
    return check(SearchSettings, read_yaml(path), path, {"device": "cpu", **data, **told})


def refusal(**changes: str) -> str:
    settings = settings_of(**changes)
    with pytest.raises(UserError) as refused:
        check_fit(settings, load_space(settings.space), open_source(settings.data))
    return str(refused.value)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of six images in train, one of each in val."""
    for part, count in (("train", 6), ("val", 1)):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (20, 16), (40 * number, 0, 0)).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"supernet__cells": "4"}, "supernet.cells: 4: is for cells, but space s2-small is of kind chain"),
        ({"supernet__channels": "4"}, "supernet.channels: 4: is for cells, but space s2-small is of kind chain"),
        ({"derive__method": "edge"}, "derive.method: edge: is for cell"),
        ({"derive__max_skips": "2"}, "derive.max_skips: 2: is for cell"),
        (
            {"compute__batch_norm": "synchronized"},
            "compute.batch_norm: synchronized: is for CUDA; on the CPU",
        ),
        ({"compute__compile": "default", "compute__memory": "none"}, "compute.compile: default: is for CUDA"),
        (
            {"compute__memory": "recompute", "compute__precision": "bfloat16"},
            "compute.memory: recompute: is for float32",
        ),
        (
            {"space": "s2-noskip", "stopping__kind": "skips", "stopping__limit": "2"},
            "stopping.kind: skips: space s2-noskip",
        ),
        (
            {"space": "nasbench101"},
            "space: nasbench101: is searched by paths, not by gradients: what a vertex reads decides its channels",
        ),
        ({"space": "nasbench201", "derive__method": "edge"}, "derive.method: edge: is for cell spaces; in nasbench201"),
        ({"space": "nasbench201", "derive__max_skips": "2"}, "derive.max_skips: 2: is for cells; leave it out in nasb"),
        (
            {"noise__on": "gate", **NOISE, "noise__operations": "sep_conv_3x3"},
            "noise.operations: 'sep_conv_3x3' is not an operation of space s2-small",
        ),
        (
            {"architect__kind": "second_order", "supernet__global_dropout": "0.2"},
            "architect.kind: second_order: the supernet's dropout draws anew in every pass",
        ),
        (
            {"space": "nasbench201", "architect__kind": "second_order", "supernet__path_dropout": "0.2"},
            "architect.kind: second_order: the supernet's dropout draws anew in every pass",
        ),
        ({"compute__accumulate": "3"}, "data.batch_size: 8: is that of all processes, so it should be divisible by 1"),
        ({"data__batch_size": "40"}, "data.batch_size: 40: should be at most 32"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, str], message: str):
    assert refusal(**changes).startswith(message)


def test_the_batch_is_divided_among_processes_and_parts(monkeypatch):
    monkeypatch.setattr(distributed, "ranks", lambda: 3)
    assert "3 processes × compute.accumulate 2 = 6" in refusal(compute__accumulate="2")


def test_a_chain_space_makes_a_chain_supernet_with_one_matrix_of_alpha():
    settings = settings_of()
    source, space = open_source(settings.data), load_space(settings.space)
    learner = make_learner(settings, space, source, torch.device("cpu"))
    assert all(isinstance(stage, ChoiceLayer) for stage in learner.supernet.stages)
    depthwise = [module for module in learner.supernet.modules() if is_depthwise(module)]
    assert all("forward" in vars(module) for module in depthwise)  # with fast gradients
    assert {part: alpha.shape for part, alpha in learner.alphas.items()} == {"layers": (19, 7)}
    assert not learner.alphas["layers"].any()  # the fair start
    assert learner.supernet.tail.classifier.out_features == len(source.classes)


@pytest.mark.parametrize("kind", ["fake", "imagenet"])
def test_processes_share_a_batch_and_together_see_what_one_sees(kind: str, images: Path, monkeypatch):
    told = {"data__kind": kind, "data__batch_size": "4"}
    if kind == "imagenet":
        told |= {"data__root": str(images), "data__held_out": "2"}
    settings = settings_of(**told)
    source = open_source(settings.data)
    halves = check_fit(settings, load_space(settings.space), source)

    def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
        streams = open_batches(settings, source, halves, torch.device("cpu"), step=1, epoch=0)
        return [next(stream) for stream in streams]

    whole, shares = batches(), []
    monkeypatch.setattr(distributed, "ranks", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        shares.append(batches())
    for stream, (seen, labels) in enumerate(whole):
        assert torch.equal(torch.cat([share[stream][0] for share in shares]), seen)
        assert torch.equal(torch.cat([share[stream][1] for share in shares]), labels)
        assert len(shares[0][stream][1]) == 2


def test_the_held_out_batch_of_a_step_is_the_same_behind_a_warm_up():
    def batches(step: int, **changes: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
        settings = settings_of(**changes)
        source = open_source(settings.data)
        halves = check_fit(settings, load_space(settings.space), source)
        assert len(halves[0]) // settings.data.batch_size == 2  # steps an epoch
        streams = open_batches(settings, source, halves, torch.device("cpu"), step, epoch=0)
        return [next(stream) for stream in streams[:2]]

    size = {"data__images": "16", "data__batch_size": "4"}
    for step in (0, 1, 2, 3):
        train, valid = batches(step, architect__warmup="1", **size)
        assert torch.equal(train[0], batches(step, **size)[0][0])
        assert torch.equal(valid[0], batches(max(step, 2), **size)[1][0])


def test_the_images_that_are_held_out_are_written_into_the_run(images: Path, tmp_path: Path):
    run = RunDirectory(tmp_path)
    told = {"data__root": str(images), "data__held_out": "2", "data__batch_size": "4"}
    settings = settings_of(data__kind="imagenet", **told)
    source = open_source(settings.data)
    _, held_out = check_fit(settings, load_space(settings.space), source)
    keep_held_out(run, settings.data, source, held_out)
    names = (tmp_path / "held_out.txt").read_text().splitlines()
    assert [name.split("/")[0] for name in names] == ["cat", "cat", "dog", "dog"]
    assert all((images / "train" / name).is_file() for name in names)
    keep_held_out(run, settings.data, source, held_out)  # a resumed run finds the same
    (tmp_path / "held_out.txt").write_text("cat/9.png\n")
    with pytest.raises(UserError, match=r"held_out.txt: it or the images in .*images have changed, as to cat/"):
        keep_held_out(run, settings.data, source, held_out)


def test_processes_that_see_other_images_are_told_apart(images: Path, monkeypatch):
    settings = settings_of(data__kind="imagenet", data__root=str(images), data__held_out="2", data__batch_size="4")
    before = fingerprint(open_source(settings.data))
    check_alike(settings.data, before)
    (images / "train" / "cat" / "0.png").rename(images / "train" / "cat" / "9.png")  # as many, but others
    after = fingerprint(open_source(settings.data))
    monkeypatch.setattr(distributed, "shared", lambda _: before)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    with pytest.raises(UserError, match=f"data.root: {images}: process 1 has other images than process 0"):
        check_alike(settings.data, after)


def test_other_sets_write_no_list(tmp_path: Path):
    settings = settings_of()
    keep_held_out(RunDirectory(tmp_path), settings.data, open_source(settings.data), [0, 1])
    assert not list(tmp_path.iterdir())

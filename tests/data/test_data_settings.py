"""The data section: what it accepts, what it refuses, and whether it holds images out."""

from pathlib import Path

import pytest
import yaml

from fairdarts.checking import check
from fairdarts.config import Settings, UserError, describe
from fairdarts.data.settings import DataSettings, kind_of
from fairdarts.reading import dump_yaml

IMAGENET = {
    "kind": "imagenet",
    "root": "images",
    "batch_size": 8,
    "workers": 2,
    "held_out": 50,
    "crop_scale": [0.08, 1],
    "color_jitter": [0.4, 0.4, 0.4, 0.2],
}


class Whole(Settings):
    """Settings with a data section."""

    data: DataSettings
    """the images"""


def accepted(**changes: object) -> DataSettings:
    return check(Whole, {"data": {**IMAGENET, **changes}}, "r.yaml").data


def refusal(**changes: object) -> str:
    with pytest.raises(UserError) as error:
        accepted(**changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_imagenet_is_224_pixels_unless_told_otherwise():
    assert accepted().image_size == 224
    assert accepted(image_size=64).image_size == 64
    assert check(Whole, {"data": IMAGENET}, "r.yaml", {"data.crop_scale": "[0.5, 0.5]"}).data.crop_scale == (0.5, 0.5)


def test_imagenet_survives_being_written():
    settings = Whole(data=accepted())
    assert check(Whole, yaml.safe_load(dump_yaml(settings)), "settings.yaml") == settings


@pytest.mark.parametrize("scale", [[0, 1], [0.5, 0.2], [0.5, 1.01], [-0.1, 0.5]])
def test_shares_of_an_area_are_in_order_and_within_it(scale: list[float]):
    wanted = "should be a smallest and a largest share, above 0 and up to 1"
    assert refusal(crop_scale=scale) == f"r.yaml: data.crop_scale: {[float(share) for share in scale]}: {wanted}"


@pytest.mark.parametrize("jitter", [[-0.1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0], [0, 0, 0, -0.1], [0, 0, 0, 0.51]])
def test_jitter_is_positive_and_hue_at_most_half_the_circle(jitter: list[float]):
    wanted = "should be 0 or more each, and hue, the last, up to 0.5"
    assert refusal(color_jitter=jitter) == f"r.yaml: data.color_jitter: {[float(part) for part in jitter]}: {wanted}"


def test_jitter_may_be_nothing_or_all_there_is():
    assert accepted(color_jitter=[0, 0, 0, 0]).color_jitter == (0, 0, 0, 0)
    assert accepted(color_jitter=[3, 3, 3, 0.5]).color_jitter == (3, 3, 3, 0.5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("held_out", -1),
        ("auto_augment", "svhn"),
        ("image_size", 3),
        ("crop_scale", [0.5]),
        ("crop_scale", [float("nan"), 1]),
        ("color_jitter", [0, 0, 0]),
        ("color_jitter", [0, 0, 0, float("nan")]),
        ("train_portion", 0.5),
        ("cutout", 16),
    ],
)
def test_what_does_not_fit_is_named(key: str, value: object):
    assert refusal(**{key: value}).startswith(f"r.yaml: data.{key}")


def test_a_recipe_must_say_where_the_images_are():
    with pytest.raises(UserError, match=r"^r.yaml: data.root: is missing$"):
        check(Whole, {"data": {name: value for name, value in IMAGENET.items() if name != "root"}}, "r.yaml")


@pytest.mark.parametrize("kind", ["digits", "cifar10", "cifar100", "folder", "fake"])
def test_portioned_sets_hold_out_what_the_portion_leaves(kind: str):
    content = {"kind": kind, "batch_size": 8, "workers": 0, "cutout": 0}
    content |= {"root": "images"} if kind in ("cifar10", "cifar100", "folder") else {}
    for portion in (0.5, 1):
        assert check(Whole, {"data": {**content, "train_portion": portion}}, "r.yaml").data.holds_out == (portion < 1)


def test_imagenet_holds_out_so_many_images_or_none():
    assert accepted(held_out=1).holds_out is True
    assert accepted(held_out=0).holds_out is False


@pytest.mark.parametrize("kind", ["digits", "cifar10", "cifar100", "folder", "imagenet", "fake"])
def test_images_are_augmented_by_no_policy_unless_told_otherwise(kind: str):
    content = {"kind": kind, "batch_size": 8, "workers": 0}
    content |= {"root": "images"} if kind not in ("digits", "fake") else {}
    content |= {"train_portion": 1, "cutout": 0} if kind != "imagenet" else {}
    assert check(Whole, {"data": content}, "r.yaml").data.auto_augment == "none"
    assert check(Whole, {"data": content}, "r.yaml", {"data.auto_augment": "cifar10"}).data.auto_augment == "cifar10"


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_cifar_is_32_pixels_or_enlarged_without_cutout(kind: str):
    content = {"kind": kind, "root": "data", "batch_size": 8, "workers": 0, "train_portion": 1, "cutout": 16}
    assert check(Whole, {"data": content}, "r.yaml").data.image_size == 32
    assert check(Whole, {"data": {**content, "cutout": 0}}, "r.yaml", {"data.image_size": "224"}).data.image_size == 224
    wanted = "data.image_size: 224: needs cutout 0, not 16: enlarged images have none"
    for changes, overrides, place in (({"image_size": 224}, {}, "r.yaml: "), ({}, {"data.image_size": "224"}, "")):
        with pytest.raises(UserError) as error:
            check(Whole, {"data": {**content, **changes}}, "r.yaml", overrides)
        assert str(error.value) == (f"{place}{wanted}" if place else f"command line: --{wanted}")
    with pytest.raises(
        UserError, match=r"^command line: --data.image_size: '31': should be greater than or equal to 32"
    ):
        check(Whole, {"data": content}, "r.yaml", {"data.image_size": "31"})


def test_the_command_line_switches_between_portions_and_images_of_every_class():
    told = {"data.kind": "digits", "data.train_portion": "0.5", "data.cutout": "0"}
    assert check(Whole, {"data": IMAGENET}, "r.yaml", told).data.kind == "digits"
    folder = {"kind": "folder", "root": "images", "batch_size": 8, "workers": 0, "train_portion": 0.5, "cutout": 0}
    data = check(Whole, {"data": folder}, "r.yaml", {"data.kind": "imagenet"}).data
    assert (data.held_out, data.crop_scale, data.color_jitter) == (50, (0.08, 1), (0, 0, 0, 0))
    told = {"data.kind": "imagenet", "data.held_out": "5", "data.crop_scale": "[0.2, 1]"}
    data = check(Whole, {"data": folder}, "r.yaml", told).data
    assert (data.held_out, data.crop_scale) == (5, (0.2, 1))


def test_every_setting_has_its_help():
    lines = {line.split()[0]: line for line in describe(Whole).splitlines()}
    assert "digits | cifar10 | cifar100 | folder | imagenet | fake" in lines["--data.kind"]
    for key in ("held_out", "crop_scale", "color_jitter"):
        assert lines[f"--data.{key}"].endswith(" [imagenet]")
        assert len(lines[f"--data.{key}"].split()) > 5


OWN = {"batch_size": 8, "workers": 0, "train_portion": 0.5, "cutout": 0}


@pytest.mark.parametrize("kind", ["folder", "csv", "npz", "given"])
def test_images_of_one_s_own_are_split_class_by_class_and_may_be_mirrored(kind: str):
    root = {} if kind == "given" else {"root": "images"}
    data = check(Whole, {"data": {"kind": kind, **root, **OWN}}, "r.yaml").data
    assert (data.split, data.flip, data.mean, data.std) == ("stratified", True, None, None)
    told = {"data.flip": "false", "data.mean": "[0.5, 0.4, 0.3]", "data.std": "[1, 1, 2]"}
    data = check(Whole, {"data": {"kind": kind, **root, **OWN}}, "r.yaml", told).data
    assert (data.flip, data.mean, data.std) == (False, (0.5, 0.4, 0.3), (1, 1, 2))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("range", [1, 0], "[1.0, 0.0]: should be the value of black and a larger one of white"),
        ("range", [0, float("nan")], ""),
        ("mean", [], "[]: should be a number for every channel, or null"),
        ("std", [0.5, 0], "[0.5, 0.0]: should be above 0"),
        ("classes", ["ant"], "['ant']: should be at least 2 names, each once"),
        ("classes", ["ant", "ant"], "['ant', 'ant']: should be at least 2 names, each once"),
        ("image_size", 3, ""),
        ("number", 0, ""),
    ],
)
def test_what_arrays_cannot_be_is_named(key: str, value: object, said: str):
    with pytest.raises(UserError) as error:
        check(Whole, {"data": {"kind": "given", **OWN, key: value}}, "r.yaml")
    assert str(error.value).startswith(f"r.yaml: data.{key}{f': {said}' if said else ''}")


def test_the_command_line_takes_files_in_place_of_a_recipe_s_images():
    content = {"data": {"kind": "cifar10", "root": "data", **OWN}}
    told = {"data.kind": "npz", "data.root": "mine.npz", "data.range": "[0, 1]", "data.classes": "[ant, bee]"}
    data = check(Whole, content, "r.yaml", told).data
    assert (data.root, data.range, data.classes, data.split) == ("mine.npz", (0, 1), ("ant", "bee"), "stratified")
    told = {"data.kind": "csv", "data.root": "mine.csv", "data.test_root": "test.csv"}
    assert check(Whole, content, "r.yaml", told).data.test_root == "test.csv"


def test_the_kind_of_a_file_is_told_by_its_name(tmp_path: Path):
    for name in ("a.npz", "b.CSV", "c.zip"):
        (tmp_path / name).touch()
    assert (kind_of(tmp_path / "a.npz"), kind_of(str(tmp_path / "b.CSV")), kind_of(tmp_path)) == (
        "npz",
        "csv",
        "folder",
    )
    with pytest.raises(
        UserError, match=r"c\.zip: should be an \.npz file, a \.csv file, or a folder of class folders$"
    ):
        kind_of(tmp_path / "c.zip")
    with pytest.raises(UserError, match=r"nowhere: no such file or folder$"):
        kind_of(tmp_path / "nowhere")

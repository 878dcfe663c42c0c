"""COCO's annotations as VOC's masks."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts.config import UserError
from fairdarts.data import coco
from fairdarts.data.coco import CLASSES, Scene, convert, draw, read
from fairdarts.data.images import read_image
from fairdarts.data.settings import IGNORED

TOOL = Path(__file__).parents[2] / "tools" / "coco_to_voc.py"
CATEGORIES = [{"id": 1, "name": "person"}, {"id": 5, "name": "airplane"}, {"id": 62, "name": "chair"}]
CATEGORIES += [{"id": 13, "name": "stop sign"}, {"id": 72, "name": "tv"}]
PERSON, PLANE, CHAIR, SIGN, TV = 1, 5, 62, 13, 72
WIDTH, HEIGHT = 60, 50


def box(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """The polygon of a rectangle."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(inside: np.ndarray) -> dict:
    """COCO's run lengths of a mask [H, W]: column after column, first of what is outside."""
    flat = inside.T.ravel().astype(int)
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flat, [1 - flat[-1]]])))
    return {"size": list(inside.shape), "counts": np.diff(np.concatenate([[0], ends])).tolist()}


def scene(*objects: tuple[int, object], crowds: tuple[tuple[int, object], ...] = ()) -> Scene:
    both = [(own, 0) for own in objects] + [(own, 1) for own in crowds]
    items = [(number, {"id": 7, "segmentation": outline, "iscrowd": crowd}) for (number, outline), crowd in both]
    return Scene("a.json: image 3", "3.jpg", (WIDTH, HEIGHT), items)


def annotated(folder: Path, objects: dict[int, list[tuple[int, object]]], **changed: object) -> tuple[Path, Path]:
    """A file of annotations and its folder of pictures: image number → (category, segmentation)."""
    pictures = folder / "train"
    pictures.mkdir()
    items = [
        {"id": number * 10 + index, "image_id": number, "category_id": category, "segmentation": outline, "iscrowd": 0}
        for number, own in objects.items()
        for index, (category, outline) in enumerate(own)
    ]
    images = [{"id": own, "file_name": f"{own:03}.jpg", "width": WIDTH, "height": HEIGHT} for own in objects]
    for image in images:
        Image.new("RGB", (WIDTH, HEIGHT)).save(pictures / image["file_name"])
    content = {"images": images, "annotations": items, "categories": CATEGORIES} | changed
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json", pictures


def test_the_classes_are_voc_s():
    assert len(CLASSES) == 21
    assert list(CLASSES[1:]) == sorted(CLASSES[1:])
    assert set(coco.RENAMED.values()) < set(CLASSES)
    assert not set(coco.RENAMED) & set(CLASSES)


def test_categories_are_known_by_name(tmp_path: Path):
    outline = box(0, 0, 9, 9)
    annotations, _ = annotated(tmp_path, {1: [(PLANE, outline), (SIGN, outline)], 2: [(TV, outline)], 3: []})
    scenes = read(annotations)
    assert [[CLASSES[number] for number, _ in own.objects] for own in scenes] == [["aeroplane"], ["tvmonitor"], []]
    assert scenes[0][:3] == (f"{annotations}: image 1", "001.jpg", (WIDTH, HEIGHT))


class TestDraw:
    @pytest.fixture(autouse=True)
    def _with_pycocotools(self):
        pytest.importorskip("pycocotools")

    def test_polygons_and_runs_are_filled(self):
        expected = np.zeros((HEIGHT, WIDTH), np.uint8)
        expected[10:20, 5:30] = 15
        assert np.array_equal(draw(scene((15, box(5, 10, 30, 20)))), expected)
        assert np.array_equal(draw(scene((15, runs(expected > 0)))), expected)
        parts = box(5, 10, 18, 20) + box(18, 10, 30, 20)
        assert np.array_equal(draw(scene((15, parts))), expected)

    def test_what_lies_in_two_classes_is_ignored(self):
        left, right = box(0, 0, 20, 10), box(15, 0, 30, 10)
        mask = draw(scene((9, left), (15, right)))
        assert np.array_equal(mask, draw(scene((15, right), (9, left))))
        assert (np.unique(mask[:10, :15]), np.unique(mask[:10, 20:30])) == (9, 15)
        assert np.unique(mask[:10, 15:20]) == IGNORED
        third = draw(scene((9, left), (15, right), (2, box(0, 0, 60, 10))))
        assert np.unique(third[:10, :30]) == IGNORED

    def test_objects_of_one_class_may_overlap(self):
        mask = draw(scene((15, box(0, 0, 20, 10)), (15, box(15, 0, 30, 10))))
        assert np.unique(mask[:10, :30]) == 15

    def test_a_crowd_is_ignored_but_for_the_objects_in_it(self):
        inside = np.zeros((HEIGHT, WIDTH), bool)
        inside[:30] = True
        own = scene((9, box(0, 20, 60, 40)), crowds=((15, runs(inside)),))
        for objects in (own.objects, own.objects[::-1]):
            mask = draw(own._replace(objects=objects))
            assert [np.unique(rows).tolist() for rows in (mask[:20], mask[20:40], mask[40:])] == [[IGNORED], [9], [0]]

    def test_polygons_of_less_than_three_corners_are_nothing(self):
        assert not draw(scene((15, [[5, 5, 20, 20]]), (9, []))).any()

    @pytest.mark.parametrize(
        ("outline", "message"),
        [
            ("x", "x: should be of kind list or dict"),
            ([[1, 2, 3, 4, 5, "x"]], "neither polygons nor runs of pixels"),
            ({"size": [50, 60]}, "neither polygons nor runs of pixels: 'counts'"),
            (runs(np.ones((60, 50), bool)), "is of 50×60 pixels, not 60×50"),
        ],
    )
    def test_an_outline_that_is_none_is_named(self, outline: object, message: str):
        with pytest.raises(UserError, match=f"^a.json: image 3: annotation 7: segmentation: {message}"):
            draw(scene((15, outline)))


class TestConvert:
    @pytest.fixture(autouse=True)
    def _with_pycocotools(self):
        pytest.importorskip("pycocotools")

    def test_the_folders_are_voc_s(self, tmp_path: Path):
        large, small, just = box(0, 0, 40, 30), box(0, 0, 25, 40), box(0, 0, 40, 26)
        objects = {1: [(PERSON, large)], 2: [], 3: [(PERSON, small)], 4: [(SIGN, large)], 5: [(CHAIR, just)]}
        annotations, pictures = annotated(tmp_path, objects)
        seen = []
        done = convert(annotations, pictures, tmp_path / "voc", "train", lambda *own: seen.append(own))
        assert done == (tmp_path / "voc/ImageSets/Segmentation/train.txt", 2, 5)
        assert done.names.read_text() == "001\n005\n"  # 1,200 and 1,040 pixels; 1,000 are too few
        assert seen == [(number, 5) for number in range(1, 6)]
        links = sorted((tmp_path / "voc/JPEGImages").iterdir())
        assert [link.resolve() for link in links] == [pictures / "001.jpg", pictures / "005.jpg"]
        assert sorted(own.name for own in (tmp_path / "voc/SegmentationClass").iterdir()) == ["001.png", "005.png"]
        with Image.open(tmp_path / "voc/SegmentationClass/005.png") as mask:
            assert np.unique(mask, return_counts=True)[1].tolist() == [WIDTH * HEIGHT - 1040, 1040]
            assert np.asarray(mask)[0, 0] == CLASSES.index("chair")

    def test_pixels_in_two_classes_do_not_count(self, tmp_path: Path):
        annotations, pictures = annotated(tmp_path, {1: [(PERSON, box(0, 0, 40, 30)), (CHAIR, box(0, 0, 40, 30))]})
        with pytest.raises(UserError, match="no image has more than"):
            convert(annotations, pictures, tmp_path / "voc", "train")

    def test_an_interrupted_call_leaves_no_list(self, tmp_path: Path):
        annotations, pictures = annotated(tmp_path, {number: [(PERSON, box(0, 0, 40, 30))] for number in range(1, 5)})

        def stop(done: int, count: int) -> None:
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            convert(annotations, pictures, tmp_path / "voc", "train", stop)
        assert not list((tmp_path / "voc/ImageSets/Segmentation").iterdir())
        pictures.rename(tmp_path / "moved")
        assert convert(annotations, tmp_path / "moved", tmp_path / "voc", "train").kept == 4
        assert all(link.exists() for link in (tmp_path / "voc/JPEGImages").iterdir())

    def test_other_annotations_make_other_masks(self, tmp_path: Path):
        for name, number in (("person", PERSON), ("chair", CHAIR)):
            (tmp_path / name).mkdir()
            annotations, pictures = annotated(tmp_path / name, {1: [(number, box(0, 0, 40, 30))]})
            convert(annotations, pictures, tmp_path / "voc", "train")
            with Image.open(tmp_path / "voc/SegmentationClass/001.png") as mask:
                assert np.asarray(mask)[0, 0] == CLASSES.index(name)

    @pytest.mark.parametrize("split", ["", "a/b", ".."])
    def test_a_split_is_a_name(self, tmp_path: Path, split: str):
        annotations, pictures = annotated(tmp_path, {1: [(PERSON, box(0, 0, 40, 30))]})
        with pytest.raises(UserError, match=f"^split: '{split}': should be a name such as train"):
            convert(annotations, pictures, tmp_path / "voc", split)
        assert not (tmp_path / "voc").exists()

    def test_no_image_at_all_is_a_mistake(self, tmp_path: Path):
        annotations, pictures = annotated(tmp_path, {1: [(SIGN, box(0, 0, 40, 30))]})
        with pytest.raises(UserError, match="no image has more than 1,000 pixels of VOC's classes"):
            convert(annotations, pictures, tmp_path / "voc", "train")

    @pytest.mark.parametrize("how", range(1, 9))
    @pytest.mark.parametrize("sized", ["as stored", "as shown"])
    def test_masks_are_turned_as_their_pictures_are_shown(self, tmp_path: Path, how: int, sized: str):
        """The person is where the picture is white, in stored pixels; or in those shown where they have the size."""
        white = np.zeros((HEIGHT, WIDTH), np.uint8)
        white[:30, :45] = 255
        stored, exif = Image.fromarray(white), Image.Exif()
        if turned_shape := sized == "as shown" and how >= 5:  # annotated on what is shown
            stored = stored.transpose({5: 5, 6: 2, 7: 6, 8: 4}[how])  # what the turn undoes
        exif[0x0112] = how
        annotations, pictures = annotated(tmp_path, {1: [(PERSON, box(0, 0, 45, 30))]})
        stored.save(pictures / "001.jpg", exif=exif, quality=95)
        assert (stored.size == (WIDTH, HEIGHT)) != turned_shape
        convert(annotations, pictures, tmp_path / "voc", "train")
        shown = np.asarray(read_image(tmp_path / "voc/JPEGImages/001.jpg"))[:, :, 0] > 127
        with Image.open(tmp_path / "voc/SegmentationClass/001.png") as mask:
            assert np.array_equal(np.asarray(mask) == CLASSES.index("person"), shown)

    def test_pictures_are_looked_at(self, tmp_path: Path):
        annotations, pictures = annotated(tmp_path, {1: [(PERSON, box(0, 0, 40, 30))]})
        picture = pictures / "001.jpg"
        cases = [
            (lambda: picture.unlink(), f"{picture}: is missing, but {annotations}: image 1 needs it"),
            (lambda: picture.write_text("no image"), f"{picture}: cannot be decoded as an image"),
            (
                lambda: Image.new("RGB", (HEIGHT, WIDTH)).save(picture),
                f"{picture}: has 50×60 pixels, but {annotations}: image 1 60×50",
            ),
        ]
        for spoil, message in cases:
            spoil()
            with pytest.raises(UserError) as error:
                convert(annotations, pictures, tmp_path / "voc", "train")
            assert str(error.value) == message
        assert not list((tmp_path / "voc/ImageSets/Segmentation").iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"categories": [{"id": 1, "name": "stop sign"}]},
            "categories: none of them is a class of VOC, such as person",
        ),
        ({"categories": [{"name": "person"}]}, "categories: id: is missing"),
        ({"categories": [], "images": [], "annotations": []}, "categories: none of them is"),
        ({"annotations": [{"category_id": 1}]}, "annotations: image_id: is missing"),
        ({"annotations": ["x"]}, "annotations: category_id: is missing"),
        ({"images": [{"id": 4, "file_name": "x", "width": 3}]}, "image 4: height: is missing"),
        ({"images": [{"id": 4, "file_name": "x", "width": "3"}]}, "image 4: width: 3: should be of kind int"),
        ({"images": [{"id": 4, "file_name": 5}]}, "image 4: file_name: 5: should be of kind str"),
        ({"images": [{"id": 4, "file_name": "x", "width": True}]}, "image 4: width: True: should be of kind int"),
        (
            {"images": [{"id": 4, "file_name": f"{n}.jpg", "width": 3, "height": 3} for n in (1, 2)]},
            "image 4: id: another image has this number",
        ),
        ({"images": 5}, "images: 5: should be of kind list"),
        ({"categories": [{"id": 1, "name": ["person"]}]}, "categories: name: ['person']: should be of kind str"),
        (
            {"images": [{"id": n, "file_name": f"{n}/x.jpg", "width": 3, "height": 3} for n in (1, 2)]},
            "image 2: file_name: 2/x.jpg: another image has this name",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changed: dict, message: str):
    annotations, _ = annotated(tmp_path, {}, **changed)
    with pytest.raises(UserError) as error:
        read(annotations)
    assert str(error.value).startswith(f"{annotations}: {message}")


def test_a_file_that_is_none_of_coco_s_is_named(tmp_path: Path):
    path = tmp_path / "a.json"
    for content, message in (
        ("{", "not valid JSON: "),
        ("[]", "categories: is missing"),
        ("{}", "categories: is missing"),
    ):
        path.write_text(content)
        with pytest.raises(UserError) as error:
            read(path)
        assert str(error.value).startswith(f"{path}: {message}")
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "b.json")


def test_pycocotools_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(coco, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^pycocotools: is missing: pip install 'fairdarts\[deeplab\]'$"):
        convert(tmp_path / "a.json", tmp_path, tmp_path / "voc", "train")
    assert not list(tmp_path.iterdir())


def test_the_script(tmp_path: Path):
    pytest.importorskip("pycocotools")
    annotations, pictures = annotated(tmp_path, {1: [(PERSON, box(0, 0, 40, 30))], 2: []})

    def run(*words: object) -> tuple[int, str, str]:
        done = subprocess.run([sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr.strip()

    out = tmp_path / "voc"
    status, told, _ = run(annotations, pictures, out, "--split", "val")
    assert (status, told) == (0, f"{out}/ImageSets/Segmentation/val.txt: 1 of 2 images\n")
    missing = tmp_path / "no.json"
    assert run(missing, pictures, out, "--split", "val")[::2] == (2, f"fairdarts: {missing}: No such file or directory")
    assert run(annotations, pictures, out)[0] == 2

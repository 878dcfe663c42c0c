"""What tests of detectors share: a config as the command writes it, an image with boxes, COCO of eight images."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("mmdet", reason="needs the extra: pip install 'fairdarts[mmdet]'")

pytest.importorskip("fairdarts.transfer.mmcv_ops")  # before mmdet's own modules, which need it

from mmdet.datasets import CocoDataset
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.structures import InstanceData

from fairdarts.cli.transfer import main

COCO128 = Path(__file__).parents[3] / "shared" / "data" / "coco128.zip"
IMAGES = 8
TRUTH = "annotations/instances_{}2017.json"

register_all_modules(init_default_scope=True)


def config(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Config:
    """What the command writes, as mmengine reads it."""
    capsys.readouterr()
    assert main(["mmdet", *words]) == 0
    path = folder / "config.py"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return Config.fromfile(path)


def sample(size: int = 64) -> dict[str, list]:
    """A batch of one image with two boxes, as a data set gives it."""
    boxes = torch.tensor([[4.0, 6.0, 40.0, 50.0], [20.0, 10.0, 60.0, 30.0]])
    truth = DetDataSample(gt_instances=InstanceData(bboxes=boxes, labels=torch.tensor([0, 7])))
    truth.set_metainfo(
        {"img_shape": (size, size), "ori_shape": (size, size), "pad_shape": (size, size), "scale_factor": (1.0, 1.0)}
    )
    image = torch.randint(0, 256, (3, size, size), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    return {"inputs": [image], "data_samples": [truth]}


def coco(folder: Path) -> Path:
    """COCO as mmdet wants it, of eight images to train on and to judge: real ones, or drawn where there are none."""
    (folder / "annotations").mkdir(parents=True)
    for part in ("train", "val"):
        (folder / f"{part}2017").mkdir()
    truth = _real(folder) if COCO128.is_file() else _drawn(folder)
    for part in ("train", "val"):
        (folder / TRUTH.format(part)).write_text(json.dumps(truth))
    return folder


def _real(folder: Path) -> dict[str, Any]:
    with zipfile.ZipFile(COCO128) as archive:
        truth = json.loads(archive.read(TRUTH.format("train")))
        filled = {item["image_id"] for item in truth["annotations"]}
        truth["images"] = [image for image in truth["images"] if image["id"] in filled][:IMAGES]
        kept = {image["id"] for image in truth["images"]}
        truth["annotations"] = [item for item in truth["annotations"] if item["image_id"] in kept]
        for image in truth["images"]:
            content = archive.read(f"train2017/{image['file_name']}")
            for part in ("train", "val"):
                (folder / f"{part}2017" / image["file_name"]).write_bytes(content)
    return truth


def _drawn(folder: Path) -> dict[str, Any]:
    """Bright boxes on noise."""
    rng, width, height = np.random.default_rng(0), 160, 120
    names = CocoDataset.METAINFO["classes"]
    truth: dict[str, Any] = {"images": [], "annotations": []}
    truth["categories"] = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    for number in range(1, IMAGES + 1):
        pixels = rng.integers(0, 128, (height, width, 3), dtype=np.uint8)
        x, y, w, h = (int(value) for value in (*rng.integers(0, 60, 2), *rng.integers(40, 60, 2)))
        pixels[y : y + h, x : x + w] = 255
        for part in ("train", "val"):
            Image.fromarray(pixels).save(folder / f"{part}2017" / f"{number}.jpg")
        box = {"bbox": [x, y, w, h], "area": w * h, "iscrowd": 0, "category_id": number, "image_id": number}
        truth["annotations"].append(box | {"id": number})
        truth["images"].append({"id": number, "file_name": f"{number}.jpg", "width": width, "height": height})
    return truth

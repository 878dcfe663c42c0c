"""The shipped configs of MMDetection: each, with its base, says what the command writes, and its detector learns."""

from pathlib import Path

import pytest
import torch
import yaml
from detection import config, sample
from mmdet.registry import MODELS
from mmengine.config import Config

from fairdarts import resources
from fairdarts.transfer import detector, mmdet

CONFIGS = sorted((Path(detector.__file__).parent / "configs").glob("*.py"))
every = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def words(path: Path) -> list[str]:
    """Those of the command that writes it."""
    kind, _, name = path.stem.partition("_")
    return [name, "--detector", kind]


def comments(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]


def test_what_is_shipped():
    stems = {path.stem for path in CONFIGS}
    assert {f"retinanet_fairnas-{letter}-se" for letter in "abc"} < stems
    assert {"faster-rcnn_fairnas-a-se", "faster-rcnn_fairdarts-b-imagenet"} < stems


@every
def test_its_comments_and_its_base_s_are_those_that_the_command_writes(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config(capsys, tmp_path, *words(path))
    base = path.parent / "_base_" / f"{words(path)[-1]}.py"
    shipped = comments(path) + comments(base)
    assert comments(tmp_path / "config.py") == shipped
    assert len(shipped) >= 10


def test_a_detector_of_one_s_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    own = yaml.safe_load(resources.find("recipes", "detect-retinanet").read_text())
    own |= {"name": "fcos", "base": "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py", "config": {}}
    (tmp_path / "fcos.yaml").write_text(yaml.safe_dump(own))
    found = config(capsys, tmp_path, "fairnas-a", "--detector", str(tmp_path / "fcos.yaml"), "--cpu")
    assert found.model.data_preprocessor.bgr_to_rgb  # its base has weights of Caffe, which saw BGR
    maps = MODELS.build(found.model).extract_feat(torch.zeros(1, 3, 128, 128))
    assert [128 // level.shape[-1] for level in maps] == found.model.bbox_head.strides


@every
def test_its_detector_takes_a_step(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    torch.manual_seed(0)
    found = config(capsys, tmp_path, *words(path), "--cpu")
    shipped = Config.fromfile(path)
    assert found.custom_imports.imports.pop(0) == "fairdarts.transfer.mmcv_ops"
    if "roi_head" in found.model:
        assert found.model.roi_head.bbox_roi_extractor.roi_layer.pop("use_torchvision")
    assert found.to_dict() == shipped.to_dict()  # but for what the CPU needs
    if "roi_head" in shipped.model:
        shipped.model.roi_head.bbox_roi_extractor.roi_layer.use_torchvision = True
    model = MODELS.build(shipped.model)
    assert isinstance(model.backbone, mmdet.FairDARTSBackbone)
    model.init_weights()
    maps = model.extract_feat(torch.zeros(1, 3, 128, 128))
    strides = shipped.model.get("bbox_head", shipped.model.get("rpn_head")).anchor_generator.strides
    assert [128 // level.shape[-1] for level in maps] == strides
    assert shipped.model.data_preprocessor.bgr_to_rgb  # as the networks of the zoo see images
    batch = model.data_preprocessor(sample(), True)
    total, _ = model.parse_losses(model.train()(**batch, mode="loss"))
    total.backward()
    assert total.isfinite()
    unused = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())

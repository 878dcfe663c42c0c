"""The shipped configs of MMDetection: each is what the command writes, and its detector learns."""

from pathlib import Path

import pytest
import torch
from detection import config, sample
from mmdet.registry import MODELS
from mmengine.config import Config

from fairdarts.transfer import detector, mmdet

CONFIGS = sorted((Path(detector.__file__).parent / "configs").glob("*.py"))
every = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def words(path: Path) -> list[str]:
    """Those of the command that writes it."""
    kind, _, name = path.stem.partition("_")
    return [name, "--detector", kind]


def test_what_is_shipped():
    stems = {path.stem for path in CONFIGS}
    assert {f"retinanet_fairnas-{letter}-se" for letter in "abc"} < stems
    assert {"faster-rcnn_fairnas-a-se", "faster-rcnn_fairdarts-b-imagenet"} < stems


@every
def test_it_is_what_the_command_writes(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config(capsys, tmp_path, *words(path))
    assert (tmp_path / "config.py").read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


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
    batch = model.data_preprocessor(sample(), True)
    total, _ = model.parse_losses(model.train()(**batch, mode="loss"))
    total.backward()
    assert total.isfinite()
    unused = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())

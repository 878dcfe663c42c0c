"""The stand-in for mmcv's compiled operations: it does what the one does, refuses the others, and stands aside."""

import importlib
import runpy
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

pytest.importorskip("mmcv", reason="needs the extra: pip install 'fairdarts[mmdet]'")

from fairdarts.config import UserError
from fairdarts.transfer import mmcv_ops
from fairdarts.transfer.mmcv_ops import NAME, install, nms


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A fresh one, also where mmcv has operations of its own."""
    monkeypatch.setitem(sys.modules, NAME, None)  # so that what was there is put back
    with monkeypatch.context() as patch:
        patch.setattr(mmcv_ops, "find_spec", lambda name: None if name == NAME else find_spec(name))
        assert install()
    return sys.modules[NAME]


def plain_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int) -> list[int]:
    """mmcv's loop, as mmcv/ops/csrc/pytorch/cpu/nms.cpp has it."""
    order, kept = scores.argsort(descending=True).tolist(), []
    area = [(x2 - x1 + offset) * (y2 - y1 + offset) for x1, y1, x2, y2 in boxes.tolist()]
    while order:
        best, *order = order
        kept.append(best)
        left = []
        for other in order:
            (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = boxes[best].tolist(), boxes[other].tolist()
            width = max(0.0, min(ax2, bx2) - max(ax1, bx1) + offset)
            both = width * max(0.0, min(ay2, by2) - max(ay1, by1) + offset)
            if both / (area[best] + area[other] - both) <= threshold:
                left.append(other)
        order = left
    return kept


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_nms_is_that_of_mmcv(offset: int, threshold: float):
    torch.manual_seed(0)
    corners = torch.rand(60, 2) * 8
    boxes = torch.cat([corners, corners + 1 + torch.rand(60, 2) * 4], 1)
    scores = torch.rand(60)
    kept = nms(boxes, scores, threshold, offset)
    assert kept.tolist() == plain_nms(boxes, scores, threshold, offset)
    assert 1 < len(kept) < 60
    assert (offset == 0) == (kept.tolist() == plain_nms(boxes, scores, threshold, 0))  # so that the offset matters
    assert nms(torch.zeros(0, 4), torch.zeros(0), threshold, offset).tolist() == []


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.6])
def test_an_overlap_as_large_as_the_threshold_is_kept(threshold: float):
    # In float32, as mmcv has it, 6/10 is 0.6 itself; as a double the threshold would lie below that.
    boxes = torch.tensor([[0.0, 0.0, 10.0, 1.0], [0.0, 0.0, round(10 * threshold), 1.0]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), threshold, 0).tolist() == [0, 1]
    assert nms(boxes, torch.tensor([0.9, 0.8]), threshold - 0.001, 0).tolist() == [0]


def test_it_is_found_as_a_module_is(stand_in: ModuleType):
    assert find_spec(NAME).loader is not None  # as mmcv.utils.check_ops_exist asks
    assert find_spec(NAME).origin == mmcv_ops.__file__
    assert not install()
    assert sys.modules[NAME] is stand_in


def test_what_it_has_not_is_refused_by_name(stand_in: ModuleType):
    assert hasattr(stand_in, "roi_align_forward")  # as mmcv.utils.ext_loader asks
    with pytest.raises(UserError, match=r"^mmcv\._ext\.roi_align_forward: this stand-in has only nms.*compiled"):
        stand_in.roi_align_forward(torch.zeros(1), aligned=True)
    with pytest.raises(AttributeError):
        stand_in.__path__  # noqa: B018


def test_boxes_elsewhere_than_on_the_cpu_are_refused(stand_in: ModuleType):
    boxes = torch.zeros(3, 4, device="meta")
    with pytest.raises(UserError, match=r"^mmcv\._ext\.nms: boxes are on meta"):
        stand_in.nms(boxes, boxes[:, 0], iou_threshold=0.5, offset=0)


def test_it_stands_aside_where_mmcv_has_its_own(monkeypatch: pytest.MonkeyPatch):
    real = ModuleType(NAME)
    real.__spec__ = ModuleSpec(NAME, None, origin="_ext.so")
    monkeypatch.setitem(sys.modules, NAME, real)
    assert not install()
    assert sys.modules[NAME] is real


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mmcv_ops, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^mmcv: is missing: pip install 'fairdarts\[mmdet\]'$"):
        install()


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_a_script_runs_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    script = tmp_path / "script.py"
    script.write_text("import sys; from mmcv import _ext; print(__name__, sys.argv[1:], callable(_ext.nms))")
    monkeypatch.setattr(sys, "argv", ["mmcv_ops.py", str(script), "--a", "b"])
    runpy.run_module("fairdarts.transfer.mmcv_ops", run_name="__main__")
    assert capsys.readouterr().out == "__main__ ['--a', 'b'] True\n"
    monkeypatch.setattr(sys, "argv", ["mmcv_ops.py"])
    with pytest.raises(SystemExit, match=r"^usage: python -m fairdarts\.transfer\.mmcv_ops SCRIPT"):
        runpy.run_module("fairdarts.transfer.mmcv_ops", run_name="__main__")


def test_nms_is_that_of_the_compiled_operation():
    spec = find_spec(NAME)
    if spec is None or not spec.origin.endswith((".so", ".pyd")):
        pytest.skip("mmcv's operations are not compiled")
    compiled = importlib.import_module(NAME)
    torch.manual_seed(0)
    for threshold, offset, whole, _ in product((0.1, 0.3, 0.5, 0.6, 0.7), (0, 1), (False, True), range(20)):
        corners, sizes = torch.rand(200, 2) * 50, 1 + torch.rand(200, 2) * 30
        if whole:  # so that overlaps are as large as thresholds
            corners, sizes = corners.round(), sizes.round()
        boxes, scores = torch.cat([corners, corners + sizes], 1), torch.rand(200)
        assert torch.equal(
            nms(boxes, scores, threshold, offset), compiled.nms(boxes, scores, iou_threshold=threshold, offset=offset)
        )

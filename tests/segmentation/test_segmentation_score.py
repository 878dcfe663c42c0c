"""Intersection over union against cases made by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from photographs import recipe, voc_folder
from PIL import Image
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.data.masks import write_mask
from fairdarts.data.settings import IGNORED
from fairdarts.runtime.settings import Compute
from fairdarts.segmentation.images import open_pairs, still_pairs
from fairdarts.segmentation.score import PixelScore, measured, score, tally
from fairdarts.segmentation.settings import Photographs

TRUTH = torch.tensor([[[0, 0, 0, 1], [0, 1, 1, IGNORED]]])
SEEN = torch.tensor([[[0, 0, 1, 1], [2, 1, 1, 2]]])
# Of class 0 four pixels are true, two of them seen, none besides: 2/4. Of class 1 three are true and seen, and one
# besides: 3/4. Class 2 is seen once where it is not: 0/1; its other pixel does not count.
CONFUSION = [[2, 1, 1, 0], [0, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def logits_of(labels: Tensor, classes: int) -> Tensor:
    """Logits [B, classes, H, W] whose largest is the label's."""
    return 4.0 * F.one_hot(labels, classes).permute(0, 3, 1, 2).float()


class Says(nn.Module):
    """A network that gives logits of its own, whatever it sees."""

    def __init__(self, logits: Tensor):
        super().__init__()
        self.logits = logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits


class Reds(nn.Module):
    """A network that knows a picture's classes by their strongest channel."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_iou_of_a_case_made_by_hand():
    batches = [(torch.zeros(1, 3, 2, 4), TRUTH)]
    confusion, loss = tally(Says(logits_of(SEEN, 4)), batches, 4, torch.device("cpu"), "float32")
    assert confusion.tolist() == CONFUSION
    seen = PixelScore(float(loss / 7), confusion.long())
    assert seen.by_class()[:3] == [2 / 4, 3 / 4, 0.0]
    assert math.isnan(seen.by_class()[3])  # it is nowhere
    assert seen.miou == pytest.approx((2 / 4 + 3 / 4 + 0) / 3)
    assert seen.accuracy == pytest.approx(5 / 7)
    right, wrong = (-math.log(math.exp(top) / (math.exp(4) + 3)) for top in (4, 0))
    assert float(loss) == pytest.approx(5 * right + 2 * wrong, rel=1e-6)


def test_iou_is_of_all_images_together():
    one = [(torch.zeros(1, 3, 2, 4), TRUTH), (torch.zeros(1, 3, 2, 4), TRUTH)]
    confusion, _ = tally(Says(logits_of(SEEN, 4)), one, 4, torch.device("cpu"), "float32")
    assert confusion.tolist() == [[2 * count for count in row] for row in CONFUSION]


def test_what_is_minimized_passes_over_pixels_without_a_class():
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 2, 4)
    loss, accuracy = measured(logits, TRUTH)
    known = TRUTH[0] != IGNORED
    expected = F.cross_entropy(logits[0].permute(1, 2, 0)[known].double(), TRUTH[0][known], reduction="sum")
    assert float(loss) == pytest.approx(float(expected) / 8, rel=1e-6)
    assert float(accuracy) == pytest.approx(float((logits.argmax(1)[0][known] == TRUTH[0][known]).double().mean()))


def test_parts_of_a_batch_weigh_as_they_do_in_the_whole():
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 5, 6, dtype=torch.float64), torch.randint(3, (4, 5, 6))
    labels[:2, 1:] = IGNORED  # half of the batch is mostly filled up
    parts = [measured(*part)[0] for part in ((logits[:2], labels[:2]), (logits[2:], labels[2:]))]
    assert float(sum(parts) / 2) == pytest.approx(float(measured(logits, labels)[0]), rel=1e-6)


def test_a_batch_without_any_class_is_no_error():
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss, accuracy = measured(logits, torch.full((2, 4, 4), IGNORED))
    loss.backward()
    assert (float(loss.detach()), float(accuracy)) == (0, 0)
    assert not logits.grad.any()


def test_the_loss_is_not_computed_in_half_precision():
    loss, _ = measured(logits_of(SEEN, 4).bfloat16(), TRUTH)
    assert loss.dtype == torch.float32


def test_images_of_any_size_are_judged_whole(tmp_path: Path):
    pairs = open_pairs(Photographs(**recipe(voc_folder(tmp_path / "voc"))["data"]), "train", "train")
    seen = score(Reds(), pairs, 0, torch.device("cpu"), Compute(precision="float32"))
    known = sum(int((mask != IGNORED).sum()) for _, mask in pairs)
    assert int(seen.confusion.sum()) == known
    losses = [
        F.cross_entropy(x, labels, ignore_index=IGNORED, reduction="sum")
        for x, labels in still_pairs(pairs, range(len(pairs)), 0, torch.device("cpu"))
    ]
    assert seen.loss == pytest.approx(float(sum(losses)) / known, rel=1e-5)
    assert seen.miou > 0.95  # JPEG may blur an edge


def test_images_without_any_class_judge_nothing(tmp_path: Path):
    root = voc_folder(tmp_path / "voc")
    for path in (root / "SegmentationClass").glob("*.png"):
        with Image.open(path) as mask:
            size = mask.size
        write_mask(path, np.full(size[::-1], IGNORED))
    pairs = open_pairs(Photographs(**recipe(root)["data"]), "val", "val")
    with pytest.raises(UserError, match="SegmentationClass: no pixel of the val images has a class to judge by"):
        score(Reds(), pairs, 0, torch.device("cpu"), Compute(precision="float32"))

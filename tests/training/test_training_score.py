"""How good a network is: shares of images right, and which class is taken for which."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from fairdarts.checking import check
from fairdarts.config import Settings
from fairdarts.data.judging import Images
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import Source
from fairdarts.runtime import distributed
from fairdarts.runtime.settings import Compute
from fairdarts.training.score import Score, score, tally

CPU = torch.device("cpu")


class Whole(Settings):
    """Settings with a data section."""

    data: DataSettings
    """the images"""


def settings(batch_size: int) -> DataSettings:
    content = {"kind": "digits", "batch_size": batch_size, "train_portion": 1, "cutout": 0, "workers": 0}
    return check(Whole, {"data": content}, "r.yaml").data


class Reader(nn.Module):
    """Gives the logits that are written in an image's first row."""

    def __init__(self, classes: int):
        super().__init__()
        self.classes, self.norm = classes, nn.BatchNorm1d(classes)
        self.modes: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.norm(x[:, 0, 0, : self.classes])  # whose statistics would move in training
        return x[:, 0, 0, : self.classes] * 255  # values as they are in the source


def images(logits: Tensor, labels: Tensor, classes: int | None = None) -> Images:
    """Images that hold logits [N, classes], whole numbers from 0 to 255."""
    count, known = logits.shape
    pixels = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    pixels[:, 0, 0, :known] = logits.to(torch.uint8)
    names = tuple(f"class {number}" for number in range(classes or known))
    return Images(Source(TensorDataset(pixels, labels), names, 8, (0.0,), (1.0,)), list(range(count)), "test")


def judge(logits: Tensor, labels: Tensor, batch_size: int = 4) -> Score:
    return score(
        Reader(logits.shape[1]), images(logits, labels), settings(batch_size), CPU, Compute(precision="float32")
    )


def drawn(count: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits, all different within an image, and labels."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.stack([torch.randperm(20, generator=generator)[:classes] for _ in range(count)])
    return logits, torch.randint(classes, (count,), generator=generator)


@given(st.integers(1, 30), st.integers(2, 8), st.integers(2, 9), st.integers(0, 2**20))
def test_a_score_is_its_definition(count: int, classes: int, batch_size: int, seed: int):
    """Whatever the batches, of which the last one may be small."""
    logits, labels = drawn(count, classes, seed)
    found = judge(logits, labels, batch_size)
    above = (logits > logits.gather(1, labels[:, None])).sum(1)  # classes that are named before the true one
    assert found.images == count
    assert found.top1 == pytest.approx(float((above < 1).double().mean()))
    assert found.top5 == pytest.approx(float((above < 5).double().mean()))
    exact = logits.double()
    own = exact.logsumexp(1) - exact.gather(1, labels[:, None])[:, 0]
    assert found.loss == pytest.approx(float(own.mean()), rel=1e-5, abs=1e-6)
    expected = torch.zeros(classes, classes, dtype=torch.long)
    for true, predicted in zip(labels.tolist(), logits.argmax(1).tolist(), strict=True):
        expected[true, predicted] += 1
    assert torch.equal(found.confusion, expected)


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_of_five_classes_or_fewer_every_image_is_right_within_five(classes: int):
    assert judge(*drawn(12, classes)).top5 == 1


def test_a_sixth_place_is_not_within_five():
    logits = torch.tensor([[9, 8, 7, 6, 5, 4, 3]] * 7)
    found = judge(logits, torch.arange(7))
    assert (found.top1, found.top5) == pytest.approx((1 / 7, 5 / 7))


def test_every_class_has_its_share_and_one_without_images_has_none():
    logits = torch.eye(3, dtype=torch.long)[[0, 0, 2, 0, 2, 2, 1, 2, 2, 2]] * 9
    labels = torch.tensor([0, 0, 0, 0, 0, 2, 2, 2, 2, 2])
    found = judge(logits, labels)
    assert found.confusion.tolist() == [[3, 0, 2], [0, 0, 0], [0, 1, 4]]
    first, second, third = found.by_class()
    assert (first, third) == (0.6, 0.8)
    assert math.isnan(second)
    assert found.top1 == 0.7


def test_a_score_is_plain_numbers_on_the_cpu():
    found = judge(*drawn(5, 3))
    assert [type(value) for value in (found.loss, found.top1, found.top5, found.images)] == [float, float, float, int]
    assert found.confusion.dtype == torch.long
    assert all(type(share) is float for share in found.by_class())


def test_a_network_judges_without_learning_and_stays_in_evaluation_mode():
    built = Reader(3).train()
    before = {name: value.clone() for name, value in built.state_dict().items()}
    logits, labels = drawn(9, 3)
    score(built, images(logits, labels), settings(4), CPU, Compute(precision="float32"))
    assert built.modes == [False, False]  # 4 + 5 images: a single one joins the batch before
    assert not built.training
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())


def test_only_the_images_asked_for_are_judged():
    logits, labels = drawn(20, 4)
    chosen = [7, 3, 19, 4, 0]
    part = images(logits, labels)._replace(indices=chosen)
    found = score(Reader(4), part, settings(4), CPU, Compute(precision="float32"))
    assert torch.equal(found.confusion, judge(logits[chosen], labels[chosen]).confusion)


def test_a_test_set_may_know_fewer_classes_than_the_network():
    logits, labels = drawn(10, 6)
    found = judge(logits, labels % 2)
    assert found.confusion.shape == (6, 6)
    assert found.confusion[2:].sum() == 0


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_the_processes_shares_make_up_the_whole(monkeypatch: pytest.MonkeyPatch, count: int):
    """Of three processes, one of which may have no images."""
    logits, labels = drawn(count, 4)
    whole = judge(logits, labels)
    seen: list[list[Tensor]] = []
    monkeypatch.setattr(distributed, "ranks", lambda: 3)
    monkeypatch.setattr(distributed, "sum_", lambda tensors: seen.append([own.clone() for own in tensors]))
    for rank in range(3):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        judge(logits, labels)
    confusion, sums = (sum(parts) for parts in zip(*seen, strict=True))
    assert torch.equal(confusion.long(), whole.confusion)
    assert (sums / count).tolist() == pytest.approx([whole.loss, whole.top5])


def test_bfloat16_judges_in_its_own_precision_and_sums_in_float64():
    linear = nn.Linear(4, 3)
    batches = [(torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1]))]
    kinds = []
    linear.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    for precision in ("auto", "float32", "bfloat16"):
        confusion, sums = tally(linear, iter(batches), 3, CPU, precision)
        assert confusion.dtype == sums.dtype == torch.float64
        assert not sums.requires_grad
    assert kinds == [torch.float32, torch.float32, torch.bfloat16]

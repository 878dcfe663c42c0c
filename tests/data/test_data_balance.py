"""Classes of unequal numbers count alike: as often drawn, or as much in the loss; who does not ask for it is told."""

import warnings
from itertools import chain, islice

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset

from fairdarts.config import Notice
from fairdarts.data.balance import class_weights, cross_entropy, drawn_by, tell_balance
from fairdarts.data.loader import EndlessBatches
from fairdarts.data.serve import server
from fairdarts.data.settings import Digits, Given
from fairdarts.data.sources import Source
from fairdarts.data.split import halves

SIZES = (80, 16, 4)
CPU = torch.device("cpu")
SERVED = {"batch_size": 10, "workers": 0, "train_portion": 1, "cutout": 0}


def labels_of_sizes(sizes: tuple[int, ...]) -> list[int]:
    return list(chain.from_iterable([label] * count for label, count in enumerate(sizes)))


def source_of(sizes: tuple[int, ...]) -> Source:
    """Images that are full of their own number."""
    labels = torch.tensor(labels_of_sizes(sizes))
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous()
    names = tuple("abcdef"[: len(sizes)])
    return Source(TensorDataset(images, labels), names, 8, mean=(0.0,), std=(1 / 255,))


def settings(balance: str, **others: object) -> Given:
    return Given(kind="given", balance=balance, **(SERVED | others))


def shares(drawn: list[int], count: int) -> list[float]:
    return (torch.tensor(drawn).bincount(minlength=count) / len(drawn)).tolist()


def test_every_class_is_drawn_as_often_and_every_image_of_a_class_as_often():
    labels = labels_of_sizes(SIZES)
    indices = [index for index in range(len(labels)) if index % 2]  # half of every class
    stream = iter(EndlessBatches(indices, 10, seed=1, labels=labels))
    drawn = [index for batch in islice(stream, 600) for index, _ in batch]
    assert set(drawn) == set(indices)
    assert shares([labels[index] for index in drawn], 3) == pytest.approx([1 / 3] * 3, abs=0.03)
    rare = [index for index in drawn if labels[index] == 2]
    assert rare.count(97) / len(rare) == pytest.approx(1 / 2, abs=0.05)


def test_a_stream_goes_on_where_it_was_and_processes_draw_parts_of_one_batch():
    labels = labels_of_sizes(SIZES)
    indices = list(range(len(labels)))
    whole = list(islice(EndlessBatches(indices, 8, 5, labels=labels), 40))
    assert list(islice(EndlessBatches(indices, 8, 5, 17, labels=labels), 23)) == whole[17:]
    parts = [islice(EndlessBatches(indices, 8, 5, 0, (rank, 2), labels), 40) for rank in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == whole
    assert whole != list(islice(EndlessBatches(indices, 8, 6, labels=labels), 40))


@pytest.mark.parametrize("memory", [True, False])
def test_batches_are_balanced_and_labels_are_those_of_their_images(memory: bool):
    source, told = source_of(SIZES), settings("sampling", flip=False)
    if not memory:
        source = source._replace(dataset=list(source.dataset))
    serve = server(source, told, CPU, torch.channels_last)
    batches = list(islice(serve(indices=list(range(100)), seed=3, start=0), 60))
    labels = torch.cat([labels for _, labels in batches]).tolist()
    assert shares(labels, 3) == pytest.approx([1 / 3] * 3, abs=0.08)
    numbers = torch.cat([images.amax((1, 2, 3)) for images, _ in batches])
    assert labels == [labels_of_sizes(SIZES)[int(number)] for number in numbers.round()]


def test_nothing_is_drawn_otherwise_where_nobody_asks():
    for told in (settings("none"), settings("loss"), Digits(kind="digits", **SERVED)):
        assert drawn_by(told, source_of(SIZES)) is None
    for told in (settings("none"), settings("sampling"), Digits(kind="digits", **SERVED)):
        assert class_weights(told, source_of(SIZES), 0) is None


def test_weights_are_inverse_to_the_numbers_and_one_on_average():
    weights = class_weights(settings("loss"), source_of((6, 3, 1)), 0)
    torch.testing.assert_close(weights, torch.tensor([10 / 18, 10 / 9, 10 / 3]))
    assert weights[labels_of_sizes((6, 3, 1))].mean() == pytest.approx(1)


def test_the_images_that_train_the_weights_are_counted():
    told, source = settings("loss", train_portion=0.25), source_of((8, 40, 0))
    trained = torch.tensor(labels_of_sizes((8, 40, 0)))[halves(told, source, 0)[0]]
    assert trained.bincount().tolist() == [2, 10]
    torch.testing.assert_close(class_weights(told, source, 0), torch.tensor([12 / 4, 12 / 20, 0]))


def test_the_loss_is_a_mean_over_images_and_parts_of_a_batch_add_up():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(6, 3, generator=generator), torch.tensor([0, 0, 0, 1, 1, 2])
    weights = torch.tensor([0.5, 1.0, 4.0])
    by_hand = -(logits.log_softmax(1)[range(6), labels] * weights[labels]).sum() / 6
    torch.testing.assert_close(cross_entropy(logits, labels, weights), by_hand)
    parts = [cross_entropy(logits[part], labels[part], weights) for part in (slice(3), slice(3, 6))]
    torch.testing.assert_close(sum(parts) / 2, by_hand)
    smooth = cross_entropy(logits, labels, torch.ones(3), label_smoothing=0.1)
    torch.testing.assert_close(smooth, F.cross_entropy(logits, labels, label_smoothing=0.1))
    assert torch.equal(cross_entropy(logits, labels), F.cross_entropy(logits, labels))


def test_numbers_that_are_far_apart_are_said():
    with pytest.warns(Notice, match=r"data.balance: none: c has 4 images, a 80, 20 times as many; sampling, or loss"):
        tell_balance(settings("none"), source_of(SIZES))
    with pytest.warns(Notice, match=r"a has 1 image, c 3, 3 times as many"):
        tell_balance(settings("none"), source_of((1, 0, 3)))
    with warnings.catch_warnings(action="error"):
        tell_balance(settings("none"), source_of((5, 14)))
        tell_balance(settings("none"), source_of((0, 14)))
        for told in (settings("sampling"), settings("loss"), Digits(kind="digits", **SERVED)):
            tell_balance(told, source_of(SIZES))

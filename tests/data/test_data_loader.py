"""Search batches: endless, decided by seed and position alone, each label with its image."""

import signal
from functools import partial
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import Dataset

from fairdarts.data.loader import Augmented, EndlessBatches, batches

CPU = torch.device("cpu")


class Numbered(Dataset):
    """Image i is full of the number i, and so is its label."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3, 4, 4), float(index)), index


class Noise(nn.Module):
    """Adds a random number below one half, so that the image's own number can still be read."""

    def forward(self, image: Tensor) -> Tensor:
        return image + torch.rand(()) / 2


def served(
    start: int, count: int, workers: int = 0, seed: int = 3, shard: tuple[int, int] = (0, 1)
) -> list[tuple[Tensor, Tensor]]:
    dataset = Augmented(Numbered(), Noise())
    return list(islice(batches(dataset, list(range(10, 23)), 4, seed, start, workers, CPU, shard), count))


@st.composite
def passes(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Indices, batch size, seed."""
    size = draw(st.integers(1, 40))
    return list(range(100, 100 + size)), draw(st.integers(1, size)), draw(st.integers(0, 2**40))


@given(passes())
def test_every_pass_is_a_shuffle_of_the_indices_cut_into_full_batches(given: tuple[list[int], int, int]):
    indices, batch_size, seed = given
    per_pass = len(indices) // batch_size
    stream = iter(EndlessBatches(indices, batch_size, seed))
    for _ in range(3):
        drawn = list(islice(stream, per_pass))
        assert all(len(batch) == batch_size for batch in drawn)
        images = [index for batch in drawn for index, _ in batch]
        assert len(set(images)) == len(images) == per_pass * batch_size
        assert set(images) <= set(indices)


@given(passes(), st.integers(0, 50))
def test_a_start_at_n_is_what_follows_n_batches(given: tuple[list[int], int, int], start: int):
    indices, batch_size, seed = given
    skipped = islice(EndlessBatches(indices, batch_size, seed), start, start + 5)
    assert list(islice(EndlessBatches(indices, batch_size, seed, start), 5)) == list(skipped)


def test_seeds_and_passes_have_orders_of_their_own():
    orders = []
    for seed in range(5):
        stream = iter(EndlessBatches(list(range(30)), 30, seed))
        orders += [tuple(index for index, _ in next(stream)) for _ in range(3)]
    assert len(set(orders)) == 15


def test_an_image_is_augmented_anew_in_every_pass():
    stream = iter(EndlessBatches(list(range(8)), 8, 0))
    seeds = {seed for _ in range(4) for _, seed in next(stream)}
    assert len(seeds) == 32


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("start", [0, 2, 3, 5])  # three batches make a pass
def test_batches_are_the_same_after_a_resume_and_with_any_number_of_workers(start: int, workers: int):
    expected = served(0, start + 4)[start:]
    for (images, labels), (expected_images, expected_labels) in zip(served(start, 4, workers), expected, strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("start", [0, 2, 5])
@pytest.mark.parametrize("of", [2, 4])
def test_the_shards_of_a_batch_are_the_whole_batch(of: int, start: int, workers: int):
    parts = [served(start, 4, workers, shard=(number, of)) for number in range(of)]
    for whole, *shards in zip(served(start, 4), *parts, strict=True):
        assert all(len(images) == len(labels) == 4 // of for images, labels in shards)
        for tensor, pieces in zip(whole, zip(*shards, strict=True), strict=True):
            assert torch.equal(torch.cat(pieces), tensor)


def test_another_seed_augments_and_orders_otherwise():
    one, other = served(0, 2), served(0, 2, seed=4)
    assert not torch.equal(one[0][1], other[0][1])
    assert not torch.equal(one[0][0].sort(0)[0] % 1, other[0][0].sort(0)[0] % 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_labels_belong_to_their_images(workers: int):
    for images, labels in served(0, 7, workers):
        assert torch.equal(images.floor(), labels.float()[:, None, None, None].expand(-1, 3, 4, 4))
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64


@pytest.mark.parametrize("workers", [0, 2])
def test_loading_leaves_the_global_generator_alone(workers: int):
    torch.manual_seed(11)
    before = torch.get_rng_state()
    served(1, 3, workers)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_does_not_decide_a_batch():
    torch.manual_seed(1)
    one = served(0, 2)
    torch.manual_seed(2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(one, served(0, 2), strict=True))


class Handlers(Dataset):
    """The label says whether the process that loads ignores Ctrl-C and dies of SIGTERM."""

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, int]:
        ignores = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        return torch.zeros(1, 2, 2), int(ignores and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)


def test_workers_leave_ctrl_c_to_their_parent(request: pytest.FixtureRequest):
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may have none
    assert all(next(batches(Handlers(), [0, 1], 2, 0, 0, 1, CPU))[1])
    assert not any(next(batches(Handlers(), [0, 1], 2, 0, 0, 0, CPU))[1])

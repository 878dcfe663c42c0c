"""How search batches are served: endlessly, and the same after a resume.

Batch n is a function of the seed and n alone, augmentation included. So the position in a search says all that a
resumed loader must know, whatever the number of workers.
"""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from fairdarts.config import UserError
from fairdarts.runtime.seed import fold

ADVICE = "put a whole image of that name in its place (a run without it is another one)"
"""what to do about a file that cannot be read: the names of all are part of what makes a run"""


class EndlessBatches(Sampler):
    """Batches of (index, seed of its augmentation), from batch `start`: shuffled passes cut into full batches.

    What is left of a pass when no full batch remains is dropped: a batch of a few images spoils BatchNorm.
    With a `shard` (number, of), only that part of every batch is given: one of `of` equal parts, numbered from 0 and in
    order, into which `batch_size` must be divisible.
    With `labels`, of every image that an index may name, a pass draws as many images with replacement, each class as
    often as any other.
    """

    def __init__(
        self,
        indices: list[int],
        batch_size: int,
        seed: int,
        start: int = 0,
        shard: tuple[int, int] = (0, 1),
        labels: Sequence[int] | None = None,
    ):
        self.indices, self.batch_size, self.seed, self.start, self.shard = indices, batch_size, seed, start, shard
        self.weights = None if labels is None else inverse_numbers(torch.tensor(labels)[indices])

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_pass = len(self.indices) // self.batch_size
        number, first = divmod(self.start, per_pass)
        part = self.batch_size // self.shard[1]
        offset = self.shard[0] * part  # where this shard begins in a batch
        while True:
            generator = torch.Generator().manual_seed(fold(self.seed, number))
            order = self.order(generator).tolist()
            seeds = torch.randint(2**62, (len(self.indices),), generator=generator).tolist()
            for begin in range(first * self.batch_size, per_pass * self.batch_size, self.batch_size):
                chosen = order[begin + offset : begin + offset + part]
                yield [(self.indices[position], seeds[position]) for position in chosen]
            number, first = number + 1, 0

    def order(self, generator: torch.Generator) -> Tensor:
        """The positions that a pass goes through, as many as there are indices."""
        count = len(self.indices)
        if self.weights is None:
            return torch.randperm(count, generator=generator)
        return torch.multinomial(self.weights, count, replacement=True, generator=generator)


def inverse_numbers(labels: Tensor) -> Tensor:
    """The weight of every image, 1 / the number of images with its label [N]."""
    return 1 / labels.bincount().double()[labels]


class Augmented(Dataset):
    """A data set under a random transform whose randomness the sampler decides."""

    def __init__(self, dataset: Dataset, transform: Callable):
        self.dataset, self.transform = dataset, transform

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Any] | UserError:
        index, seed = item
        try:
            image, label = self.dataset[index]
        except UserError as error:  # handed on as a value: raised in a worker, it would arrive with a traceback in it
            return UserError(f"{error}; {ADVICE}")
        try:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                return self.augment(image, label)
        except UserError as error:
            return error

    def augment(self, image: Any, label: Any) -> tuple[Tensor, Any]:
        """An image and its label as they are served."""
        return self.transform(image), int(label)


def _collate(items: list[tuple[Tensor, Any] | UserError]) -> list[Tensor] | UserError:
    failed = [item for item in items if isinstance(item, UserError)]
    return failed[0] if failed else default_collate(items)


def batches(
    dataset: Dataset,
    indices: list[int],
    batch_size: int,
    seed: int,
    start: int,
    workers: int,
    device: torch.device,
    shard: tuple[int, int] = (0, 1),
    layout: torch.memory_format = torch.channels_last,
    labels: Sequence[int] | None = None,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Endless (images [B, C, H, W] in the layout, labels [B]) on the device, from batch number `start`.

    B is `batch_size`, or the part of it that is this process's `shard`; `labels` balance the classes (see
    EndlessBatches). Raises UserError where an image cannot be decoded, naming its file.
    """
    return loaded(dataset, EndlessBatches(indices, batch_size, seed, start, shard, labels), workers, device, layout)


def loaded(
    dataset: Dataset,
    parts: Iterable[list[tuple[int, int]]],
    workers: int,
    device: torch.device,
    layout: torch.memory_format = torch.channels_last,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """The batches of (index, seed) that `parts` lists, from an Augmented data set. Raises UserError as `batches`."""
    loader = DataLoader(
        dataset,
        batch_sampler=parts,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_parent,
        generator=torch.Generator(),  # else the loader draws from the generator that a checkpoint holds
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
    )
    iterator = iter(loader)
    while (batch := next(iterator, None)) is not None:
        if isinstance(batch, UserError):
            del iterator  # ends the workers, which the error on its way would hold on to
            raise UserError(str(batch))  # raised itself, `batch` would be part of its own traceback
        images, labels = batch
        images = images.to(device, non_blocking=True, memory_format=layout)
        yield images, labels.to(device, non_blocking=True)


def _leave_signals_to_the_parent(_worker: int) -> None:
    # Ctrl-C and job schedulers signal the whole process group; only the parent may act on it, after the step. SIGTERM
    # is how the parent ends a worker, so the handler inherited from it must not stand in the way.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

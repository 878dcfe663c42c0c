"""How the images of a run are served: from memory where they are small, by processes where they are files."""

import os
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from fairdarts.config import UserError
from fairdarts.data.balance import drawn_by
from fairdarts.data.loader import Augmented, batches, loaded
from fairdarts.data.memory import check_sizes, kept_batches, on_device
from fairdarts.data.settings import DataSettings, ImageNet
from fairdarts.data.sources import Source, as_imagenet, check_tensors
from fairdarts.data.split import held_out_names
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import RunDirectory

Serve = Callable[..., Generator[tuple[Tensor, Tensor], None, None]]
"""(indices, seed, start) → endless (images [B, C, H, W], labels [B]) on the device, from batch number `start`"""


def server(
    source: Source,
    settings: DataSettings,
    device: torch.device,
    layout: torch.memory_format,
    shard: tuple[int, int] = (0, 1),
) -> Serve:
    """What serves training batches of a source: of each, this process's shard, its images in the layout. They are to be
    closed."""
    check_tensors(source)
    if kept_in_memory(source, settings):
        assert not isinstance(settings, ImageNet), "its images are files"
        check_sizes(source)
        serve = partial(kept_batches, on_device(source, device), settings.cutout)
    else:
        from fairdarts.data.transforms import training_transform  # here, as torchvision takes a second to import

        dataset = Augmented(source.dataset, training_transform(source, settings))
        serve = partial(batches, dataset, workers=settings.workers, device=device)
    labels = drawn_by(settings, source)
    return partial(serve, batch_size=settings.batch_size, shard=shard, layout=layout, labels=labels)


def kept_in_memory(source: Source, settings: DataSettings) -> bool:
    """Whether training images are augmented a batch at a time, on the device."""
    return isinstance(source.dataset, TensorDataset) and settings.auto_augment == "none" and not as_imagenet(settings)


def evaluation_batches(
    source: Source, settings: DataSettings, indices: Sequence[int], device: torch.device, layout: torch.memory_format
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """(images [B, C, H, W] in the layout, labels [B]) on the device, as they are: each of the indices once, in order.

    The last batch may be smaller, but for a single image, which joins the batch before: BatchNorm may be asked for a
    batch's statistics. Raises UserError where an image cannot be decoded, naming its file.
    """
    check_tensors(source)
    from fairdarts.data.transforms import evaluation_transform  # here, as torchvision takes a second to import

    transform = evaluation_transform(source, settings)
    size = settings.batch_size
    parts = [list(indices[begin : begin + size]) for begin in range(0, len(indices), size)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [parts[-2] + parts[-1]]
    if not isinstance(source.dataset, TensorDataset):
        items = [[(index, 0) for index in part] for part in parts]  # nothing is random, so any seed will do
        yield from loaded(Augmented(source.dataset, transform), items, settings.workers, device, layout)
        return
    images, labels = source.dataset.tensors
    for part in parts:  # a batch at a time on the device: image by image would take longer than a small network does
        batch = transform(images[part].to(device, memory_format=torch.channels_last))
        yield batch.contiguous(memory_format=layout), labels[part].to(device)


def check_alike(data: Any, images: str) -> None:
    """Raises UserError where this process has other images than the first: their shares would not be of one batch."""
    others = distributed.shared(images)
    if images != others:
        here = f"process {distributed.rank()} has other images than process 0 (number, names: {images}, not {others})"
        raise UserError(f"data.root: {getattr(data, 'root', None) or data.kind}: {here}")


def keep_held_out(run: RunDirectory, data: DataSettings, source: Source, held_out: Sequence[int]) -> None:
    """Writes the names of ImageNet's held-out images into the run directory, once.

    Raises UserError where a run that goes on would hold out others.
    """
    if not isinstance(data, ImageNet):
        return
    path, names = run.path / "held_out.txt", "".join(f"{name}\n" for name in held_out_names(source, held_out))
    content = os.fsencode(names)  # a file's name may be any bytes
    if not path.is_file():
        write_atomically(path, content)
    elif path.read_bytes() != content:
        before, now = set(os.fsdecode(path.read_bytes()).splitlines()), set(names.splitlines())
        first = min(before ^ now, default="their order")
        raise UserError(f"{path}: it or the images in {data.root} have changed, as to {first}")

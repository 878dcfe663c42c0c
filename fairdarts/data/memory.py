"""How small data sets are served from memory: augmented a batch at a time, on the device.

The order of the images is that of `loader.EndlessBatches`, which draws a seed for every image on the CPU. What happens
to the image is written in the digits of that seed, so batch n is a function of the stream's seed and n on every device.
"""

from collections.abc import Callable, Generator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import TensorDataset

from fairdarts.config import UserError
from fairdarts.data.loader import EndlessBatches
from fairdarts.data.sources import Source
from fairdarts.runtime.shape import sides, size_text


def on_device(source: Source, device: torch.device) -> Source:
    """A source in memory with its images in channels_last and its labels on the device, to be shared by all streams."""
    images, labels = source.dataset.tensors
    images = images.to(device, memory_format=torch.channels_last)
    return source._replace(dataset=TensorDataset(images, labels.to(device)))


def check_sizes(source: Source) -> None:
    """Raises UserError where images in memory have another size than the source says: they are served as they are."""
    height, width = source.dataset.tensors[0].shape[-2:]
    if (height, width) != sides(source.image):
        should = f"should be {size_text(source.image)}, the source's image"
        raise UserError(f"images: of {height}×{width} pixels (height × width); {should}")


def kept_batches(
    source: Source,
    cutout: int,
    indices: list[int],
    batch_size: int,
    seed: int,
    start: int,
    shard: tuple[int, int] = (0, 1),
    layout: torch.memory_format = torch.channels_last,
    labels: Sequence[int] | None = None,
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Endless (images [B, C, H, W] in the layout, labels [B]) of a source `on_device`, from batch number `start`.

    B is `batch_size`, or the part of it that is this process's `shard`; `labels` balance the classes (see
    EndlessBatches). The host never waits for the device.
    """
    images, kept_labels = source.dataset.tensors
    pixels, device = images.permute(0, 2, 3, 1), images.device
    transform = batch_transform(source, cutout, device)
    for batch in EndlessBatches(indices, batch_size, seed, start, shard, labels):
        drawn = torch.tensor(batch, pin_memory=device.type == "cuda").to(device, non_blocking=True)
        chosen, seeds = drawn.unbind(1)
        augmented = transform(pixels.index_select(0, chosen), seeds)
        yield augmented.contiguous(memory_format=layout), kept_labels.index_select(0, chosen)


def batch_transform(source: Source, cutout: int, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """`padded_crop` of a batch: (uint8 [B, H, W, C], seeds [B]) → float32 [B, C, H, W] in channels_last.

    Seeds 0, 1, 2, … reach each crop, flip and centre of cutout once before the first comes again, so that seeds drawn
    uniformly below 2⁶² have the distribution of the torchvision transforms to 13 digits. Rows of images are treated as
    a whole, W·C values long: an inner dimension of one or three channels would be slow.
    """
    (height, width), channels = sides(source.image), len(source.mean)
    above, beside = height // 8, width // 8  # padding
    radices = (2 * above + 1, 2 * beside + 1, 2 if source.flip else 1, height, width)
    row = torch.arange(height, device=device)  # [H]
    column = torch.arange(width, device=device).repeat_interleave(channels)  # of every value in a row [W·C]
    channel = torch.arange(channels, device=device).repeat(width)  # likewise
    mean, std = (torch.tensor(value, dtype=torch.float64) for value in (source.mean, source.std))
    scale, shift = ((value.repeat(width)).float().to(device) for value in (1 / (255 * std), -mean / std))

    def transform(images: Tensor, seeds: Tensor) -> Tensor:
        count, rows, columns = len(images), height + 2 * above, width + 2 * beside
        top, left, mirrored, y, x = mixed_radix(seeds[:, None], radices)  # [B, 1] each
        first = torch.arange(0, count * rows, rows, device=device)[:, None]
        images = pad(images, (0, 0, beside, beside, above, above)).view(count * rows, columns * channels)
        images = images.index_select(0, (first + top + row).flatten()).view(count, height, -1)
        column_read = left + torch.where(mirrored == 1, width - 1 - column, column)
        value_read = (column_read * channels + channel)[:, None].expand(-1, height, -1)
        images = torch.addcmul(shift, images.gather(2, value_read).float(), scale)  # [B, H, W·C]
        if cutout:
            images *= torch.maximum(outside(y, row)[:, :, None], outside(x, column)[:, None])
        return images.view(count, height, width, channels).permute(0, 3, 1, 2)

    def outside(center: Tensor, position: Tensor) -> Tensor:
        """1 where a position [L] does not lie in the square around a center [B, 1], 0 where it does: [B, L]."""
        distance = position - center + cutout // 2
        return ((distance < 0) | (distance >= cutout)).float()

    return transform


def mixed_radix(numbers: Tensor, radices: Sequence[int]) -> list[Tensor]:
    """The digits of numbers, the lowest first; the i-th counts from 0 to radices[i] − 1."""
    digits = []
    for radix in radices:
        digits.append(numbers % radix)
        numbers = numbers // radix
    return digits

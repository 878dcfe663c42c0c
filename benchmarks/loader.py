#!/usr/bin/env python3
"""What does a batch of images cost? From memory, streamed, and as the official DARTS code loads it; or decoded.

    python benchmarks/loader.py --threads 1 --pairs 15 --out benchmarks/results/loader.json
    python benchmarks/loader.py --decode --threads 1 --pairs 15 --out benchmarks/results/loader-decode.json

The official search makes a new iterator of its loader of held-out images at every architecture step (quark0/darts,
cnn/train_search.py), with 2 workers and torchvision transforms image by image; here also without workers. Our own
streaming, which large data sets still take, is measured without workers. The images are random, and as many as half
of CIFAR-10's. In every pair each way has its turn of one batch, but of 20 from memory, as those are short; to draw the
order of a new pass, which most turns need not, adds a hundredth to them. The result is the median and quartiles of the
seconds a batch takes, and of the paired ratios to memory.

With --decode, the images are JPEG files in class folders under ImageNet's random resized crop, without jitter, loaded
by 0, 1 and 2 workers; the reference is the same transform without workers over the same images, decoded before. The
files are of ImageNet's usual size, 500×375 pixels and some 100 kB of noise whose octaves are equally strong, as those
of photographs are, or as many from a folder of yours (--root). They stay in the system's cache, so that no disk is
measured. A turn begins with a fresh loader and is timed from when its workers have handed over what they loaded ahead.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import torch
from circumstances import circumstances
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler, TensorDataset
from torchvision import transforms

from fairdarts.data.loader import Augmented, batches
from fairdarts.data.memory import kept_batches, on_device
from fairdarts.data.sources import CIFAR10_STATISTICS, Source, folder
from fairdarts.data.transforms import Cutout, padded_crop, resized_crop

TURN = 20  # batches from memory
DECODED_TURN = 8  # batches of large images
PHOTOS = 64
AHEAD = 2  # batches that torch's DataLoader asks of every worker in advance

Ways = dict[str, Callable[[], float]]
"""What takes a turn and gives the seconds a batch took; the first is the reference."""


class Pictures(Dataset):
    """Images [N, H, W, C] as torchvision's CIFAR-10 gives them: each made a PIL image, then transformed."""

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]):
        self.images, self.labels, self.transform = images.numpy(), labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def official(images: Tensor, labels: Tensor, cutout: int, batch_size: int, workers: int) -> DataLoader:
    """The loader of quark0/darts, cnn/train_search.py, with the transforms of its cnn/utils.py."""
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    steps += [transforms.Normalize(*CIFAR10_STATISTICS), *([Cutout(cutout)] if cutout else [])]
    dataset = Pictures(images, labels, transforms.Compose(steps))
    return DataLoader(dataset, batch_size, sampler=SubsetRandomSampler(range(len(dataset))), num_workers=workers)


def seconds(take: Callable[[], object], times: int) -> float:
    wait = torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None
    begun = time.perf_counter()
    for _ in range(times):
        take()
    wait()
    return (time.perf_counter() - begun) / times


def in_memory(args: argparse.Namespace) -> tuple[Ways, dict[str, Any]]:
    """CIFAR-10's size: from memory, streamed, and the official loader. Also what the result should say of them."""
    device, generator = torch.device(args.device), torch.Generator().manual_seed(0)
    images = torch.randint(256, (args.images, 32, 32, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (args.images,), generator=generator)
    dataset = TensorDataset(images.permute(0, 3, 1, 2), labels)
    source = Source(dataset, tuple(map(str, range(10))), 32, *CIFAR10_STATISTICS)
    order = list(range(args.images))
    memory = kept_batches(on_device(source, device), args.cutout, order, args.batch, 0, 0)
    augmented = Augmented(dataset, padded_crop(source, args.cutout))
    streamed = batches(augmented, order, args.batch, 0, 0, 0, device)
    with_workers, alone = (official(images, labels, args.cutout, args.batch, workers) for workers in (2, 0))
    ways = {
        "memory": partial(seconds, lambda: next(memory), TURN),
        "streamed": partial(seconds, lambda: next(streamed), 1),
        "official_2_workers": partial(seconds, lambda: next(iter(with_workers))[0].to(device), 1),
        "official_0_workers": partial(seconds, lambda: next(iter(alone))[0].to(device), 1),
    }
    return ways, {"images": args.images, "cutout": args.cutout}


def photograph(generator: torch.Generator) -> Image.Image:
    pixels = torch.full((1, 3, 375, 500), 128.0)
    for cells in (2, 4, 8, 16, 32, 64, 128, 256):
        shades, tints = (torch.randn(1, channels, cells, cells, generator=generator) for channels in (1, 3))
        pixels += interpolate(32 * shades + 8 * tints, (375, 500), mode="bicubic")
    return Image.fromarray(pixels[0].clamp(0, 255).byte().permute(1, 2, 0).numpy())


def write_photographs(root: Path, count: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for number in range(count):
        path = root / f"class-{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        photograph(generator).save(path, quality=90)


def decoding(args: argparse.Namespace, root: Path) -> tuple[Ways, dict[str, Any]]:
    """ImageNet's size: images that are decoded already, and files. Also what the result should say of them."""
    device, source = torch.device(args.device), folder(root, args.size)
    chosen = torch.randperm(len(source.dataset), generator=torch.Generator().manual_seed(0))[: args.photos].tolist()
    if len(chosen) < args.batch:
        sys.exit(f"loader: --batch {args.batch}: should be at most {len(chosen)}, the number of images")
    transform = resized_crop(source, (0.08, 1.0), (0.0, 0.0, 0.0, 0.0))
    decoded = Augmented([source.dataset[index] for index in chosen], transform)
    files = Augmented(source.dataset, transform)

    def turn(dataset: Augmented, order: list[int], workers: int) -> float:
        with closing(batches(dataset, order, args.batch, 0, 0, workers, device)) as stream:
            for _ in range(1 + AHEAD * workers):
                next(stream)
            return seconds(lambda: next(stream), DECODED_TURN)

    ways = {"decoded": partial(turn, decoded, list(range(len(chosen))), 0)}
    ways |= {f"files_{workers}_workers": partial(turn, files, chosen, workers) for workers in args.workers}
    sizes = [Path(source.dataset.samples[index][0]).stat().st_size for index in chosen]
    return ways, {"photos": len(chosen), "size": args.size, "file_bytes_quartiles": quartiles(sizes)}


def compare(ways: Ways, pairs: int, batch: int) -> dict[str, dict[str, list[float]]]:
    """Quartiles of the seconds a batch takes, the images a second, and the seconds' ratio to the pair's reference."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for take in ways.values():
        take()
    for _ in range(pairs):
        for way, take in ways.items():
            times[way].append(take())
        print("   ".join(f"{way} {found[-1] * 1e3:.2f} ms" for way, found in times.items()), file=sys.stderr)
    speeds = {way: quartiles([batch / taken for taken in found]) for way, found in times.items()}
    reference, *others = ways
    ratios = {
        way: quartiles([slow / fast for slow, fast in zip(times[way], times[reference], strict=True)]) for way in others
    }
    return {
        "seconds_quartiles": {way: quartiles(found) for way, found in times.items()},
        "images_per_second_quartiles": speeds,
        "ratio_quartiles": ratios,
    }


def quartiles(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in statistics.quantiles(values, n=4, method="inclusive")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=25000)
    parser.add_argument("--cutout", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--decode", action="store_true", help="measure files that must be decoded")
    parser.add_argument("--root", help="with --decode: class folders of images, instead of made ones")
    parser.add_argument("--photos", type=int, default=PHOTOS, help="with --decode: how many files")
    parser.add_argument("--size", type=int, default=224, help="with --decode: pixels of a side after the crop")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="with --decode: how many, by turns")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where batches are needed")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as made:
        if args.decode and not args.root:
            write_photographs(Path(made), args.photos)
        ways, facts = decoding(args, Path(args.root or made)) if args.decode else in_memory(args)
        found = compare(ways, args.pairs, args.batch)
    result = {
        **circumstances(args.device),
        "threads": args.threads,
        "batch": args.batch,
        "pairs": args.pairs,
        **facts,
        **found,
    }
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

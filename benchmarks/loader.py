#!/usr/bin/env python3
"""What does a batch of the architecture's images cost? From memory, streamed, and as the official DARTS code loads it.

    python benchmarks/loader.py --threads 1 --pairs 15 --out benchmarks/results/loader.json

The official search makes a new iterator of its loader of held-out images at every architecture step (quark0/darts,
cnn/train_search.py), with 2 workers and torchvision transforms image by image; here also without workers. Our own
streaming, which large data sets still take, is measured without workers. The images are random, and as many as half
of CIFAR-10's. In every pair each way has its turn of one batch, but of 20 from memory, as those are short; to draw the
order of a new pass, which most turns need not, adds a hundredth to them. The result is the median and quartiles of the
seconds a batch takes, and of the paired ratios to memory.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler, TensorDataset
from torchvision import transforms

from fairdarts.data.loader import Augmented, batches
from fairdarts.data.memory import kept_batches, on_device
from fairdarts.data.sources import CIFAR10_STATISTICS, Source
from fairdarts.data.transforms import Cutout, training_transform

CPU = torch.device("cpu")
TURN = 20  # batches from memory


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
    begun = time.perf_counter()
    for _ in range(times):
        take()
    return (time.perf_counter() - begun) / times


def quartiles(values: list[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in statistics.quantiles(values, n=4)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=25000)
    parser.add_argument("--cutout", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (args.images, 32, 32, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (args.images,), generator=generator)
    dataset = TensorDataset(images.permute(0, 3, 1, 2), labels)
    source = Source(dataset, tuple(map(str, range(10))), 32, *CIFAR10_STATISTICS)
    order = list(range(args.images))
    memory = kept_batches(on_device(source, CPU), args.cutout, order, args.batch, 0, 0)
    augmented = Augmented(dataset, training_transform(source, args.cutout))
    streamed = batches(augmented, order, args.batch, 0, 0, 0, CPU)
    with_workers, alone = (official(images, labels, args.cutout, args.batch, workers) for workers in (2, 0))
    ways = {
        "memory": (lambda: next(memory), TURN),
        "streamed": (lambda: next(streamed), 1),
        "official_2_workers": (lambda: next(iter(with_workers)), 1),
        "official_0_workers": (lambda: next(iter(alone)), 1),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for take, _ in ways.values():
        take()
    for _ in range(args.pairs):
        for way, (take, count) in ways.items():
            times[way].append(seconds(take, count))
        print("   ".join(f"{way} {found[-1] * 1e3:.2f} ms" for way, found in times.items()))
    ratios = {
        way: quartiles([slow / fast for slow, fast in zip(found, times["memory"], strict=True)])
        for way, found in times.items()
        if way != "memory"
    }
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "command": " ".join(["python", "benchmarks/loader.py", *sys.argv[1:]]),
        **{key: value for key, value in vars(args).items() if key != "out"},
        "seconds_quartiles": {way: quartiles(found) for way, found in times.items()},
        "ratio_quartiles": ratios,
    }
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()

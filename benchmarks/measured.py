"""What the programs that measure steps by turns share: options, ratios round by round, processes that step when asked,
and how a result is given."""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch


def add_options(parser: argparse.ArgumentParser, batch: int, images: str, pairs: int = 7) -> None:
    """The options of all that step by turns; `images` says what a batch is of."""
    parser.add_argument("--image", type=int, default=32, help="height and width of the images")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--batch", type=int, default=batch, help=images)
    parser.add_argument("--pairs", type=several, default=pairs, help="rounds that are measured")
    add_out(parser)


def several(word: str) -> int:
    """A number of rounds, of which there are quartiles."""
    if not word.isdecimal() or int(word) < 2:
        raise argparse.ArgumentTypeError(f"{word}: should be a whole number from 2, as quartiles are of several")
    return int(word)


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option of `give`."""
    parser.add_argument("--out", type=Path, help="JSON file of the result")


def give(result: object, out: Path | None) -> None:
    """Prints a result as JSON, and writes it to a file where one is named."""
    text = json.dumps(result, indent=1)
    print(text)
    if out:
        out.write_text(text + "\n")


def quartiles(values: Sequence[float]) -> list[float]:
    """Lower quartile, median and upper quartile."""
    return [round(value, 3) for value in statistics.quantiles(values, n=4, method="inclusive")]


def ratios(own: Sequence[float], plain: Sequence[float], channels_last: Sequence[float]) -> dict[str, list[float]]:
    """How many times as fast a way is as the published form, and as that form in channels_last, from the seconds of
    all three, round by round."""
    held = {"ratio_quartiles": plain, "ratio_channels_last_quartiles": channels_last}
    return {key: quartiles([slow / fast for slow, fast in zip(form, own, strict=True)]) for key, form in held.items()}


def largest(differences: Iterable[float]) -> float:
    """The largest difference, and nan where one is nan, which `max` passes over unless it comes first."""
    every = list(differences)
    return math.nan if any(map(math.isnan, every)) else max(every)


def matmul_speed(device: torch.device) -> float:
    """Arithmetic operations a second of a large float32 matrix product (on CUDA bfloat16), the best of ten."""
    size, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a, times = torch.randn(size, size, device=device, dtype=dtype), []
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in range(10):
        wait()
        begun = time.perf_counter()
        torch.mm(a, a)
        wait()
        times.append(time.perf_counter() - begun)
    return 2 * size**3 / min(times)


def serve(take: Callable[[], object], device: torch.device) -> None:
    """Takes a step for every line that is read, and writes its seconds."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    for _ in sys.stdin:
        wait()
        begun = time.perf_counter()
        take()
        wait()
        print(time.perf_counter() - begun, flush=True)


class Server:
    """A process of a program that `serve`s: it takes one step whenever it is asked."""

    def __init__(self, program: str, words: Sequence[str]):
        self.name, pipes = " ".join(words), {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, program, *words], text=True, **pipes)

    def seconds(self) -> float:
        """Seconds of its next step; SystemExit where the process has ended."""
        try:
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        if line := self.process.stdout.readline():
            return float(line)
        raise SystemExit(f"the process {self.name} ended with status {self.process.wait()}")

    def end(self) -> None:
        """Lets the process end."""
        self.process.stdin.close()
        self.process.wait()


def by_turns(servers: dict[str, Server], rounds: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The seconds of every process' steps, and those of its first, which is in no round; then lets them end."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds + 1):
        for name, server in servers.items():
            times[name].append(server.seconds())
        print("  ".join(f"{name} {own[-1]:.3f} s" for name, own in times.items()), file=sys.stderr)
    for server in servers.values():
        server.end()
    return times, {name: own.pop(0) for name, own in times.items()}

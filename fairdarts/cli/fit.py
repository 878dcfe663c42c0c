"""`fairdarts fit`: from class folders of images to a trained, exported model within a budget."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.words import Parser, command, empty_table, print_table, say
from fairdarts.config import describe
from fairdarts.evolution.objectives import amount
from fairdarts.options import words_of
from fairdarts.runs.fit.asked import FitOptions, read_asked
from fairdarts.runs.progress import ProgressBar

EPILOG = f"""PHOTOS are class folders: PHOTOS/CLASS/IMAGE, or PHOTOS/train/CLASS/IMAGE with PHOTOS/test (or val).

It looks at the images, searches a chain of layers with the cost, derives within the budget, trains what was derived,
judges it on images that nothing else has seen, and writes ONNX and safetensors files. Each stage is an ordinary run in
the folder --out, and says what was chosen and why. The same command goes on where it was stopped.

settings:
{describe(FitOptions)}"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("fit", "From class folders of images to a model within a budget.", EPILOG)
    parser.add_argument("photos", metavar="PHOTOS", help="class folders of images")
    parser.add_argument("--budget", metavar="LIMIT", help="'madds <= 20e6', or params, or latency in ms here")
    parser.add_argument("--hours", type=float, help="how long all of it may take (default 1)")
    parser.add_argument("--out", type=Path, default=Path("fit"), help="folder of all that is made (default: fit)")
    parser.add_argument("--json", action="store_true", help="the results as an object instead of lines")
    args, rest = parser.parse_known_args(argv)
    settings = words_of(FitOptions, rest, parser.options)
    told = {**settings} | ({"hours": args.hours} if args.hours is not None else {})
    read_asked(args.photos, args.budget, args.out, told)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.fit.run import fit
    from fairdarts.runtime.stop import Interrupted

    again = command("fit", args.photos, "--out", args.out)
    try:
        found = fit(args.photos, args.budget, out=args.out, settings=told, callbacks=ProgressBar())
    except Interrupted as interrupted:
        say(f"{interrupted}: the state is saved; continue with\n{again}")
        return 128 + interrupted.signal
    if args.json:
        sys.stdout.write(json.dumps(found.results, indent=1, ensure_ascii=False) + "\n")
        return 0
    show(found.results)
    return 0


def show(results: dict[str, Any]) -> None:
    """What has come of it, on stdout."""
    low, high = results["interval"]
    table = empty_table("", "")
    table.show_header = False
    seen = f"{results['images']:,} images that nothing else has seen"
    table.add_row("accuracy", f"{results['top1']:.1%} (95 %: {low:.1%} to {high:.1%}) of {seen}")
    if abs(results["balanced"] - results["top1"]) >= 0.005:
        table.add_row("", f"{results['balanced']:.1%} as the mean over the classes")
    table.add_row("", f"{results['guessing']:.1%} had the commonest class been named always")
    quantity = results["budget"].split()[0]
    costs = [amount(results[key], key) for key in dict.fromkeys((quantity, "madds", "params"))]
    table.add_row("cost", f"{', '.join(costs)}; the budget is {results['budget']}")
    if results["latency"]:
        times = results["latency"]["milliseconds"].items()
        table.add_row("latency", ", ".join(f"{name} {value['median']:.2f} ms" for name, value in times) + " an image")
    spent = results["search"]["seconds"], results["train"]["seconds"]
    table.add_row("time", f"{spent[0] / 60:.1f} minutes of search, {spent[1] / 60:.1f} of training")
    for number, file in enumerate(results["files"]):
        table.add_row("files" if number == 0 else "", file)
    print_table(table)
    onnx = next(file for file in results["files"] if file.endswith(".onnx"))
    say(f"predict    {command('predict', onnx, 'PHOTO.jpg')}")

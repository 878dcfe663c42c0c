"""`fairdarts fit`: from class folders of images to a trained, exported model within a budget."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.words import Parser, command, say
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
    read_asked(args.photos, args.budget, args.hours, args.out, settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.fit.run import fit
    from fairdarts.runtime.stop import Interrupted

    budget = ("--budget", args.budget) if args.budget else ()
    again = command("fit", args.photos, *budget, "--out", args.out)
    try:
        found = fit(args.photos, args.budget, args.hours, args.out, settings, ProgressBar())
    except Interrupted as interrupted:
        say(f"{interrupted}: the state is saved; continue with\n{again}")
        return 128 + interrupted.signal
    except KeyboardInterrupt:  # between the stages
        say(f"stopped; continue with\n{again}")
        return 130
    if args.json:
        sys.stdout.write(json.dumps(found.results, indent=1, ensure_ascii=False) + "\n")
        return 0
    show(found.results)
    return 0


def show(results: dict[str, Any]) -> None:
    """What has come of it, on stdout."""
    low, high = results["interval"]
    unseen = f"{results['images']:,} images that nothing else has seen"
    rows = [("accuracy", f"{results['top1']:.1%} (95 %: {low:.1%} to {high:.1%}) of {unseen}")]
    if abs(results["balanced"] - results["top1"]) >= 0.005:
        rows.append(("", f"{results['balanced']:.1%} as the mean over the classes"))
    rows.append(("", f"{results['guessing']:.1%} would be right if the commonest class were named always"))
    quantity = results["quantity"]
    told = results | {quantity: results["cost"]}
    costs = [amount(told[key], key) for key in dict.fromkeys((quantity, "madds", "params"))]
    rows.append(("cost", f"{', '.join(costs)}; the budget is {results['budget']}"))
    times = results["latency"]["milliseconds"].items()
    rows.append(("latency", ", ".join(f"{name} {value['median']:.2f} ms" for name, value in times) + " an image, here"))
    rows.append(("time", f"{_minutes(results['search'])} of search, {_minutes(results['train'])} of training"))
    rows += [("" if number else "files", file) for number, file in enumerate(results["files"])]
    for title, text in rows:
        print(f"{title:<10} {text}")
    onnx = next(file for file in results["files"] if file.endswith(".onnx"))
    say(f"predict    {command('predict', onnx, 'PHOTO.jpg')}")


def _minutes(stage: dict[str, Any]) -> str:
    return f"{stage['seconds'] / 60:.1f} minutes ({stage['epochs']} epochs)"

"""`fairdarts evaluate`: what a trained network is worth on a data set, class by class."""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairdarts.cli.words import Parser, empty_table, print_table, say, to_json
from fairdarts.config import Notice, UserError, describe
from fairdarts.options import words_of
from fairdarts.runs.judged_data import EvaluateSettings, read_data
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime.settings import check_threads

if TYPE_CHECKING:
    from fairdarts.runs.evaluate import Judged

EPILOG = f"""MODEL is the run of a training, a checkpoint, a .safetensors file, or one that its authors released.
The images are those of its run or of --config, and every setting of them is an option:
{describe(EvaluateSettings)}"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("evaluate", "Measure a trained network: accuracy, and which class it takes for which.", EPILOG)
    parser.usage = "fairdarts evaluate MODEL [options]"
    parser.add_argument("--config", metavar="RECIPE", help="whose images; the run of a training has its own")
    splits = ("test", "held-out", "train")
    parser.add_argument("--split", choices=splits, help="which of them (default: test; where there is none, held-out)")
    parser.add_argument("--weights", choices=("auto", "ema", "raw"), default="auto", help="averaged or raw weights")
    parser.add_argument("--genotype", metavar="NAME", help="of an authors' file, which does not say it itself")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the picture goes (default: RUN/figures)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON")
    named = bool(argv) and not argv[0].startswith("-")
    args, rest = parser.parse_known_args(argv[named:])
    if not named:
        raise UserError("evaluate: the first word should be a MODEL: a run, a checkpoint, a .safetensors file")
    settings = words_of(EvaluateSettings, rest, parser.options)
    check_threads(args.threads)
    with warnings.catch_warnings(action="ignore", category=Notice):  # which come once more as the run is opened
        read_data(Path(argv[0]), args.config or None, None, settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.evaluate import evaluate

    judged = evaluate(
        argv[0],
        recipe=args.config or None,
        split=args.split,
        weights=args.weights,
        genotype=args.genotype,
        settings=settings,
        device=args.device,
        threads=args.threads,
        callbacks=ProgressBar(),
    )
    drawn = judged.figures(args.out)
    if args.json:
        keys = ("genotype", "epoch", "images", "on", "top1", "top5", "balanced", "loss", "by_class")
        numbers = {key: getattr(judged, key) for key in keys}
        sys.stdout.write(to_json(numbers | {"confusion": judged.confusion.tolist()}))
    else:
        show(judged)
    if judged.chose_epoch:
        say(f"           these {judged.on} images chose this epoch, so its accuracy is a little too good")
    say(f"figures    {', '.join(map(str, drawn))}")
    return 0


def show(judged: "Judged") -> None:
    """The numbers as lines and a table of the classes, the worst first."""
    epoch = f", epoch {judged.epoch}" if judged.epoch is not None else ""
    print(f"network    {judged.genotype}{epoch}")
    print(f"images     {judged.images:,} {judged.on} images of {len(judged.classes)} classes")
    unequal = len({sum(counts) for counts in judged.confusion.tolist()}) > 1
    mean = f"mean over classes {judged.balanced:.2%}, " if unequal else ""
    print(f"accuracy   top-1 {judged.top1:.2%}, top-5 {judged.top5:.2%}, {mean}loss {judged.loss:.4f}\n")
    table = empty_table("class", "images", "right")
    table.add_column("most often taken for")
    names, confusion = judged.classes, judged.confusion.tolist()
    for row in sorted(range(len(names)), key=lambda row: judged.by_class[names[row]]):
        counts = confusion[row]
        wrong = max((column for column in range(len(names)) if column != row), key=counts.__getitem__)
        share = f"{counts[wrong] / sum(counts):.1%}" if sum(counts) else ""
        taken = f"{names[wrong]} ({share})" if counts[wrong] else ""
        right = f"{judged.by_class[names[row]]:.1%}" if sum(counts) else "none"
        table.add_row(names[row], f"{sum(counts):,}", right, taken)
    print_table(table)

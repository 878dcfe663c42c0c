"""What `fairdarts segment` does with a trained network: judge it on a data set, segment photographs."""

import sys
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser, empty_table, print_table, say, to_json
from fairdarts.config import describe
from fairdarts.options import words_of
from fairdarts.runs.judged_data import photographs_of, run_of
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime.settings import check_threads
from fairdarts.segmentation.settings import JudgeSettings


def judge(argv: Sequence[str]) -> int:
    """Measures a trained network on the images of its run, or on others; gives the exit status."""
    parser = Parser("segment", "Measure a segmentation network: IoU, class by class, and pictures of it.")
    parser.usage = "fairdarts segment --judge RUN [options]"
    parser.epilog = f"every setting of the images is an option:\n{describe(JudgeSettings)}"
    parser.add_argument("--judge", type=Path, metavar="RUN", help="the run of a training, or a checkpoint of it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the picture goes (default: RUN/figures)")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON")
    args, rest = parser.parse_known_args(argv)
    settings = words_of(JudgeSettings, rest, parser.options)
    photographs_of(run_of(args.judge), settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.segmenter import judge_segmenter

    judged = judge_segmenter(args.judge, settings, ProgressBar())
    if args.json:
        keys = ("genotype", "epoch", "images", "on", "loss", "miou", "accuracy", "iou")
        sys.stdout.write(to_json({key: getattr(judged, key) for key in keys}))
    else:
        say(f"network    {judged.genotype}, epoch {judged.epoch}")
        say(f"images     {judged.images:,} {judged.on} images of {len(judged.iou)} classes")
        say(f"result     mean IoU {judged.miou:.2%}, pixels right {judged.accuracy:.2%}")
        show_classes(judged.iou)
    say(f"figures    {', '.join(map(str, judged.figures(args.out)))}")
    return 0


def predict(argv: Sequence[str]) -> int:
    """Segments the images that the words name, into a mask and an overlay of each; gives the exit status."""
    parser = Parser("segment", "Segment photographs: a mask of class numbers and an overlay of each.")
    parser.usage = "fairdarts segment --predict RUN IMAGE … [options]"
    parser.add_argument("--predict", type=Path, metavar="RUN", help="the run of a training, or a checkpoint of it")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a photograph")
    parser.add_argument("--out", type=Path, default=Path("masks"), metavar="FOLDER", help="(default: masks)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args(argv)
    check_threads(args.threads)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.segmenter import predict_masks

    for seen in predict_masks(args.predict, args.images, args.out, args.device, args.threads):
        classes = ", ".join(f"{name} {share:.0%}" for name, share in seen.shares.items() if share >= 0.005)
        say(f"{', '.join(map(str, seen.files))}: {classes}")
    return 0


def show_classes(ious: dict[str, float | None]) -> None:
    """A table of the classes' IoU, the worst first, and in the end those that are nowhere."""
    table = empty_table("class", "IoU")
    for name, iou in sorted(ious.items(), key=lambda item: 2 if item[1] is None else item[1]):
        table.add_row(name, "not there" if iou is None else f"{iou:.1%}")
    print_table(table)

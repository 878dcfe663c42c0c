"""`fairdarts predict`: what a trained network takes images for."""

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts.cli.words import Parser, empty_table, print_table, to_json
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime.settings import check_threads

if TYPE_CHECKING:
    from fairdarts.runs.predict import Prediction

EPILOG = """MODEL is the run of a training, a checkpoint, a .safetensors file, or one that its authors released; or an
.onnx file that `fairdarts export` wrote, which onnxruntime runs without torch. Folders are searched through, but for
what is hidden. Images are prepared as `fairdarts evaluate` does it. What is no image is named, all others are
predicted, and the exit status is 2. CSV has a line for every class that is told of an image."""


def main(argv: Sequence[str]) -> int:
    parser = Parser("predict", "Tell what a trained network takes images for.", EPILOG)
    parser.add_argument("model", metavar="MODEL", help="a run, a checkpoint, a .safetensors or an .onnx file")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="files, and folders of any depth")
    parser.add_argument("--top", type=int, metavar="N", help="classes of an image (default: 5, or all if fewer)")
    parser.add_argument(
        "--format", choices=("table", "csv", "json"), default="table", help="on stdout (default: table)"
    )
    parser.add_argument("--weights", choices=("auto", "ema", "raw"), default="auto", help="averaged or raw weights")
    parser.add_argument("--genotype", metavar="NAME", help="of an authors' file, which does not say it itself")
    parser.add_argument("--white", type=float, help="the value that is white in gray images of more than 8 bits")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args(argv)
    check_threads(args.threads)

    # here, as numpy and PIL take their time to load, and words can be wrong before
    from fairdarts.runs.predict import predict

    asked = (args.top, args.weights, args.genotype, args.white, args.device, args.threads)
    found = predict(args.model, args.images, *asked, callbacks=ProgressBar())
    TOLD[args.format](found)
    return 2 if any(prediction.error for prediction in found) else 0


def as_table(found: Sequence["Prediction"]) -> None:
    """A line for an image."""
    ranks = max(len(prediction.classes) for prediction in found)
    table = empty_table("image", *(f"{rank}." for rank in range(1, ranks + 1)), words=1 + ranks)
    for prediction in found:
        shares = zip(prediction.classes, prediction.probabilities, strict=True)
        table.add_row(prediction.path, *(f"{name} {share:.1%}" for name, share in shares))
    print_table(table)


def as_csv(found: Sequence["Prediction"]) -> None:
    """A line for every class of an image."""
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow(("image", "rank", "class", "probability"))
    for path, classes, shares, _ in found:
        for rank, (name, share) in enumerate(zip(classes, shares, strict=True), 1):
            lines.writerow((path, rank, name, f"{share:.6f}"))


def as_json(found: Sequence["Prediction"]) -> None:
    """An object for an image; one that cannot be read says why."""
    objects = [
        {"image": path, "classes": classes, "probabilities": shares} | ({"error": error} if error else {})
        for path, classes, shares, error in found
    ]
    sys.stdout.write(to_json(objects))


TOLD = {"table": as_table, "csv": as_csv, "json": as_json}

"""`fairdarts export`: a model as files that other programs run, each of them compared with the model."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairdarts.cli.words import Parser, empty_table, print_table, to_json
from fairdarts.config import LARGEST, describe
from fairdarts.networks.settings import NetworkOptions, check_size
from fairdarts.options import words_of
from fairdarts.runs.judged_data import ExportSettings
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.recipe import laid_over
from fairdarts.runtime.settings import check_threads
from fairdarts.runtime.shape import Size, read_size
from fairdarts.transfer.settings import CALIBRATION, INT8, USUAL, check_formats, check_making, of_images

if TYPE_CHECKING:
    from fairdarts.runs.export import Exported
    from fairdarts.transfer.int8 import Quantized

DEFAULT = ",".join(USUAL)

EPILOG = f"""WHAT is one of
  a training run     its best epoch, if held-out images chose it, else its last
  a checkpoint       of a training (.pt), or a .safetensors file
  an authors' file   with --genotype NAME, a model's name, and --classes where they are not those of its space
  a genotype         a model's name or a YAML file, whose network gets random weights: to try a device, say

A model's name is a shipped genotype's, as fairdarts-a; fairdarts-a-imagenet and the like are cells as a network for
large images; fairnas-a-se and fairnas-a-se05 have squeeze-and-excitation.

formats:
  onnx           .onnx: one file, any batch; classes, mean, std and the network's blueprint in its metadata
  onnx-int8      .int8.onnx: the same in int8, calibrated with training images; what that loses is measured and said
  openvino       .xml, and .bin beside it: OpenVINO's intermediate representation, with the metadata of onnx
  safetensors    .safetensors: weights and blueprint, for fairdarts.load; beside it a model card, .md
  torchscript    .torchscript.pt: for torch.jit.load, in C++ as well
  torch-export   .pt2: for torch.export.load

Every file is read again and, but for int8, gives the model's logits before it is kept. Settings of the network are for
authors' files and genotypes; those of data for onnx-int8, whose images are those of the run or of --config:
{describe(ExportSettings)}"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("export", "Write a model as files that other programs run.", EPILOG)
    parser.add_argument("what", metavar="WHAT", help="a training run, a checkpoint, a .safetensors file, or a genotype")
    parser.add_argument("--format", action="append", help=f"one or several, by commas (default: {DEFAULT})")
    parser.add_argument("--out", type=Path, default=Path("exported"), help="folder of the files (default: exported)")
    parser.add_argument("--genotype", help="of an authors' file: the genotype that it is of")
    parser.add_argument(
        "--weights", choices=("auto", "ema", "raw"), default="auto", help="averaged or raw (default: averaged if there)"
    )
    parser.add_argument(
        "--image", type=size, help="height and width of the images, or 96x64 (default: the model's own)"
    )
    parser.add_argument("--classes", type=int, help="of an authors' file or a genotype (default: its space's)")
    parser.add_argument("--opset", type=int, help="of ONNX files (default: what torch takes)")
    parser.add_argument("--dynamic", action="store_true", help="files for images of any height and width")
    parser.add_argument("--config", metavar="RECIPE", help="whose images onnx-int8 takes; a run has its own")
    calibration = f"training images that onnx-int8 is calibrated with (default: {CALIBRATION})"
    parser.add_argument("--calibration", type=int, default=CALIBRATION, help=calibration)
    parser.add_argument("--benchmark", action="store_true", help="measure what an image takes with each of the files")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--json", action="store_true", help="an object instead of lines")
    args, rest = parser.parse_known_args(argv)

    formats = [name.strip() for word in args.format or [DEFAULT] for name in word.split(",")]
    check_formats(formats, "export: --format")
    check_size(args.classes, args.image, "export: --")
    settings = words_of(ExportSettings, rest, parser.options)
    images = [*(["config"] if args.config else []), *of_images(settings)]
    check_making(formats, args.opset, args.dynamic, args.calibration, images, "export: --")
    check_threads(args.threads)
    if INT8 not in formats:
        laid_over(NetworkOptions, {}, "settings", settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.export import export
    from fairdarts.runtime.device import use_threads

    use_threads(args.threads)
    made = export(
        args.what,
        formats,
        args.out,
        genotype=args.genotype,
        weights=args.weights,
        image=args.image,
        classes=args.classes,
        settings=settings,
        benchmark=args.benchmark,
        opset=args.opset,
        dynamic=args.dynamic,
        recipe=args.config or None,
        calibration=args.calibration,
        callbacks=ProgressBar(),
    )
    show(made, args.json)
    return 0


def show(exported: "Exported", as_json: bool) -> None:
    """What was made, on stdout."""
    made, described, times = exported
    if as_json:
        losses = [one.quantized and one.quantized._asdict() for one in made]
        files = [
            one._asdict() | {"path": str(one.path), "quantized": loss} for one, loss in zip(made, losses, strict=True)
        ]
        found = {"files": files, "card": described and str(described)} | ({"benchmark": times} if times else {})
        sys.stdout.write(to_json(found))
        return
    width = max(len(str(one.path)) for one in made)
    for one in made:
        difference = f"logits differ by {one.difference:.1e} at most, the largest is {one.largest:.3g}"
        same = difference if one.difference else "the model's logits, bit for bit"
        print(f"{one.path!s:<{width}}  {size_text(one.size)}  {loss_text(one.quantized) if one.quantized else same}")
    if described:
        print(f"{described!s:<{width}}  {size_text(described.stat().st_size)}  the model card")
    if times:
        threads = f"{times['threads']} thread{'s' if times['threads'] > 1 else ''}"
        table = empty_table(f"one image, CPU, {threads}", "median", "90 % within")
        names = {"torch": "torch (eager, channels_last)", "onnx": "onnx (onnxruntime)"}
        names |= {"onnx-int8": "onnx-int8 (onnxruntime)", "openvino": "openvino (float32)"}
        for name, values in times["milliseconds"].items():
            table.add_row(names.get(name, name), f"{values['median']:.2f} ms", f"{values['p90']:.2f} ms")
        sys.stdout.write("\n")
        print_table(table)


def loss_text(of: "Quantized") -> str:
    """What an int8 file is worth."""
    alike = f"the same class for {of.alike:.2%} of {of.images:,} {of.on} images"
    return f"top-1 {of.after:.2%}, before {of.before:.2%}; {alike}"


def size(text: str) -> Size:
    """Height and width; their limits are those of `check_size`."""
    try:
        return read_size(text, 0, LARGEST)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def size_text(size: int) -> str:
    """Bytes in MB, or in kB where they are few."""
    return f"{size / 1e6:6.1f} MB" if size >= 1e6 else f"{size / 1e3:6.1f} kB"

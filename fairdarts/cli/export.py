"""`fairdarts export`: a model as files that other programs run, each of them compared with the model."""

import platform
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from fairdarts.cli.words import Parser, empty_table, print_table, say, to_json
from fairdarts.config import UserError, check, describe, nearest, parse_overrides
from fairdarts.networks.blueprint import AS_NAMED, NetworkOptions, NetworkSettings
from fairdarts.networks.models import find, model_names
from fairdarts.networks.published import TrainedModel, check_size, open_model, random_model
from fairdarts.runtime.checkpoint import folder_for, write_atomically
from fairdarts.runtime.device import use_threads
from fairdarts.transfer.card import card
from fairdarts.transfer.formats import FORMATS, ROUNDS, Made, export, latencies
from fairdarts.transfer.onnx import image_shape

GENOTYPES, WEIGHTS = (".yaml", ".yml", ".txt", ".py"), (".pt", ".safetensors", ".pth", ".tar")
"""what names of such files end with"""
DEFAULT = "onnx,safetensors"
LONGEST = 100
"""of a genotype's name in that of a file, in letters"""


EPILOG = f"""WHAT is one of
  a training run     its best epoch, if held-out images chose it, else its last
  a checkpoint       of a training (.pt), or a .safetensors file
  an authors' file   with --genotype NAME, a model's name, and --classes where they are not those of its space
  a genotype         a model's name or a YAML file, whose network gets random weights: to try a device, say

A model's name is a shipped genotype's, as fairdarts-a; fairdarts-a-imagenet and the like are cells as a network for
large images; fairnas-a-se and fairnas-a-se05 have squeeze-and-excitation.

formats:
  onnx           .onnx: one file, any batch; classes, mean, std and the network's blueprint in its metadata
  safetensors    .safetensors: weights and blueprint, for fairdarts.load; beside it a model card, .md
  torchscript    .torchscript.pt: for torch.jit.load, in C++ as well
  torch-export   .pt2: for torch.export.load

Every file is read again and gives the model's logits before it is kept. settings of authors' files and genotypes:
{describe(NetworkOptions)}"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("export", "Write a model as files that other programs run.", EPILOG)
    parser.add_argument("what", metavar="WHAT", help="a training run, a checkpoint, a .safetensors file, or a genotype")
    parser.add_argument("--format", action="append", help=f"one or several, by commas (default: {DEFAULT})")
    parser.add_argument("--out", type=Path, default=Path("exported"), help="folder of the files (default: exported)")
    parser.add_argument("--genotype", help="of an authors' file: the genotype that it is of")
    parser.add_argument(
        "--weights", choices=("auto", "ema", "raw"), default="auto", help="averaged or raw (default: averaged if there)"
    )
    parser.add_argument("--image", type=int, help="height and width of the images (default: the model's own)")
    parser.add_argument("--classes", type=int, help="of an authors' file or a genotype (default: its space's)")
    parser.add_argument("--benchmark", action="store_true", help="measure what an image takes with each of the files")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's)")
    parser.add_argument("--json", action="store_true", help="an object instead of lines")
    args, rest = parser.parse_known_args(argv)

    formats = read_formats(args.format or [DEFAULT])
    check_size(args.classes, args.image, "export: --")
    network = check(NetworkOptions, {}, "command line", parse_overrides(rest)).network
    use_threads(args.threads)
    model = read_model(args, network)
    named = args.genotype or args.what
    stem = args.out / file_name(named if named in model_names() else model.blueprint.genotype.name)
    described = stem.with_name(f"{stem.name}.md") if "safetensors" in formats else None
    if described and described.exists():
        raise UserError(f"{described}: already exists; name another --out")
    with folder_for(args.out):
        made = export(model, stem, formats)
    if described:
        text = card(model, f"{stem.name}{FORMATS['safetensors'].suffix}")
        write_atomically(described, text.encode())
    times = benchmark(model, made) if args.benchmark else None
    show(made, described, times, args.json)
    return 0


def read_formats(words: Sequence[str]) -> list[str]:
    """The formats that --format names, each once."""
    names = [name.strip() for word in words for name in word.split(",")]
    for name in names:
        if name not in FORMATS:
            raise UserError(f"export: --format: '{name}' is not a format{nearest(name, FORMATS)}")
    return list(dict.fromkeys(names))


def read_model(args: Namespace, network: NetworkSettings) -> TrainedModel:
    """The model that a word names; says so where its weights are random."""
    what, genotype = args.what, args.genotype
    path = Path(what)
    if path.is_dir() or (path.exists() and path.suffix not in GENOTYPES):
        model = open_model(path, args.weights, genotype, network, args.classes)
        blueprint = model.blueprint
        if genotype is not None and find(genotype).genotype.name != blueprint.genotype.name:
            problem = f"{what} says itself that it is of {blueprint.genotype.name}"
            raise UserError(f"export: --genotype {genotype}: {problem}")
        if args.classes not in (None, len(blueprint.classes)) or network not in (AS_NAMED, blueprint.network):
            raise UserError(f"export: {what} says itself how it is built: --classes and --network.… do not apply")
        return model._replace(blueprint=blueprint.model_copy(update={"image": args.image or blueprint.image}))
    for option, value in (("genotype", genotype), ("weights", args.weights)):
        if value not in (None, "auto"):
            raise UserError(f"export: --{option} {value}: goes with a file of weights, which {what} is not")
    if path.suffix in WEIGHTS:
        raise UserError(f"{what}: no such file")
    model = random_model(what, network, args.classes, args.image)
    say(f"WEIGHTS ARE RANDOM: {what} is a genotype, which has none; the files tell what it costs and recognize nothing")
    return model


def file_name(name: str) -> str:
    """A genotype's name as that of a file, in the folder that was asked for and no other."""
    return re.sub(r"[^\w.+-]", "-", name).lstrip(".-")[:LONGEST] or "model"


def benchmark(model: TrainedModel, made: Sequence[Made]) -> dict[str, Any]:
    """What an image takes, in milliseconds on the CPU, with the model itself and with its files."""
    say(f"measuring {ROUNDS} rounds, one image at a time, all by turns")
    runs = {"torch": deepcopy(model.network).to(memory_format=torch.channels_last)}  # in which it is quickest
    runs |= {one.format: FORMATS[one.format].open(one.path) for one in made if one.format != "safetensors"}
    times = latencies(runs, image_shape(model))
    return {
        "device": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": ROUNDS,
        "milliseconds": {name: {"median": round(m, 3), "p90": round(p, 3)} for name, (m, p) in times.items()},
    }


def show(made: Sequence[Made], described: Path | None, times: dict[str, Any] | None, as_json: bool) -> None:
    """What was made, on stdout."""
    if as_json:
        files = [one._asdict() | {"path": str(one.path)} for one in made]
        found = {"files": files, "card": described and str(described)} | ({"benchmark": times} if times else {})
        sys.stdout.write(to_json(found))
        return
    width = max(len(str(one.path)) for one in made)
    for one in made:
        difference = f"logits differ by {one.difference:.1e} at most, the largest is {one.largest:.3g}"
        same = difference if one.difference else "the model's logits, bit for bit"
        print(f"{one.path!s:<{width}}  {size_text(one.size)}  {same}")
    if described:
        print(f"{described!s:<{width}}  {size_text(described.stat().st_size)}  the model card")
    if times:
        threads = f"{times['threads']} thread{'s' if times['threads'] > 1 else ''}"
        table = empty_table(f"one image, CPU, {threads}", "median", "90 % within")
        names = {"torch": "torch (eager, channels_last)", "onnx": "onnx (onnxruntime)"}
        for name, values in times["milliseconds"].items():
            table.add_row(names.get(name, name), f"{values['median']:.2f} ms", f"{values['p90']:.2f} ms")
        sys.stdout.write("\n")
        print_table(table)


def size_text(size: int) -> str:
    """Bytes in MB, or in kB where they are few."""
    return f"{size / 1e6:6.1f} MB" if size >= 1e6 else f"{size / 1e3:6.1f} kB"

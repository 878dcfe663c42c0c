"""`fairdarts transfer`: a genotype as part of another program's experiment, as that program's config."""

from collections.abc import Sequence

from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError, describe, nearest
from fairdarts.networks.settings import NetworkOptions
from fairdarts.options import resolve
from fairdarts.runs.recipe import detectors
from fairdarts.transfer.settings import PREFIX

EPILOG = f"""GENOTYPE is one of
  a genotype        a model's name (fairnas-a-se, fairdarts-b-imagenet, …), a file, or a search run
  a trained network a run of `fairdarts train`, or a .safetensors file of `fairdarts export`: its weights are pretrained

The config is written to stdout: fairdarts transfer mmdet fairnas-a > config.py. It inherits one of mmdet's own, and
mmdet's tools train and test with it: docs/transfer.md. Recipes: {PREFIX}DETECTOR.

settings of genotypes:
{describe(NetworkOptions)}"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("transfer", "Write a config of MMDetection with a genotype as backbone.", EPILOG)
    parser.add_argument("program", choices=["mmdet"], help="whose config to write")
    parser.add_argument("genotype", metavar="GENOTYPE", help="a model, a genotype, or a trained network")
    shipped = f"{', '.join(detectors())}, or a YAML file like theirs (default: retinanet)"
    parser.add_argument("--detector", default="retinanet", help=shipped)
    parser.add_argument(
        "--pretrained", help="the backbone's weights: a training run, a file of fairdarts, the authors' or a detector's"
    )
    parser.add_argument("--data-root", help="folder of COCO (default: mmdet's, data/coco)")
    parser.add_argument("--cpu", action="store_true", help="run on the CPU, without mmcv's compiled operations")
    args, rest = parser.parse_known_args(argv)
    for key in ("pretrained", "data_root"):
        if getattr(args, key) == "":
            raise UserError(f"transfer: --{key.replace('_', '-')}: is empty; leave it out, or name one")
    for word in rest:
        if word.startswith("--") and not word.startswith("--network."):
            known = [f"--{key}" for key in ("detector", "pretrained", "data-root", "cpu", "network.…")]
            raise UserError(f"transfer: {word}: no such option{nearest(word, known)}")

    settings = resolve(NetworkOptions, rest, parser.options)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.transfer import has_weights, mmdet_config

    print(mmdet_config(args.genotype, args.detector, args.pretrained, args.data_root, args.cpu, settings), end="")
    if not args.pretrained and not has_weights(args.genotype):
        trained = command("transfer", *argv, "--pretrained", "FILE")
        say(f"the backbone begins with random weights; with trained ones: {trained}")
    return 0

"""`fairdarts transfer`: a genotype as part of another program's experiment, as that program's config."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts import resources
from fairdarts.cli.recipe import names_of, read_recipe
from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError, check, describe, nearest, parse_overrides
from fairdarts.networks.blueprint import AS_NAMED, Blueprint, NetworkOptions, NetworkSettings, for_large_images
from fairdarts.networks.models import find
from fairdarts.networks.published import blueprint_of, open_model
from fairdarts.runtime.run import SETTINGS, Run
from fairdarts.transfer.detector import PREFIX, DetectorOptions, DetectorSettings, config_text

EPILOG = f"""GENOTYPE is one of
  a genotype        a model's name (fairnas-a-se, fairdarts-b-imagenet, …), a file, or a search run
  a trained network a run of `fairdarts train`, or a .safetensors file of `fairdarts export`: its weights are pretrained

The config is written to stdout: fairdarts transfer mmdet fairnas-a > config.py. It inherits one of mmdet's own, and
mmdet's tools train and test with it: docs/transfer.md. Recipes: {PREFIX}DETECTOR.

settings of genotypes:
{describe(NetworkOptions)}"""


def main(argv: Sequence[str]) -> int:
    detectors = [name.removeprefix(PREFIX) for name in names_of(DetectorSettings)]
    parser = Parser("transfer", "Write a config of MMDetection with a genotype as backbone.", EPILOG)
    parser.add_argument("program", choices=["mmdet"], help="whose config to write")
    parser.add_argument("genotype", metavar="GENOTYPE", help="a model, a genotype, or a trained network")
    shipped = f"{', '.join(detectors)}, or a YAML file like theirs (default: retinanet)"
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

    path = detector_file(args.detector, detectors)
    detector = check(DetectorSettings, read_recipe(DetectorSettings, path), path)
    network = check(NetworkOptions, {}, "command line", parse_overrides(rest)).network
    blueprint, weights = read_blueprint(args.genotype, network)
    weights = args.pretrained or weights
    # Absolute, as the training may be begun in another folder.
    choices = DetectorOptions(str(Path(weights).resolve()) if weights else None, args.data_root, args.cpu)
    print(config_text(blueprint, detector, choices), end="")
    if not choices.pretrained:
        trained = command("transfer", *argv, "--pretrained", "FILE")
        say(f"the backbone begins with random weights; with trained ones: {trained}")
    return 0


def detector_file(word: str, shipped: Sequence[str]) -> Path:
    """The recipe of a shipped detector, or a YAML file. Raises UserError where there is neither."""
    if word in shipped:
        return resources.find("recipes", f"{PREFIX}{word}")
    if not Path(word).is_file():
        raise UserError(f"transfer: --detector {word}: neither a file nor a shipped detector{nearest(word, shipped)}")
    return Path(word)


def read_blueprint(word: str, network: NetworkSettings) -> tuple[Blueprint, str | None]:
    """The network that a word names, and where its weights are, if it has any."""
    path = Path(word)
    if path.suffix == ".safetensors" or ((path / SETTINGS).is_file() and Run(path).verb == "train"):
        if network != AS_NAMED:
            raise UserError(f"transfer: {word} says itself how it is built: --network.… do not apply")
        return open_model(word).blueprint, word
    model = find(word)
    settings = model.network if network == AS_NAMED else network
    return blueprint_of(word, for_large_images(settings, model.space)), None

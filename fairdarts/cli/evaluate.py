"""`fairdarts evaluate`: what a trained network is worth on a data set, class by class."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.cli.recipe import examine_images, open_images
from fairdarts.cli.words import Parser, empty_table, print_table, say, to_json, tracked
from fairdarts.config import Settings, UserError, check, describe, parse_overrides, read_yaml
from fairdarts.data.judging import Images, held_out_images, images_of_test_set, other_images
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import Source, open_source
from fairdarts.data.split import fingerprint
from fairdarts.networks.blueprint import Blueprint
from fairdarts.networks.published import TrainedModel, open_model
from fairdarts.plot.confusion import draw_confusion
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.position import IMAGES, changed_images
from fairdarts.runtime.run import Run, open_run, read_settings
from fairdarts.runtime.settings import Compute
from fairdarts.train.score import Score, score


class EvaluateSettings(Settings):
    """What an evaluation reads of a recipe, or of a run's settings."""

    data: DataSettings
    """the images"""


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
    args.model = Path(argv[0])
    return run_evaluation(args, rest)


def run_evaluation(args: Namespace, rest: Sequence[str]) -> int:
    """The evaluation that the words ask for; gives the exit status."""
    use_threads(args.threads)
    data, began = read_data(args, rest)
    device, source = pick(args.device), open_images(data, least=1)
    model = open_model(args.model, args.weights, args.genotype)
    images = judged_images(args, data, source, began, model.blueprint)
    examine_images(data, images.source, images.indices)
    facts = {"mean": model.blueprint.mean, "std": model.blueprint.std, "image": model.blueprint.image}
    images = images._replace(source=images.source._replace(**facts))  # as the network was trained, not as these are
    compute = Compute(precision="float32")
    network = model.network.to(device, memory_format=LAYOUTS[compute.layout])
    result = score(network, images, data, device, compute, partial(tracked, what="judging"))
    folder = args.out or (args.model / "figures" if args.model.is_dir() else Path("figures"))
    drawn = draw_confusion(images.source.classes, result.confusion.numpy(), folder)
    numbers = numbers_of(model, images, result)
    if args.json:
        sys.stdout.write(to_json(numbers))
    else:
        show(numbers)
    if model.about.get("file") == "best.pt" and model.about.get("judged_on") == images.name:
        say(f"           these {images.name} images chose this epoch, so its accuracy is a little too good")
    say(f"figures    {', '.join(map(str, drawn))}")
    return 0


class Began(NamedTuple):
    """What the run of a model began with."""

    seed: int
    """decides which images are held out"""
    data: dict[str, Any]
    """its settings of the images"""
    run: Run | None
    """the run itself; None where a recipe says the images"""

    def names(self, data: DataSettings) -> bool:
        """Whether these settings name its images; those of a recipe are taken at their word."""
        return self.run is None or all(self.data.get(key) == getattr(data, key, None) for key in ("kind", "root"))

    def shared(self, source: Source) -> int:
        """How many of these images lie among its own, as class folders tell: of the same name and size in bytes."""
        try:
            trained_on = open_source(check(EvaluateSettings, {"data": self.data}, "settings.yaml").data)
        except UserError:  # they are no longer there
            return 0
        return len(_files(trained_on) & _files(source))

    def changed(self, source: Source) -> str | None:
        """How these images differ from those that it began with, as `changed_images` tells it."""
        return changed_images(self.run, fingerprint(source)) if self.run else None


def _files(source: Source) -> set[tuple[str, str, int]]:
    """Class folder, name and size of every image of class folders."""
    paths = [Path(path) for path, _ in getattr(source.dataset, "samples", ())]
    return {(path.parent.name, path.name, path.stat().st_size) for path in paths}


def read_data(args: Namespace, rest: Sequence[str]) -> tuple[DataSettings, Began]:
    """Settings of the images, and what the model's run began with."""
    of_run = args.model / "settings.yaml" if args.model.is_dir() else args.model.parent.parent / "settings.yaml"
    path = resources.find("recipes", args.config) if args.config else of_run
    if not path.is_file():
        raise UserError(f"evaluate: {args.model}: says no images: name them with --config RECIPE --data.root FOLDER")
    content = read_settings(path) if path == of_run else read_yaml(path)
    if path == of_run and Run(of_run.parent).verb == "segment":
        raise UserError(f"{args.model}: is a run of `fairdarts segment`: fairdarts segment --judge measures it")
    if "data" not in content:
        raise UserError(f"{path}: data: is missing: it should say the images")
    data = check(EvaluateSettings, {"data": content["data"]}, path, parse_overrides(rest)).data
    run = open_run(of_run.parent) if path == of_run else None
    return data, Began(int(content.get("seed", 0)), content["data"], run)


def check_held_out(data: DataSettings, began: Began) -> None:
    """Raises UserError where others than the run held out of training would be taken for held-out."""
    for key in ("train_portion", "split", "held_out") if began.run else ():
        if (trained := began.data.get(key)) is not None and getattr(data, key, trained) != trained:
            held = "so others than it held out of training would be taken for held-out"
            raise UserError(f"data.{key}: {getattr(data, key)}: the run has {trained}, {held}")


def check_channels(blueprint: Blueprint, source: Source, place: str) -> None:
    """Raises UserError where the images have other channels than the network sees."""
    if len(blueprint.mean) != len(source.mean):
        raise UserError(f"{place}: is for images of {len(blueprint.mean)} channels, but these have {len(source.mean)}")


def check_classes(blueprint: Blueprint, source: Source, place: str) -> None:
    """Raises UserError where the images are of other classes than the network tells apart."""
    known, theirs = blueprint.classes, source.classes
    check_channels(blueprint, source, place)
    if len(known) != len(theirs):
        raise UserError(f"{place}: tells {len(known)} classes apart, but the images are of {len(theirs)}")
    if known != theirs and known != tuple(map(str, range(len(known)))):  # a released file knows numbers only
        first, other = next(pair for pair in zip(known, theirs, strict=True) if pair[0] != pair[1])
        raise UserError(f"{place}: has the class '{first}' where the images have '{other}'")


def judged_images(args: Namespace, data: DataSettings, source: Source, began: Began, blueprint: Blueprint) -> Images:
    """The images that are judged: some of those that the run began with, or other ones, which are a test set."""
    place, change = str(args.model), began.changed(source)
    if began.names(data) or change == "":
        check_held_out(data, began)
        check_classes(blueprint, source, place)
        images = chosen_images(args.split, data, source, began.seed)
        if change and images.name == "held-out":
            held = "others than it held out of training would be taken for held-out"
            raise UserError(f"{IMAGES}: {change}: {held}; put them back as they were")
        return images
    if args.split not in (None, "test"):
        other = f"{getattr(data, 'root', data.kind)} has other images than the run began with"
        raise UserError(f"evaluate: --split {args.split}: {other}: all of them are a test set")
    check_channels(blueprint, source, place)
    images = other_images(data, source, blueprint.classes)
    say(f"images     other ones than {began.run.path} began with: a test set, judged whole")
    if same := began.shared(images.source):
        say(f"           BUT {same} of {len(images.indices)} are files of the run, of which most trained the network")
    return images


def chosen_images(split: str | None, data: DataSettings, source: Source, seed: int) -> Images:
    """The images that are asked for, or else the test set, or held-out images. UserError where there are none."""
    if split == "train":
        return Images(source, list(range(len(source.dataset))), "training")
    sets = {"test": lambda: images_of_test_set(data, source), "held-out": lambda: held_out_images(data, source, seed)}
    for name in [split] if split else sets:
        if images := sets[name]():
            return images
    wanted = f"there are no {split} images" if split else "there are neither test nor held-out images"
    raise UserError(f"data: {wanted}; take --split train, or images that have some")


def numbers_of(model: TrainedModel, images: Images, result: Score) -> dict[str, Any]:
    """What was measured, as plain JSON."""
    classes = images.source.classes
    return {
        "genotype": model.blueprint.genotype.name,
        "epoch": model.about.get("epoch"),
        "images": result.images,
        "on": images.name,
        "top1": result.top1,
        "top5": result.top5,
        "loss": result.loss,
        "by_class": dict(zip(classes, result.by_class(), strict=True)),
        "confusion": result.confusion.tolist(),
    }


def show(numbers: dict[str, Any]) -> None:
    """The numbers as lines and a table of the classes, the worst first."""
    epoch = f", epoch {numbers['epoch']}" if numbers["epoch"] is not None else ""
    print(f"network    {numbers['genotype']}{epoch}")
    print(f"images     {numbers['images']:,} {numbers['on']} images of {len(numbers['by_class'])} classes")
    print(f"accuracy   top-1 {numbers['top1']:.2%}, top-5 {numbers['top5']:.2%}, loss {numbers['loss']:.4f}\n")
    table = empty_table("class", "images", "right")
    table.add_column("most often taken for")
    names = list(numbers["by_class"])
    for row in sorted(range(len(names)), key=lambda row: numbers["by_class"][names[row]]):
        counts = numbers["confusion"][row]
        wrong = max((column for column in range(len(names)) if column != row), key=counts.__getitem__)
        share = f"{counts[wrong] / sum(counts):.1%}" if sum(counts) else ""
        taken = f"{names[wrong]} ({share})" if counts[wrong] else ""
        right = f"{numbers['by_class'][names[row]]:.1%}" if sum(counts) else "none"
        table.add_row(names[row], f"{sum(counts):,}", right, taken)
    print_table(table)

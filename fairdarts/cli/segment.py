"""`fairdarts segment`: train a segmentation network on the network of a genotype, judge it, use it."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from fairdarts.cli import training
from fairdarts.cli.begin import Kind
from fairdarts.cli.progress import training_progress
from fairdarts.cli.recipe import help_text, open_settings
from fairdarts.cli.segment_use import judge, overlay, predict, show_classes
from fairdarts.cli.words import Parser, command, cost_text, say
from fairdarts.cost.count import count
from fairdarts.data.examine import examine, read_heads
from fairdarts.genotype import Genotype
from fairdarts.networks.models import find, models
from fairdarts.plot.training import draw_network_training
from fairdarts.runtime import distributed
from fairdarts.runtime.device import pick
from fairdarts.runtime.run import Run
from fairdarts.segment.images import Pairs, open_pairs
from fairdarts.segment.model import SegmenterBlueprint, assemble_segmenter, open_segmenter
from fairdarts.segment.settings import SegmentSettings
from fairdarts.segment.task import initialize, segmentation, segmenter_of
from fairdarts.spaces.space import Space
from fairdarts.train.settings import MAY_CHANGE

SEGMENT = Kind("segment", "training", SegmentSettings, MAY_CHANGE)
DEFAULT = "segment-voc"
USAGE = """fairdarts segment GENOTYPE [options]
       fairdarts segment --resume RUN [options]
       fairdarts segment GENOTYPE --count [options]
       fairdarts segment --judge RUN [options]
       fairdarts segment --predict RUN IMAGE … [options]"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("segment", "Train DeepLabv3+ on the network of a genotype, judge it, or segment photographs.")
    parser.usage = USAGE
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"{DEFAULT}.\n\n{help_text(SegmentSettings)}"
    parser.add_argument("--count", action="store_true", help="only tell parameters and multiply-adds at data.crop")
    parser.add_argument("--judge", metavar="RUN", help="measure a trained network; --judge RUN --help says more")
    parser.add_argument("--predict", metavar="RUN", help="segment photographs; --predict RUN --help says more")
    for word, use in (("--judge", judge), ("--predict", predict)):
        if any(given.partition("=")[0] == word for given in argv):
            return use(argv)
    weights = "of a segmentation network, or of a classifier for the encoder: a run, a checkpoint, a file"
    args, rest = training.parse(parser, SEGMENT, argv, weights)
    with distributed.joined():
        return run_training(args, rest)


def run_training(args: Namespace, rest: Sequence[str]) -> int:
    """The training that the words ask for, in all processes that share it; gives the exit status."""
    settings, genotype, space = training.read_words(SEGMENT, args, rest, lambda: begun(args, rest))
    blueprint, crop = segmenter_of(settings, genotype, space), settings.data.crop
    if args.count:
        if distributed.rank() == 0:
            print(f"{genotype.name}: {told_cost(blueprint, crop)}")
        return 0
    with distributed.together():
        trained = open_pairs(settings.data, settings.data.train, "train")
        judging = open_pairs(settings.data, settings.data.val, "val") if settings.data.val else None
    if not args.resume:
        for pairs in filter(None, (trained, judging)):
            distributed.wait_for(partial(look_at, pairs, settings) if distributed.leads_machine() else None)
    task = segmentation(settings, genotype, space, trained, judging)

    def initializer() -> training.Initialize:
        name = genotype.name if genotype.name in models() else None
        return lambda network: initialize(network, settings, genotype, name)

    judged = "mean IoU {valid_miou:6.2%}  pixels {valid_accuracy:6.2%}"
    progress = training_progress(settings, "valid_loss", judged)
    ended = training.carry_out_training(SEGMENT, args, settings, genotype, space, task, initializer, progress)
    if distributed.rank() == 0 and not ended.status:
        draw_network_training(ended.run.records(), ended.run.figures)
        say(f"network    {told_cost(blueprint, crop)}")
        summarize(settings, judging, ended.results, ended.run)
    return ended.status


def look_at(pairs: Pairs, settings: SegmentSettings) -> None:
    """Examines images and masks. Raises UserError naming those that are broken."""
    examine([str(path) for path in pairs.images], settings.data.white, f"data.root: {settings.data.root}")
    read_heads([str(path) for path in pairs.masks])


def begun(args: Namespace, rest: Sequence[str]) -> tuple[SegmentSettings, Genotype, Space]:
    """Settings, genotype and space of a new training."""
    model = find(args.genotype)
    words = training.words_of(model, args, rest)
    settings, _ = open_settings("segment", SegmentSettings, args.config or DEFAULT, words)
    return settings, model.genotype, model.space


def told_cost(blueprint: SegmenterBlueprint, crop: int) -> str:
    """What the network costs for one image of so many pixels a side."""
    with torch.device("meta"):
        cost = count(assemble_segmenter(blueprint), len(blueprint.mean), crop)
    return f"{cost_text(cost, crop)}, {len(blueprint.classes)} classes"


def summarize(settings: SegmentSettings, judging: Pairs | None, results: dict[str, Any], run: Run) -> None:
    """Says what the training has come to, shows some predictions, and says how to go on."""
    training.tell_results(results, "mean IoU {miou:.2%}, pixels right {accuracy:.2%}")
    if results:
        ious = results["last"]["iou"]
        show_classes(ious)
        overlay(open_segmenter(run.path), judging, list(ious.values()), pick(settings.device), run.figures)
    else:
        say("           there are no images to judge it by: data.val names some")
    training.tell_places(run)
    say(f"continue   {command('segment', '--predict', run.path, 'IMAGE')}")

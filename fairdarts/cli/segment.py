"""`fairdarts segment`: train a segmentation network on the network of a genotype, judge it, use it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts.cli import training
from fairdarts.cli.begin import check_settings, print_config, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.segment_use import judge, predict, show_classes
from fairdarts.cli.words import Parser, command, say
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import SEGMENT
from fairdarts.segmentation.settings import SegmentSettings

if TYPE_CHECKING:
    from fairdarts.runs.segment import Counted, Ended

USAGE = """fairdarts segment GENOTYPE [options]
       fairdarts segment --resume RUN [options]
       fairdarts segment GENOTYPE --count [options]
       fairdarts segment --judge RUN [options]
       fairdarts segment --predict RUN IMAGE … [options]"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("segment", "Train DeepLabv3+ on the network of a genotype, judge it, or segment photographs.")
    parser.usage = USAGE
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"{SEGMENT.usual}.\n\n{help_text(SegmentSettings)}"
    parser.add_argument("--count", action="store_true", help="only tell parameters and multiply-adds at data.crop")
    parser.add_argument("--judge", metavar="RUN", help="measure a trained network; --judge RUN --help says more")
    parser.add_argument("--predict", metavar="RUN", help="segment photographs; --predict RUN --help says more")
    for word, use in (("--judge", judge), ("--predict", predict)):
        if any(given.partition("=")[0] == word for given in argv):
            return use(argv)
    weights = "of a segmentation network, or of a classifier for the encoder: a run, a checkpoint, a file"
    args, asked = training.parse(parser, SEGMENT, argv, weights)
    check_settings(SEGMENT, asked)

    if args.print_config:
        from fairdarts.runs.new import new_segmentation  # here, as it reads spaces

        return print_config(SEGMENT, asked, lambda: new_segmentation(asked).settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.figures import figures_of
    from fairdarts.runs.segment import carry_out, counted, read
    from fairdarts.runtime import distributed

    with distributed.joined():
        shown = ProgressBar()
        if args.count:
            found = counted(read(asked, Callbacks(shown)))
            if distributed.rank() == 0:
                print(f"{found.blueprint.genotype.name}: {told_cost(found)}")
            return 0
        ended, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if ended is not None and distributed.rank() == 0:
            figures_of(ended.run.directory, ended.run.directory.figures)
            summarize(ended)
    return status


def told_cost(found: "Counted") -> str:
    """What a network costs for one image."""
    from fairdarts.cost.cost import cost_text

    return f"{cost_text(found.cost, found.image)}, {len(found.blueprint.classes)} classes"


def summarize(ended: "Ended") -> None:
    """Says what the training has come to, shows some predictions, and says how to go on."""
    from fairdarts.runs.new import Begun
    from fairdarts.runs.segment import counted
    from fairdarts.runs.segmenter import overlay
    from fairdarts.runtime.device import pick
    from fairdarts.segmentation.model import open_segmenter

    run, judging = ended
    say(f"network    {told_cost(counted(Begun(run.settings, run.genotype, run.space)))}")
    training.tell_results(run, "mean IoU {miou:.2%}, pixels right {accuracy:.2%}", "data.val names some")
    if judging:
        ious = run.results["last"]["iou"]
        show_classes(ious)
        folder, device = run.directory.figures, pick(run.settings.device)
        overlay(open_segmenter(run.path), judging, list(ious.values()), device, folder)
    training.tell_places(run)
    say(f"continue   {command('segment', '--predict', run.path, 'IMAGE')}")

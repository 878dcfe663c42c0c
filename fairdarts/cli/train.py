"""`fairdarts train`: train the network of a genotype, or continue its training."""

from collections.abc import Sequence

import torch

from fairdarts.cli import training
from fairdarts.cli.begin import run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, command, say
from fairdarts.cost.count import cost_text, count
from fairdarts.networks.blueprint import assemble
from fairdarts.networks.published import open_model
from fairdarts.plot.training import draw_network_training
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import TRAIN
from fairdarts.runs.result import Run
from fairdarts.runs.train import DEFAULTS, carry_out
from fairdarts.runtime import distributed
from fairdarts.training.settings import TrainSettings


def main(argv: Sequence[str]) -> int:
    parser = Parser("train", "Train the network of a genotype from scratch, or from other weights.")
    parser.usage = "fairdarts train GENOTYPE [options]\n       fairdarts train --resume RUN [options]"
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"one of {', '.join(DEFAULTS.values())}.\n\n{help_text(TrainSettings)}"
    _, asked = training.parse(parser, TRAIN, argv, "of a supernet's run, or a model")
    with distributed.joined():
        shown = ProgressBar()
        run, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if run is not None and distributed.rank() == 0:
            draw_network_training(run.directory.records(), run.directory.figures)
            summarize(run)
    return status


def summarize(run: Run) -> None:
    """Says what the training has come to, and how to go on."""
    blueprint = open_model(run.directory.last).blueprint
    with torch.device("meta"):
        cost = count(assemble(blueprint), len(blueprint.mean), blueprint.image)
    say(f"network    {cost_text(cost, blueprint.image)}, {len(blueprint.classes)} classes")
    training.tell_results(run, "top-1 {top1:.2%}, top-5 {top5:.2%}", "data.train_portion below 1 holds some out")
    training.tell_places(run)
    verbs = ("evaluate", "export") if run.results else ("export",)
    for number, verb in enumerate(verbs):
        say(f"{'' if number else 'continue':<10} {command(verb, run.path)}")

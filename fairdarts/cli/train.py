"""`fairdarts train`: train the network of a genotype, or continue its training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairdarts.cli import training
from fairdarts.cli.begin import check_settings, is_alone, print_config, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.recipe import Recipe, settings_of
from fairdarts.runs.request import DEFAULTS, EXCITED, TRAIN, Request
from fairdarts.training.settings import TrainSettings

if TYPE_CHECKING:
    from fairdarts.runs.result import Run


def main(argv: Sequence[str]) -> int:
    parser = Parser("train", "Train the network of a genotype from scratch, or from other weights.")
    parser.usage = "fairdarts train GENOTYPE [options]\n       fairdarts train --resume RUN [options]"
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"one of {', '.join(DEFAULTS.values())}.\n\n{help_text(TrainSettings)}"
    args, asked = training.parse(parser, TRAIN, argv, "of a supernet's run, or a model")
    check_early(asked)

    if args.print_config:
        from fairdarts.runs.new import new_training  # here, as it reads spaces

        return print_config(TRAIN, asked, lambda: new_training(asked, Callbacks()).settings)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.train import carry_out
    from fairdarts.runtime import distributed

    with distributed.joined():
        shown = ProgressBar()
        run, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if run is not None and distributed.rank() == 0:
            finish(run)
    return status


def finish(run: "Run") -> None:
    """Draws a finished training, and says what it has come to."""
    from fairdarts.runs.figures import figures_of

    figures_of(run.directory, run.directory.figures)
    summarize(run)


def check_early(asked: Request) -> None:
    """Refuses settings that are wrong whatever the genotype is, before torch is loaded, which reads it."""
    if asked.resume:
        check_settings(TRAIN, asked)
        return
    path = Path(asked.genotype)
    of_run = path.is_dir() or len(path.parts) > 1  # it may be, and then the images are those of its run
    if not is_alone() or (of_run and any(key.partition(".")[0] == "data" for key in asked.settings)):
        return
    recipes = [asked.recipe] if asked.recipe else [*DEFAULTS.values(), EXCITED]
    problems = {problem_of(recipe, asked.settings) for recipe in recipes}
    alike = problems.pop()
    if alike and not problems and not (of_run and problem_of(recipes[0], {})):
        raise UserError(alike)


def problem_of(recipe: Recipe, settings: Mapping[str, Any]) -> str | None:
    """What is wrong with settings that are laid over a recipe, if anything is."""
    try:
        settings_of(TrainSettings, recipe, settings)
    except UserError as error:
        return str(error)
    return None


def summarize(run: "Run") -> None:
    """Says what the training has come to, and how to go on."""
    import torch

    from fairdarts.cost.cost import cost_text
    from fairdarts.cost.count import count
    from fairdarts.networks.blueprint import assemble
    from fairdarts.networks.published import open_model

    blueprint = open_model(run.directory.last).blueprint
    with torch.device("meta"):
        cost = count(assemble(blueprint), len(blueprint.mean), blueprint.image)
    say(f"network    {cost_text(cost, blueprint.image)}, {len(blueprint.classes)} classes")
    training.tell_results(run, "top-1 {top1:.2%}, top-5 {top5:.2%}", "data.train_portion below 1 holds some out")
    training.tell_places(run)
    verbs = ("evaluate", "export") if run.results else ("export",)
    for number, verb in enumerate(verbs):
        say(f"{'' if number else 'continue':<10} {command(verb, run.path)}")

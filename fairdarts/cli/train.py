"""`fairdarts train`: train the network of a genotype, or continue its training."""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairdarts.cli.begin import Kind, add_options, carry_out, free_path, in_all, reopened
from fairdarts.cli.progress import Silence, Watcher, network_progress
from fairdarts.cli.recipe import help_text, open_images, open_settings, verb_of
from fairdarts.cli.words import Parser, command, cost_text, say
from fairdarts.config import UserError, check, read_yaml
from fairdarts.cost.count import count
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import Blueprint, assemble
from fairdarts.networks.models import find, models
from fairdarts.networks.published import open_model
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_network
from fairdarts.plot.training import draw_network_training
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.position import check_identity
from fairdarts.runtime.run import Run, create, open_run
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.space import FORMS, Space
from fairdarts.train.finetune import finetune
from fairdarts.train.inherit import inherit, weights_of
from fairdarts.train.loop import Observer, train, training_identity
from fairdarts.train.settings import MAY_CHANGE, TrainSettings
from fairdarts.train.setup import blueprint_of, check_fit, judging_images

TRAIN = Kind("train", "training", TrainSettings, MAY_CHANGE)
DEFAULTS = {
    ("cell", "cifar"): "train-darts-cifar10",
    ("cell", "imagenet"): "train-darts-imagenet",
    ("chain", "cifar"): "train-chain-cifar10",
    ("chain", "imagenet"): "train-mnasnet-imagenet",
    ("nasbench201", "cifar"): "train-nasbench201-cifar10",
}
"""(kind of space, whose size the network has) → the recipe where none is named"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("train", "Train the network of a genotype from scratch, or from other weights.")
    parser.usage = "fairdarts train GENOTYPE [options]\n       fairdarts train --resume RUN [options]"
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"one of {', '.join(DEFAULTS.values())}.\n\n{help_text(TrainSettings)}"
    add_options(parser, TRAIN)
    parser.add_argument("--init-from", metavar="FROM", help="weights to begin with: of a supernet's run, or a model")
    # The genotype is the first word alone: elsewhere it would be taken for the value of a setting.
    named = bool(argv) and not argv[0].startswith("-")
    args, rest = parser.parse_known_args(argv[named:])
    args.genotype = argv[0] if named else None
    with distributed.joined():
        return run_training(args, rest)


def run_training(args: Namespace, rest: Sequence[str]) -> int:
    """The training that the words ask for, in all processes that share it; gives the exit status."""
    first, resume = distributed.rank() == 0, bool(args.resume)
    settings, genotype, space = read_words(args, rest)
    source = open_images(settings.data)
    blueprint = blueprint_of(settings, genotype, space, source)
    with distributed.together():
        check_fit(settings, blueprint, source)
        begun = resume and Run(args.resume).last.is_file()
        initialize = initializer(settings.init_from, blueprint) if first and settings.init_from and not begun else None
        judges = judging_images(settings, source)
        path = (args.resume or begin(args, settings, genotype, space).path) if first else ""
    run = Run(Path(distributed.shared(str(path))))

    several = f", {distributed.ranks()} processes" if distributed.ranks() > 1 else ""
    say(f"run {run.path}: {genotype.name} by {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}")
    with distributed.together():
        done = read_results(run, training_identity(settings, genotype, space, source)) if first else None
    if distributed.shared(done):
        say("this training has already finished")
    else:
        again = command("train", "--resume", run.path)
        whole = (settings, genotype, space, source, judges, run)

        def work(stop: Stop) -> dict[str, Any]:
            return watched(settings, run, resume, lambda observer: train(*whole, observer, stop, resume, initialize))

        done, status = carry_out(work, run, again)
        if status:
            return status
    if first:
        draw_network_training(run.records(), run.figures)
        summarize(blueprint, done, run)
    return 0


def read_words(args: Namespace, rest: Sequence[str]) -> tuple[TrainSettings, Genotype, Space]:
    """Settings, genotype and space of a new training, or of a run to be continued; in all processes, as the first one
    reads them."""
    found: list[Genotype] = []

    def read() -> tuple[TrainSettings, Space]:
        if args.resume:
            if args.genotype or args.config or args.out or args.init_from:
                raise UserError(f"train: --resume {args.resume} takes its genotype, settings and place from the run")
            settings, _ = reopened(TRAIN, open_run(args.resume), rest)
            genotype, space = load_genotype(str(args.resume))
        elif args.genotype:
            model = find(args.genotype)
            genotype, space = model.genotype, model.space
            excited = "train-mnasnet-se-imagenet" if model.network.se_ratio else None
            recipe = args.config or excited or DEFAULTS.get((space.kind, model.size))
            own = model.network.model_dump(exclude_defaults=True)
            words = [*(f"--network.{key}={value}" for key, value in own.items()), *rest]
            words += [f"--init_from={args.init_from}"] if args.init_from else []
            settings, _ = open_settings("train", TrainSettings, recipe, words)
        else:
            raise UserError("train: the first word should be a GENOTYPE, or --resume a RUN")
        found.append(genotype)
        return settings, space

    settings, space = in_all(TRAIN, read)
    told = distributed.shared(found[0].model_dump(mode="json", by_alias=True) if found else None)
    form = next(form for form, (kind, *_) in FORMS.items() if kind == space.kind)
    return settings, check(form, told, "genotypes/final.yaml"), space


def begin(args: Namespace, settings: TrainSettings, genotype: Genotype, space: Space) -> Run:
    """A new run directory, with the genotype in it."""
    model = args.genotype if args.genotype in models() else genotype.name
    named = settings.model_copy(update={"name": f"{model}-{settings.name}"})
    run = create(args.out or free_path(named), settings, space)
    run.write_genotype(genotype, "final")
    return run


def initializer(init_from: str, blueprint: Blueprint) -> Callable[[nn.Module], list[str]]:
    """What puts the weights that --init-from names into a network."""
    path, genotype, space = Path(init_from), blueprint.genotype, blueprint.space
    settings = path / "settings.yaml"
    if settings.is_file() and verb_of(read_yaml(settings)) != "train":
        state, own, _ = weights_of(path)
        if own != space:
            raise UserError(f"{path}: was trained in space {own.name}, but {genotype.name} is of {space.name}")

        def initialize(network: nn.Module) -> list[str]:
            return inherit(network, genotype, space, state, str(path))
    else:
        trained = open_model(path, genotype=genotype.name, network=blueprint.network).network.state_dict()

        def initialize(network: nn.Module) -> list[str]:
            return finetune(network, trained, str(path))

    notes = initialize(assemble(blueprint))  # what does not fit shows before a run begins
    say(f"weights    from {path}")
    for note in notes:
        say(f"           {note}")
    return initialize


def watched(
    settings: TrainSettings, run: Run, resume: bool, go: Callable[[Observer], dict[str, Any]]
) -> dict[str, Any]:
    """What a training gives that is told who watches it: in the first process the terminal and TensorBoard."""
    if distributed.rank() > 0:
        return go(Silence())
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only a run needs it

    purge = len(run.records()) + 1 if resume else None
    with (
        SummaryWriter(run.path / "tensorboard", purge_step=purge) as writer,
        network_progress(settings) as progress,
    ):
        return go(Watcher(progress, writer, log_network))


def read_results(run: Run, identity: dict[str, str]) -> dict[str, Any]:
    """The results of a run whose training is finished; empty before. Raises UserError where they are damaged, or the
    run's files are no longer those of this training."""
    path = run.path / "results.json"
    if not path.is_file():
        return {}
    check_identity(checkpoint.load(run.last), identity, run)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        told = [found["on"], found["best_by"], int(found["images"])]
        told += [float(found[which][key]) for which in ("last", "best") if which in found for key in ("top1", "top5")]
        return found
    except (ValueError, TypeError, KeyError, AttributeError):
        again = f"remove it, and --resume {run.path} writes it again"
        raise UserError(f"{path}: not the results of a training; {again}") from None


def summarize(blueprint: Blueprint, results: dict[str, Any], run: Run) -> None:
    """Says what the training has come to, and how to go on."""
    with torch.device("meta"):
        cost = count(assemble(blueprint), len(blueprint.mean), blueprint.image)
    say(f"network    {cost_text(cost)} ({blueprint.image}×{blueprint.image} images, {len(blueprint.classes)} classes)")
    for which in ("last", "best"):
        if which in results:
            own = results[which]
            judged = f"top-1 {own['top1']:.2%}, top-5 {own['top5']:.2%}"
            say(f"{which} epoch {own['epoch']:>3}  {judged} of {results['images']:,} {results['on']} images")
    if results and results["best_by"] == results["on"]:
        say(f"           the best epoch was chosen by these very {results['on']} images, so its accuracy is too good")
    if not results:
        say("           there are no images to judge it by: data.train_portion below 1 holds some out")
    say(f"run        {run.path}")
    say(f"figures    {run.figures}")
    say(f"curves     tensorboard --logdir {run.path}")
    verbs = ("evaluate", "export") if results else ("export",)
    for number, verb in enumerate(verbs):
        say(f"{'' if number else 'continue':<10} {command(verb, run.path)}")

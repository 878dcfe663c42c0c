"""`fairdarts supernet`: train a one-shot supernet, or continue its training."""

from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from statistics import fmean

from fairdarts.cli.begin import Begun, Kind, add_options, begin, has_finished, run_until_stopped
from fairdarts.cli.progress import training_progress, watched
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, command, say
from fairdarts.oneshot.settings import MAY_CHANGE, TrainingSettings
from fairdarts.oneshot.train import check_fit, train
from fairdarts.plot.supernet import draw_training
from fairdarts.plot.tensorboard import log_training
from fairdarts.ranking.lemma import uniform_variance
from fairdarts.runtime import distributed
from fairdarts.runtime.run import Run
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.space import Space

SUPERNET = Kind("supernet", "training", TrainingSettings, MAY_CHANGE)


def main(argv: Sequence[str], alone: bool = False) -> int:
    """Train; `alone` also where torchrun started several processes, which else share the training."""
    parser = Parser("supernet", "Train a one-shot supernet on paths of its space.", help_text(TrainingSettings))
    add_options(parser, SUPERNET)
    args, rest = parser.parse_known_args(argv)
    with nullcontext() if alone else distributed.joined():
        return run_training(args, rest)


def run_training(args: Namespace, rest: Sequence[str]) -> int:
    """The training that the words ask for, in all processes that share it; gives the exit status."""
    begun = begin(SUPERNET, args, rest, check_fit)
    run = begun.run
    if not has_finished(SUPERNET, run):
        again = command("supernet", "--resume", run.path)
        _, status = run_until_stopped(lambda stop: watched_training(begun, stop, bool(args.resume)), run, again)
        if status:
            return status
    if distributed.rank() == 0:
        draw_training(run.records(), run.figures)
        summarize(begun.settings, begun.space, run)
    return 0


def summarize(settings: TrainingSettings, space: Space, run: Run) -> None:
    """Says what the training has come to, and how to go on."""
    last = run.records()[-1]
    points = [(len(counts), sum(counts)) for counts in last["updates"]]
    at_once = getattr(settings.sampler, "repeats", 1)  # updates that one draw makes, and so their scatter
    expected = at_once * fmean(uniform_variance(choices, updates) for choices, updates in points)
    means = last["updates_mean"]
    topology = f", {len(space.topology)} of which choose inputs" if space.topology else ""
    say(f"space      {space.name}: {len(space.choices)} choice points{topology}, {space.size():,} paths")
    say(f"passes     {last['passes']:,} of {settings.data.batch_size} images, each forward and backward")
    of_choice = f"{means[0]:,.0f}" if min(means) == max(means) else f"{min(means):,.0f} to {max(means):,.0f}"
    variance = f"{fmean(last['updates_variance']):,.1f} at a choice point; uniform draws: {expected:,.1f}"
    say(f"updates    {of_choice} of a choice, of variance {variance}")
    if "watched" in last:
        mean, deviation = last["watched_mean"], last["watched_std"]
        alike = ": it tells none from another" * (deviation == 0 and len(last["watched"]) > 1)
        say(f"accuracy   {mean:.1f} ± {deviation:.1f} % over {len(last['watched'])} paths, on held-out images{alike}")
    say(f"run        {run.path}")
    say(f"figures    {run.figures}")
    say(f"continue   {command('rank', run.path, '--benchmark', 'FILE')}")


def watched_training(begun: Begun, stop: Stop, resume: bool) -> None:
    """The training, with its progress shown by the first process."""
    purge = begun.run.logged() + 1 if resume else None
    progress = training_progress(begun.settings, "watched", "paths {watched_mean:4.1f} ± {watched_std:.1f} %")
    with watched(begun.run, progress, log_training, purge) as observer:
        train(*begun, observer, stop, resume)

"""`fairdarts supernet`: train a one-shot supernet, or continue its training."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from fairdarts.cli.begin import add_options, print_config, request_of, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, command, parse_words, say
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import SUPERNET

if TYPE_CHECKING:
    from fairdarts.runs.result import Run


def main(argv: Sequence[str]) -> int:
    parser = Parser("supernet", "Train a one-shot supernet on paths of its space.", help_text(TrainingSettings))
    parser.usage = "fairdarts supernet RECIPE [options]\n       fairdarts supernet --resume RUN [options]"
    add_options(parser, SUPERNET)
    args, rest = parse_words(parser, TrainingSettings, argv)
    asked = request_of(SUPERNET, parser, args, rest)
    if args.print_config:
        return print_config(SUPERNET, asked)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.supernet import carry_out
    from fairdarts.runtime import distributed

    with distributed.joined():
        shown = ProgressBar()
        run, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if run is not None and distributed.rank() == 0:
            finish(run)
    return status


def finish(run: "Run") -> None:
    """Draws a finished training, and says what it has come to, and how to go on."""
    from fairdarts.cli.summary import say_truth
    from fairdarts.ranking.lemma import uniform_variance
    from fairdarts.runs.figures import figures_of

    figures_of(run.directory, run.directory.figures)
    settings, space, last = run.settings, run.space, run.directory.records()[-1]
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
    say_truth(last, "best path")
    say(f"run        {run.path}")
    say(f"figures    {run.directory.figures}")
    say(f"continue   {command('rank', run.path, '--benchmark', 'FILE')}")

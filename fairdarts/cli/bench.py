"""`fairdarts bench`: what a search would take on this machine, measured by its first steps."""

import sys
from collections.abc import Sequence
from typing import Any

from fairdarts.cli.begin import check_settings, print_config
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, add_recipe, parse_words, to_json
from fairdarts.config import UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.options import words_of
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import SEARCH, WARM_UP, Request, check_steps


def main(argv: Sequence[str]) -> int:
    parser = Parser("bench", "Measure the first steps of a search; nothing is written.", help_text(SearchSettings))
    parser.usage = "fairdarts bench RECIPE [options]"
    add_recipe(parser)
    parser.add_argument("--steps", type=int, default=10, help=f"measured after {WARM_UP} to warm up (default 10)")
    parser.add_argument("--json", action="store_true", help="an object instead of lines")
    args, rest = parse_words(parser, SearchSettings, argv)
    if not args.config:
        raise UserError("bench: the first word should be a RECIPE; `fairdarts recipes search` lists recipes")
    asked = Request(args.config, words_of(SearchSettings, rest, parser.options))
    if args.print_config:
        return print_config(SEARCH, asked)
    check_steps(args.steps)
    check_settings(SEARCH, asked)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.bench import carry_out
    from fairdarts.runtime import distributed

    with distributed.joined():
        facts = carry_out(asked, args.steps, Callbacks(ProgressBar()))
        first = distributed.rank() == 0
    if first:
        sys.stdout.write(to_json(facts) if args.json else text(facts))
    return 0


def text(facts: dict[str, Any]) -> str:
    """The findings as lines."""
    low, high = facts["step_ms_quartiles"]
    threads = "" if facts["device"] != "cpu" else f", {facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    threads += f", {facts['processes']} processes" if facts["processes"] > 1 else ""
    peak, whole = facts["peak_memory_bytes"], "" if facts["device"] != "cpu" else ", of the whole process"
    whole += " (the first)" if facts["processes"] > 1 else ""
    return (
        f"recipe   {facts['recipe']} on {facts['device']}{threads}, torch {facts['torch']}\n"
        f"step     {facts['step_ms']:,.1f} ms, half of them from {low:,.1f} to {high:,.1f}\n"
        f"images   {facts['images_per_second']:,.1f} a second, training and held-out ones together\n"
        f"memory   {'not known on this system' if peak is None else f'{peak / 2**30:.2f} GiB at most{whole}'}\n"
        f"search   {facts['epochs']} epochs of {facts['steps_per_epoch']} steps: about {duration(facts['hours'])}\n"
    )


def duration(hours: float) -> str:
    """Hours, or minutes where they are few."""
    return f"{hours:,.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"

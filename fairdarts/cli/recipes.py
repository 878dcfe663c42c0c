"""`fairdarts recipes`: the shipped recipes, a line each."""

import sys
from collections.abc import Sequence

from fairdarts import resources
from fairdarts.cli.words import Parser, empty_table, print_table, to_json
from fairdarts.config import UserError, nearest
from fairdarts.runtime.verb import SECTIONS

EPILOG = """A recipe is all settings of a published experiment, and the first word of its verb, or its --config:

  fairdarts search fairdarts-s1-digits            runs it
  fairdarts search fairdarts-s1-digits --help     lists its settings, each an option, with their values
  fairdarts search fairdarts-s1-digits --print-config > mine.yaml     writes them, to begin a recipe of your own"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("recipes", "List the shipped recipes, of all verbs or of one.", EPILOG)
    parser.add_argument("verb", nargs="?", help=f"one of {', '.join(SECTIONS)}")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    args = parser.parse_args(argv)
    if args.verb not in (None, *SECTIONS):
        raise UserError(f"recipes: '{args.verb}' is no verb with recipes{nearest(args.verb, SECTIONS)}")
    found = sorted(resources.recipes(args.verb), key=lambda recipe: list(SECTIONS).index(recipe.verb))
    if args.json:
        sys.stdout.write(to_json([recipe._asdict() for recipe in found]))
        return 0
    table = empty_table("verb", "recipe", "what it is", words=3)
    for recipe in found:
        table.add_row(*recipe)
    print_table(table)
    return 0

"""Which strategies are compared on a benchmark's table, and by how many searches? It loads no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairdarts.config import UserError
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.runs.recipe import Recipe, names_of, settings_of

SEEDS = 50
"""searches by each strategy"""
DEAF = {
    "seed": "it has --seeds",
    "supernet": "the table judges",
    "judge": "the table judges",
    "models": "it ends with none",
    "root": "it needs no images",
    "device": "it trains and runs no network",
    "truth": "the table is the truth",
    "truth_columns": "--column is the table's",
}
"""settings without effect on a comparison, and why"""


def check_asked(seeds: int, settings: Mapping[str, Any]) -> None:
    """Raises UserError where nobody can search so often, or a setting would be without effect."""
    if not 1 <= seeds <= 100_000:
        raise UserError(f"evolve: --seeds {seeds}: should be at least 1, at most 100000")
    for key in settings:
        if why := DEAF.get(key.partition(".")[0]):
            raise UserError(f"evolve: --{key}: is of no use in a comparison on a table: {why}")


def strategies(recipes: str | Sequence[Recipe] | None, settings: Mapping[str, Any]) -> list[EvolveSettings]:
    """The recipes, with as many generations as the one that has the fewest. UserError names the recipe."""
    asked: Sequence[Recipe] = names_of(EvolveSettings) if recipes is None else recipes
    if isinstance(recipes, str):
        asked = [name.strip() for name in recipes.split(",") if name.strip()]
    if not asked:
        raise UserError(f"evolve: --config {recipes}: names no recipe")
    every: list[EvolveSettings] = []
    for recipe in asked:
        name = "recipe" if isinstance(recipe, Mapping) else str(recipe)
        try:
            every.append(settings_of(EvolveSettings, recipe, settings)[0])
        except UserError as error:
            problem = str(error)
            raise UserError(problem if name in problem else f"{name}: {problem}") from None
    called = [strategy.name for strategy in every]
    for name in called:
        if called.count(name) > 1:
            raise UserError(f"evolve: --config {recipes}: two recipes have the name {name}; should have one each")
    fewest = min(strategy.generations for strategy in every)
    return [strategy.model_copy(update={"generations": fewest}) for strategy in every]

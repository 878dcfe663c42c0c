"""What `--help` says of recipes."""

from fairdarts.config import Settings, describe
from fairdarts.runs.recipe import names_of


def help_text(model: type[Settings]) -> str:
    """What `--help` says of recipes and their settings."""
    return f"recipes: {', '.join(names_of(model))}\n\nevery setting of a recipe is an option:\n{describe(model)}"

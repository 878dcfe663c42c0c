"""Where the shipped YAML files are: recipes, studies, search spaces, genotypes."""

from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from fairdarts.config import UserError, nearest
from fairdarts.own import HINT
from fairdarts.reading import parse_yaml, read_text

Kind = Literal["recipes", "studies", "search_spaces", "genotypes"]

PACKAGE = Path(__file__).parent


def folder(kind: Kind) -> Path:
    """The folder of one kind: inside the installed package, or beside it in a source checkout."""
    inside = PACKAGE / kind
    return inside if inside.is_dir() else PACKAGE.parent / kind


def names(kind: Kind) -> list[str]:
    """The names of the shipped files of one kind, sorted."""
    return sorted(path.stem for path in folder(kind).glob("*.yaml"))


class Recipe(NamedTuple):
    """What a shipped recipe says of itself in its first lines."""

    verb: str
    name: str
    about: str


def recipes(verb: str | None = None) -> list[Recipe]:
    """The shipped recipes, or those of a verb, sorted by name."""
    found = []
    for name in names("recipes"):
        path = folder("recipes") / f"{name}.yaml"
        head = parse_yaml(path, "\n".join(read_text(path, 400).split("\n")[:3]))
        found.append(Recipe(head["verb"], name, head["about"]))
    return [recipe for recipe in found if verb in (None, recipe.verb)]


def find(kind: Kind, name: str, place: str = "") -> Path:
    """The file of a shipped name, or of a user's own path. Raises UserError where there is neither.

    `place` says where the name was read, such as "recipe.yaml: space".
    """
    shipped = folder(kind) / f"{name}.yaml"
    for path in (shipped, Path(name)) if "/" not in name else (Path(name),):
        with suppress(OSError):  # a name too long for a file
            if path.is_file():
                return path
    with suppress(OSError):
        if Path(name).exists() and not Path(name).is_dir():
            raise UserError(f"{place}{': ' if place else ''}{name}: not a regular file")
    hint = HINT if kind == "search_spaces" else ""
    words = {"recipes": "recipe", "studies": "study", "search_spaces": "search space", "genotypes": "genotype"}
    what = words[kind]
    raise UserError(
        f"{place}{': ' if place else ''}{name}: neither a file nor a shipped {what}{nearest(name, names(kind))}{hint}"
    )

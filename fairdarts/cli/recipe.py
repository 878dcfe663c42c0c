"""What a search reads: what `--config` names, with the settings of the command line laid over it, and the images."""

from collections.abc import Sequence

from fairdarts import resources
from fairdarts.config import UserError, check, describe, nearest, parse_overrides, read_yaml
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import Source, open_source
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.search.settings import SearchSettings
from fairdarts.spaces.space import Space, load_space


def help_text() -> str:
    """What `--help` says of recipes and their settings."""
    names = ", ".join(resources.names("recipes"))
    return f"recipes: {names}\n\nevery setting of a recipe is an option:\n{describe(SearchSettings)}"


def open_recipe(verb: str, name: str | None, words: Sequence[str]) -> tuple[SearchSettings, Space]:
    """Settings and space of a shipped recipe or a YAML file; from here on it runs on the threads that they say."""
    if not name:
        raise UserError(f"{verb}: --config is missing{nearest('', resources.names('recipes'))}")
    path = resources.find("recipes", name)
    settings = check(SearchSettings, read_yaml(path), path, parse_overrides(words))
    use_threads(settings.threads)
    return settings, load_space(settings.space, f"{path}: space")


def open_images(data: DataSettings) -> Source:
    """The images; where they are downloaded first, one process of a machine does it."""
    for turn in (True, False):
        with distributed.together():
            if distributed.leads_machine() == turn:
                source = open_source(data)
    return source

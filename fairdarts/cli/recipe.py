"""What a run reads: what `--config` names, with the settings of the command line laid over it, and the images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from fairdarts import resources
from fairdarts.config import Settings, UserError, check, describe, nearest, parse_overrides, read_text, read_yaml
from fairdarts.data.examine import examine
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import ClassFolders, Source, open_source, seen_of
from fairdarts.data.split import tell_split
from fairdarts.evolve.settings import EvolveSettings
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.search.settings import SearchSettings
from fairdarts.segment.settings import SegmentSettings
from fairdarts.spaces.space import Space, load_space
from fairdarts.train.settings import TrainSettings
from fairdarts.transfer.detector import DetectorSettings

MARKS = {
    "search": ("architect", SearchSettings),
    "supernet": ("sampler", TrainingSettings),
    "evolve": ("evolve", EvolveSettings),
    "segment": ("deeplab", SegmentSettings),
    "train": ("optimizer", TrainSettings),
    "transfer": ("base", DetectorSettings),
}
"""verb → the section that its recipes, and none of a later verb, have, and their form"""


def verb_of(content: dict[str, Any]) -> str:
    """The verb whose recipe, or run's settings, a YAML file's content is; `search` where it is none's."""
    return _marked(lambda mark: mark in content) or "search"


def _marked(has: Callable[[str], bool]) -> str | None:
    """The verb of which a file has the mark; None where it has none."""
    return next((verb for verb, (mark, _) in MARKS.items() if has(mark)), None)


def names_of(model: type[Settings]) -> list[str]:
    """The shipped recipes of a form."""
    verb = next(verb for verb, (_, form) in MARKS.items() if form is model)
    texts = {name: read_text(resources.find("recipes", name)) for name in resources.names("recipes")}
    return [name for name, text in texts.items() if _marked(lambda mark, text=text: f"\n{mark}:" in text) == verb]


def help_text(model: type[Settings]) -> str:
    """What `--help` says of recipes and their settings."""
    return f"recipes: {', '.join(names_of(model))}\n\nevery setting of a recipe is an option:\n{describe(model)}"


def open_recipe(verb: str, model: type[Settings], name: str | None, words: Sequence[str]) -> tuple[Any, Space]:
    """Settings and space of a shipped recipe or a YAML file; from here on it runs on the threads that they say.

    Raises UserError, also where the recipe is one of another verb.
    """
    settings, path = open_settings(verb, model, name, words)
    return settings, load_space(settings.space, f"{path}: space")


def open_settings(verb: str, model: type[Settings], name: str | None, words: Sequence[str]) -> tuple[Any, Path]:
    """Settings of a recipe, as `open_recipe` reads them, and the recipe's file."""
    if not name:
        raise UserError(f"{verb}: --config is missing{nearest('', names_of(model))}")
    path = resources.find("recipes", name)
    content = read_yaml(path)
    other = _marked(lambda mark: mark in content)
    if other and MARKS[other][1] is not model:
        own = next(mark for mark, form in MARKS.values() if form is model)
        kind = f"is a recipe of `fairdarts {other}`: it has the section {MARKS[other][0]}"
        raise UserError(f"{path}: {kind}, and not the section {own} of `fairdarts {verb}`")
    settings = check(model, content, path, parse_overrides(words))
    use_threads(settings.threads)
    return settings, path


def open_images(data: DataSettings, new: bool = False, least: int = 2) -> Source:
    """The images, of at least so many classes; where they are downloaded first, one process of a machine does it. Of a
    new run they are examined."""
    for turn in (True, False):
        with distributed.together():
            if distributed.leads_machine() == turn:
                source = open_source(data, least)
    if new:
        examine_images(data, source)
        with distributed.together():
            tell_split(data, source)
    return source


def examine_images(data: DataSettings, source: Source, indices: Sequence[int] | None = None) -> None:
    """Examines the files of a source, or those of some indices; one process of a machine does it, with a bar on a
    terminal. Raises UserError as `examine` does, in all processes."""
    if not isinstance(source.dataset, ClassFolders):
        return
    samples = source.dataset.samples
    paths = [samples[index][0] for index in (range(len(samples)) if indices is None else indices)]
    console = Console(stderr=True)
    shown = {"shown": partial(bar, console=console)} if console.is_terminal and distributed.rank() == 0 else {}
    look = partial(examine, paths, data.white, f"data.root: {source.dataset.root}", seen_of(data), **shown)
    distributed.wait_for(look if distributed.leads_machine() else None)


def bar(parts: Iterator[Any], count: int, console: Console) -> Iterable[Any]:
    """The parts of files whose heads are read, under a bar."""
    return track(parts, "looking at the images", total=count, console=console, transient=True)

"""`fairdarts complete`: how a word could go on, a line each, for the scripts of `fairdarts completion`.

Without torch, as a shell waits for it.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from importlib import import_module

from fairdarts import resources
from fairdarts.cli import VERBS
from fairdarts.cli.completion import SCRIPTS
from fairdarts.options import Leaf, leaves
from fairdarts.runtime.verb import SECTIONS

FORMS = {
    "search": "fairdarts.differentiable.settings.SearchSettings",
    "bench": "fairdarts.differentiable.settings.SearchSettings",
    "supernet": "fairdarts.oneshot.settings.TrainingSettings",
    "evolve": "fairdarts.evolution.settings.EvolveSettings",
    "train": "fairdarts.training.settings.TrainSettings",
    "segment": "fairdarts.segmentation.settings.SegmentSettings",
}
"""verb → the settings that are its options"""
GENOTYPES = ("train", "segment", "export", "draw", "zoo", "transfer")
"""verbs whose words are genotypes"""


def main(argv: Sequence[str]) -> int:
    words = [word for word in argv if word != "="]  # bash takes --key=value apart
    last = words.pop() if argv and argv[-1] != "=" else ""
    for word, text in candidates(words, last):
        if word.startswith(last):
            print(f"{word}\t{text}")
    return 0


def candidates(before: Sequence[str], last: str) -> Iterable[tuple[str, str]]:
    """The words that may follow others, each with what it is; none where the shell should offer files. Only those that
    begin as `last` are of use."""
    if not before:
        return [*VERBS.items(), ("help", "say more of a verb"), ("--help", "list the verbs"), ("--version", "")]
    verb, *words = before
    if verb == "help":
        return VERBS.items()
    previous = words[-1] if words else ""
    if previous == "--config":
        return _recipes(verb)
    if last.startswith("-"):
        settings = _settings(verb)
        key, equals, _ = last.partition("=")
        if equals:
            return [(f"{key}={value}", "") for value in _values(settings, key)]
        return {**_options(verb), **{f"--{key}": leaf.text for key, leaf in settings.items()}}.items()
    if previous.startswith("--"):
        return [(value, "") for value in _values(_settings(verb), previous)]
    return _first_words(verb) if not words or verb in GENOTYPES else []


def _first_words(verb: str) -> Iterable[tuple[str, str]]:
    """What the first word of a verb may be."""
    if verb in GENOTYPES:
        losses = [("zero-one", "the form of the zero-one losses")] if verb == "draw" else []
        return [*((name, "a shipped genotype") for name in resources.names("genotypes")), *losses]
    if verb == "study":
        return [(name, "a shipped study") for name in resources.names("studies")]
    if verb == "completion":
        return [(shell, "") for shell in SCRIPTS]
    if verb == "recipes":
        return [(own, f"those of `fairdarts {own}`") for own in SECTIONS]
    return _recipes(verb) if verb in ("search", "supernet", "bench") else []


def _recipes(verb: str) -> Iterable[tuple[str, str]]:
    """The recipes that a verb takes."""
    of = {"bench": "search", "evaluate": "train"}.get(verb, verb)
    return [(recipe.name, recipe.about) for recipe in resources.recipes(of)]


def _options(verb: str) -> Mapping[str, str]:
    """The options of a verb, each with what its help says of it."""
    told = io.StringIO()
    if verb in VERBS:
        with redirect_stdout(told), suppress(SystemExit):
            import_module(f"fairdarts.cli.{verb}").main(["--help"])
    return dict(re.findall(r"^  (?:-h, )?(--[\w.-]+)(?: \S+)*?(?:\s{2,}([^-\s].*))?$", told.getvalue(), re.MULTILINE))


def _settings(verb: str) -> Mapping[str, Leaf]:
    """The settings of a verb by dotted key."""
    if verb not in FORMS:
        return {}
    module, _, form = FORMS[verb].rpartition(".")
    return leaves(getattr(import_module(module), form))


def _values(settings: Mapping[str, Leaf], option: str) -> Iterable[str]:
    """The words that a setting is one of; none where it may be others."""
    leaf = settings.get(option.removeprefix("--").replace("-", "_"))
    return () if leaf is None else ("true", "false") if leaf.flag else leaf.choices

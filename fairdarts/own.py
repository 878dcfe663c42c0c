"""Which parts of their own have users registered, and which of them does a run need?

A part is an operation, a relaxation, … under a name, by which settings, spaces and genotypes know it; the functions
themselves stand in the dicts of those who use them. Nothing is imported or executed here: a run says what it needs, and
no more.
"""

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fairdarts.config import Notice, OneOf, Settings, UserError
from fairdarts.reading import read_text

FILE = "parts.json"
"""the file of a run directory that names the parts of its user's own, {kind: {name: {file, sha256}}}"""


class Origin(NamedTuple):
    """Where a part was registered."""

    file: str | None
    """name of the Python file; None for a notebook or a prompt"""
    sha256: str
    """of the file; else of the part's source"""

    def __str__(self) -> str:
        return f"{self.file or 'a notebook'} (sha256 {self.sha256[:12]}…)"


KINDS = {
    "operation": "operation",
    "relaxation": "relaxation",
    "loss": "loss form",
    "penalty": "penalty",
    "sampler": "sampler",
    "derivation": "derivation method",
    "schedule": "schedule",
    "activation": "activation",
}
"""kind of part → what it is called"""

OWN: dict[str, dict[str, Origin]] = {kind: {} for kind in KINDS}
"""kind → name → where it was registered"""

PLUGINS: dict[Path, str] = {}
"""file that was loaded → its sha256"""

HINT = "; one of your own needs its file: --plugin FILE"
"""what is said behind a name that nobody knows"""


class PartName(OneOf):
    """A mark of words that name a part of the library, or one of the user's own."""

    def __init__(self, kind: str, *names: str):
        super().__init__(lambda: [*names, *OWN[kind]], " (your own: --plugin FILE)")
        self.kind = kind


def own_parts(settings: Settings, space: Settings) -> dict[str, dict[str, Origin]]:
    """The parts of a user's own that settings and a space name."""
    named: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for kind, name in _named(settings):
        named[kind].add(name)
    for candidates in getattr(space, "points", ()):
        named["operation"].update(candidates)
    found = {kind: {name: OWN[kind][name] for name in sorted(named[kind] & OWN[kind].keys())} for kind in KINDS}
    return {kind: parts for kind, parts in found.items() if parts}


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """Kind and name of every part that settings name, be it the library's or the user's."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            yield from _named(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Settings):
            for one in value:
                yield from _named(one)
        elif value is not None:
            yield from ((mark.kind, value) for mark in field.metadata if isinstance(mark, PartName))


def to_text(parts: dict[str, dict[str, Origin]]) -> str:
    """Parts as JSON, which `from_text` reads."""
    content = {kind: {name: origin._asdict() for name, origin in some.items()} for kind, some in parts.items()}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def from_text(text: str, place: str | Path) -> dict[str, dict[str, Origin]]:
    """Parts from JSON. Raises UserError naming the place where it holds something else."""
    try:
        read = {
            kind: {str(name): Origin(**origin) for name, origin in some.items()}
            for kind, some in json.loads(text).items()
        }
        origins = [origin for some in read.values() for origin in some.values()]
        if read.keys() <= KINDS.keys() and all(_is_whole(origin) for origin in origins):
            return read
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    should = f"{{kind: {{name: {{file, sha256}}}}}}, of the kinds {', '.join(KINDS)}"
    raise UserError(f"{place}: should hold {should}")


def _is_whole(origin: Origin) -> bool:
    return isinstance(origin.file, str | None) and isinstance(origin.sha256, str)


def file_of_parts(settings: Settings, space: Settings) -> dict[str, str]:
    """The file, by its name, that the directory of a run holds from the start; nothing where it needs no such part."""
    parts = own_parts(settings, space)
    return {FILE: to_text(parts)} if parts else {}


def check_parts(run: Path) -> None:
    """Warns where a run was begun with parts that are other ones now. Raises UserError where it needs some that are not
    registered."""
    if (file := run / FILE).is_file():
        check_known(from_text(read_text(file), file), run)


def check_known(parts: dict[str, dict[str, Origin]], place: str | Path) -> None:
    """As `check_parts`, of parts that the place names."""
    missing: dict[Origin, list[str]] = {}
    changed: dict[tuple[Origin, Origin], list[str]] = {}
    for kind, some in parts.items():
        for name, origin in some.items():
            known, named = OWN[kind].get(name), f"the {KINDS[kind]} '{name}'"
            if known is None:
                missing.setdefault(origin, []).append(named)
            elif known.sha256 != origin.sha256:
                changed.setdefault((origin, known), []).append(named)
    for (origin, known), names in changed.items():
        change = f"was begun with {', '.join(names)} of {origin}, but registered is that of {known}"
        warnings.warn(f"{place}: {change}", Notice, stacklevel=3)
    if missing:
        needed = "; ".join(f"{', '.join(names)} of {origin}" for origin, names in missing.items())
        words = " ".join(f"--plugin {origin.file}" for origin in missing if origin.file)
        advice = f"name its file: {words}, or fairdarts.load_plugin" if words else "register it first"
        raise UserError(f"{place}: needs {needed}; {advice}")


def identity_of_parts(settings: Settings, space: Settings) -> dict[str, str]:
    """What makes parts these ones, as keys and values: a run is resumed with the parts that it began with."""
    parts = own_parts(settings, space)
    every = ((kind, name, origin) for kind, some in parts.items() for name, origin in some.items())
    return {f"{FILE}: {kind} {name}": f"sha256 {origin.sha256}" for kind, name, origin in every}


def plugin_words() -> list[str]:
    """The words of a command line that load again what is loaded now."""
    here = Path.cwd()
    files = (file.relative_to(here) if file.is_relative_to(here) else file for file in PLUGINS)
    return [word for file in files for word in ("--plugin", str(file))]

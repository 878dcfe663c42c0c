"""How YAML and words become checked settings, and what is said of all that is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fairdarts.config import LARGEST, S, Settings, UserError, alike, members_of, nearest, open_names
from fairdarts.reading import Loader

COMMAND_LINE = "command line: --"
"""what stands before the key of an override that was given as text"""


class Refused(UserError):
    """Settings are refused; `problems` are all that is wrong, one by one."""

    def __init__(self, problems: Sequence[str], places: Sequence[str]):
        super().__init__(in_one_line(problems, places))
        self.problems = list(problems)


def check(
    model: type[S],
    content: dict[str, Any],
    source: str | Path,
    overrides: Mapping[str, Any] | None = None,
    asked: str = COMMAND_LINE,
    problems: Sequence[str] = (),
    places: Mapping[str, str] = {},
) -> S:
    """Checked settings from YAML content, with overrides by dotted key laid over it.

    The command line's overrides are texts, in which a list, a mapping or null is YAML; those that are `asked` elsewhere
    are the values themselves. Where an override changes a section's `kind`, the keys of the file that only the old kind
    knows fall away. Raises UserError naming the source, or the overrides where the content alone has no such problem,
    and of all that is wrong the key, the value and what would be right; `problems` found before are told with it.
    `places` say, by key, where overrides stand that are not called by what they are `asked` by and their key.
    """
    given, told = {}, list(problems)
    for key, value in (overrides or {}).items():
        try:
            given[key] = _value(value) if asked == COMMAND_LINE else value
        except ValueError as error:
            told.append(f"{places.get(key, asked + key)}: {error}")
    laid, refused = _laid(model, content, given)
    told += [f"{places.get(key, asked + key)}: {problem}" for key, problem in refused.items()]
    try:
        settings = model.model_validate(laid)
    except ValidationError as error:
        told += _explain_all(model, error, content, str(source), given, asked, places)
    if told:
        raise Refused(told, (f"{source}: ", asked.removesuffix("--")))
    return settings


def _laid(
    model: type[Settings], content: dict[str, Any], overrides: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Content with overrides laid over it; and what is wrong with those that cannot be, by their keys."""
    content, refused = _copy(content), {}
    _switch_kinds(model, content, overrides)
    for key, value in overrides.items():
        try:
            _set(content, key, value)
        except ValueError as error:
            refused[key] = str(error)
    return content, refused


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _switch_kinds(model: type[Settings], content: dict[str, Any], overrides: dict[str, Any], prefix: str = "") -> None:
    """Where an override changes a section's kind, drop the keys that the new kind does not know, or knows otherwise."""
    for name, field in model.model_fields.items():
        section, members, key = content.get(name), members_of(field.annotation), f"{prefix}{name}"
        if not members or not isinstance(section, dict):
            continue
        before = str(section.get("kind"))
        told = str(overrides.get(f"{key}.kind", before))
        old, new = members.get(before), members.get(told)
        if told != before and old:  # of a user's own kind there is no more to say
            for own_name, own_field in old.model_fields.items():
                other = new.model_fields.get(own_name) if new else None
                if own_name != "kind" and not (other and alike(own_field.annotation, other.annotation)):
                    section.pop(own_name, None)
        if own := members.get("", new):
            _switch_kinds(own, section, overrides, f"{key}.")


def _set(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for part in sections:
        if content.get(part) is None:  # a section that a file leaves out, or says is null
            content[part] = {}
        content = content[part]
        if not isinstance(content, dict):
            raise ValueError(f"'{part}' has no keys of its own")
    content[last] = value


def _value(text: str) -> Any:
    """What a text of the command line says: a list, a mapping or a null needs YAML; plain words stay words, which the
    model turns into what it wants."""
    try:
        return yaml.load(text, Loader=Loader) if text[:1] in ("[", "{") or text == "null" else text
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        short, problem = text if len(text) <= 60 else f"{text[:60]}…", getattr(error, "problem", None)
        raise ValueError(f"{short}: not valid YAML{f': {problem}' if problem else ''}") from None


def _locate(model: type[Settings], loc: tuple) -> tuple[list[str], type[Settings] | None]:
    """Where an error stands: the key as a user writes it, and the model that should know its last part."""
    path: list[str] = []
    owner: type[Settings] | None = model
    members: dict[str, type[Settings]] = {"": model}
    for part in loc:
        if part in members and part != "":  # pydantic names the union's member after the union's key
            members = {"": members[part]}
            continue
        owner = members.get("")
        path.append(str(part))
        field = owner.model_fields.get(part) if owner else None
        members = members_of(field.annotation) if field else {}
    return path, owner


def _members_at(model: type[Settings], loc: tuple) -> list[str]:
    """The kinds that the union at an error's place knows."""
    owner = _locate(model, loc)[1]
    if owner is None:
        return []
    field = owner.model_fields[loc[-1]]
    return [*members_of(field.annotation), *open_names(field)]


def _elsewhere(model: type[Settings], loc: tuple) -> str:
    """The other kinds of a section that know a key which the present kind does not; empty where none does."""
    if len(loc) < 3:
        return ""
    kind, key = loc[-2:]
    path, owner = _locate(model, loc[:-2])
    field = owner.model_fields.get(path[-1]) if owner else None
    members = members_of(field.annotation) if field else {}
    known = [other for other, member in members.items() if kind in members and key in member.model_fields]
    return f" where {'.'.join(path)}.kind is {kind}; known where it is {', '.join(known)}" if known else ""


TOLD = 5
"""problems of settings that one answer tells"""


def in_one_line(told: Sequence[str], places: Sequence[str]) -> str:
    """Problems in one answer, which says the place that they share once."""
    first, *others = told[:TOLD]
    same = next((place for place in places if first.startswith(place)), "")
    more = [f"and {len(told) - TOLD} more"] if len(told) > TOLD else []
    return "; ".join([first, *(text.removeprefix(same) for text in others), *more])


def _explain_all(
    model: type[Settings],
    error: ValidationError,
    content: dict[str, Any],
    source: str,
    overrides: dict[str, Any],
    asked: str,
    places: Mapping[str, str],
) -> list[str]:
    """All that is wrong, once for every key."""
    # A misspelt key is the reason, where the key that it should have been is reported missing as well.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    misspelt = {problem["loc"][:-1] for problem in problems if problem["type"] == "extra_forbidden"}
    told: dict[str, str] = {}
    needed: dict[str, list[str]] = {}
    for problem in problems:
        if problem["type"] == "missing" and problem["loc"][:-1] in misspelt:
            continue
        key, message = _key(model, problem), _explain(model, problem)
        if any(key == name or key.startswith(f"{name}.") for name in overrides):
            place = places.get(key, asked + key)
        elif reasons := _reasons(model, problem, content, overrides):
            first, *others = (places.get(reason, asked + reason) for reason in reasons)
            place = " and ".join([first, *(other.removeprefix(asked.removesuffix("--")) for other in others)])
            if problem["type"] in ("missing", "union_tag_not_found"):
                needed.setdefault(place, []).append(f"--{key}" if place.startswith(COMMAND_LINE) else key)
                continue
            if not _is_section(model, problem):
                message = f"{key}: {message}"
        else:
            place = f"{source}: {key}" if key else source
        told.setdefault(key, f"{place}: {message}")
    return [*told.values(), *(f"{place}: needs {', '.join(keys)} as well" for place, keys in needed.items())]


def _reasons(
    model: type[Settings], problem: ErrorDetails, content: dict[str, Any], overrides: dict[str, Any]
) -> list[str]:
    """The overrides that brought a problem with another key: without one of these it goes away, if possible with no
    other in its place. None where the content's own problems may have brought it."""

    def problems(some: Iterable[str]) -> set[tuple[str, str]]:
        try:
            model.model_validate(_laid(model, content, {key: overrides[key] for key in some})[0])
        except ValidationError as error:
            return {(_key(model, own), own["type"]) for own in error.errors()}
        return set()

    this, every = (_key(model, problem), problem["type"]), problems(overrides)
    without = {key: problems(overrides.keys() - {key}) for key in overrides}
    if alone := [key for key, left in without.items() if this not in left and left <= every]:
        return alone
    if problems(()):
        return []
    return [key for key, left in without.items() if this not in left] or list(overrides)


def _key(model: type[Settings], problem: ErrorDetails) -> str:
    """The dotted key that a problem is of; empty where it is of all."""
    path = _locate(model, problem["loc"])[0]
    return ".".join([*path, "kind"] if problem["type"].startswith("union_tag_") else path)


def _is_section(model: type[Settings], problem: ErrorDetails) -> bool:
    """Whether a problem is of a section as a whole, whose message says which of its keys it means."""
    path, owner = _locate(model, problem["loc"])
    field = owner.model_fields.get(path[-1]) if owner and path else None
    return problem["type"] == "value_error" and (not path or bool(field and members_of(field.annotation)))


def _explain(model: type[Settings], problem: ErrorDetails) -> str:
    """What is wrong, behind its place."""
    (path, owner), kind = _locate(model, problem["loc"]), problem["type"]
    known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    if kind == "extra_forbidden":
        return f"unknown key{_elsewhere(model, problem['loc']) or nearest(path[-1], known)}"
    if kind in ("missing", "union_tag_not_found"):
        return "is missing"
    if kind == "union_tag_invalid":
        given = str(problem["ctx"]["tag"])
        return f"'{given}' is not known{nearest(given, _members_at(model, problem['loc']))}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_shown(problem['input'])}: should hold keys and values"
    if kind in ("tuple_type", "list_type"):
        return f"{_shown(problem['input'])}: should be a list, such as [one, two]"
    if kind == "int_parsing_size":
        return f"{_shown(problem['input'])}: should be within ±{LARGEST}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
    return message if kind == "value_error" else f"{_shown(problem['input'])}: {message}"


def first_problem(error: ValidationError, key: str) -> str:
    """What is wrong with content that is no file of settings, behind its place within this key."""
    problem = error.errors()[0]
    keys = [part for part in map(str, problem["loc"]) if part.isdecimal() or (part.isidentifier() and part.islower())]
    return f"{'.'.join([key, *keys])}: {problem['msg'].replace('Input should be', 'should be')}"


def _shown(value: Any) -> str:
    """A value as a message tells it, without the middle of a long one."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # of integers with thousands of digits, Python gives none
        return f"this {type(value).__name__}"
    return text if len(text) <= 200 else f"{text[:80]}…{text[-20:]}"

"""How YAML and the command line become a checked, frozen settings object."""

import csv
import difflib
import errno
import io
import os
import re
import stat
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError
from pydantic_core.core_schema import no_info_after_validator_function


class UserError(Exception):
    """Something a user can mend: one line that names the file, the key or value, and what would be right."""


class Notice(UserWarning):
    """Something that a user should know: one line, which the command line says and Python warns of."""


class SaidElsewhere(Exception):
    """The run ends for a reason that another of its processes reports."""


LARGEST, LARGEST_FLOAT = 2**31 - 1, 1e20
"""of whole numbers, in settings and on the command line, and of other numbers, which torch computes with in float32"""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str) -> str:
    """A text that can be shown and written: control characters but tab and newline, and lone surrogates, escaped."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Settings(BaseModel):
    """Base of every checked YAML section: frozen, no unknown keys, the docstring under a field is its help.

    `true` is no number, a number is at most LARGEST or LARGEST_FLOAT, and a text is `plain`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,
        validate_default=True,  # a default is what it will be when it is read again from YAML: 0 becomes 0.0
    )

    @model_validator(mode="wrap")
    @classmethod
    def _holdable(cls, content: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        problems = []
        for name, field in cls.model_fields.items() if isinstance(content, dict) else ():
            key, types = field.alias or name, _leaves(field.annotation)
            if types & {int, float} and not types & {bool, Any}:  # pydantic would take true for 1
                for place, value in _items(content.get(key), key):
                    if isinstance(value, bool):
                        problems.append(_unholdable(place, value, "should be a number"))
        try:
            settings = handler(content)
        except ValidationError as error:
            if not problems:
                raise
            places = [problem["loc"] for problem in problems]
            for other in error.errors():
                if all(place[: len(other["loc"])] != other["loc"] for place in places):  # else 1 for true brought it
                    problems.append(_again(other))
            raise ValidationError.from_exception_data(cls.__name__, problems) from None
        for name, field in cls.model_fields.items():
            for place, value in _items(getattr(settings, name), field.alias or name):
                most = LARGEST_FLOAT if isinstance(value, float) else LARGEST
                if isinstance(value, int | float) and abs(value) > most:
                    problems.append(_unholdable(place, value, f"should be within ±{most}"))
                if isinstance(value, str) and plain(value) != value:
                    problems.append(_unholdable(place, value, "should hold no control characters"))
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return settings


def _unholdable(place: tuple[str | int, ...], value: Any, message: str) -> InitErrorDetails:
    return {"type": PydanticCustomError("unholdable", message), "loc": place, "input": value}


def _again(problem: ErrorDetails) -> InitErrorDetails:
    """A problem that was told, to be told with others."""
    if problem["type"] == "unholdable":
        return _unholdable(problem["loc"], problem["input"], problem["msg"])
    again: InitErrorDetails = {"type": problem["type"], "loc": problem["loc"], "input": problem["input"]}
    return again | {"ctx": problem["ctx"]} if "ctx" in problem else again


class OneOf:
    """Of a word, that it is known when it is checked: as a Literal, of names that may become more."""

    def __init__(self, names: Callable[[], Collection[str]], others: str = ""):
        self.names, self.others = names, others

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.checked, handler(source))

    def checked(self, word: str | None) -> str | None:
        """The word itself. Raises an error as that of a Literal; `others` are words for those that are not known."""
        if word is not None and word not in (known := [*self.names()]):
            *most, last = map(repr, known)
            expected = f"{', '.join(most)} or {last}" if most else last
            raise PydanticKnownError("literal_error", {"expected": expected + self.others})
        return word


S = TypeVar("S", bound=Settings)

LARGEST_YAML = 2**20
"""characters of a YAML file, at most: thousands of times what any of ours has, and seconds of reading"""


class _Loader(yaml.SafeLoader):
    """The safe loader for what JSON can hold: texts, numbers, booleans, null, lists, and maps of words.

    It refuses a key that is written twice, of which YAML would silently take the last; tags; and anchors, with which a
    few lines make a value that never ends.
    """

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        for sign, named in (("anchors and aliases (&a, *a)", "anchor"), ("tags (!a)", "tag")):
            if getattr(event, named, None) is not None:
                problem = f"{sign} are not read; should be the value itself"
                raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode and ":" in value:
            return self.DEFAULT_SCALAR_TAG  # a text: to YAML, 1:30 would be the number 90
        return super().resolve(kind, value, implicit)

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key should be a word", key_node.start_mark)
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key_node.value}' stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)  # type: ignore[arg-type]  # it says itself what is no mapping


_BOOL = "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {  # `on` is a key, and no boolean; where one is wanted, pydantic reads `yes` too
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] in ("null", "int", "float")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # so a date is the text that is written there, and `<<` a key like others
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def check_regular(path: str | Path, pipes: bool = False) -> None:
    """Raises OSError where a path leads to a device, a socket or a pipe: to open or to read one may never end.

    With `pipes`, those that the shell has opened for a command are fine: /dev/stdin and <(…).
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    opened = pipes and stat.S_ISFIFO(mode) and os.path.abspath(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/"))
    if not (stat.S_ISREG(mode) or opened):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def open_regular(path: str | Path) -> BinaryIO:
    """A file to read bytes from. Raises OSError where it is missing, or no regular file."""
    check_regular(path)
    return open(path, "rb")


def read_text(path: Path, most: int = -1) -> str:
    """A text file's content, or the first `most` characters of it. Raises UserError where it is missing, no file, or
    not UTF-8 text."""
    try:
        check_regular(path, pipes=True)
        with open(path, encoding="utf-8") as file:
            return file.read(most)
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def csv_records(path: Path, text: str) -> Iterator[tuple[str, list[str]]]:
    """Place and fields of every line of a CSV text that is not empty. Raises UserError where quotes are not closed."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        for record in reader:
            if any(field.strip() for field in record):
                yield f"{path}, line {reader.line_num}", [field.strip() for field in record]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Raises UserError with the line where it is not YAML or not a mapping."""
    return parse_yaml(path, read_text(path, LARGEST_YAML + 1))


def parse_yaml(path: Path, text: str) -> dict[str, Any]:
    """The mapping that a file's YAML text holds. Raises UserError as `read_yaml`."""
    if len(text) > LARGEST_YAML:
        raise UserError(f"{path}: is too large for YAML: should have at most {LARGEST_YAML:,} characters")
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{path}{where}: not valid YAML: {problem}") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: nested too deep") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # a number of thousands of digits
        digits = "a number of too many digits" if "set_int_max_str_digits" in str(error) else str(error).splitlines()[0]
        raise UserError(f"{path}: not valid YAML: {digits}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold keys and values, not {type(content).__name__}")
    return content


def dump_yaml(settings: Settings) -> str:
    """Settings as YAML text that `read_yaml` and `check` turn back into the same settings."""
    return yaml.safe_dump(settings.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def parse_overrides(arguments: Sequence[str]) -> dict[str, str]:
    """Command-line settings, `--weights.lr 0.01` or `--weights.lr=0.01`, as {"weights.lr": "0.01"}."""
    overrides, rest = {}, list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise UserError(f"command line: '{word}' is neither an option nor a setting (--key value)")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UserError(f"command line: --{key} needs a value")
            value = rest.pop(0)
        overrides[key] = value
    return overrides


FEW = 12
"""known words that a message lists, at most, where it has a word that is none of them"""


def nearest(word: str, known: Iterable[str]) -> str:
    """' (did you mean …?)' with the known word nearest to `word`, else the list of what is known, or of many the three
    that are nearest."""
    known = list(known)
    if close := difflib.get_close_matches(word, known, n=1, cutoff=0.5):
        return f" (did you mean '{close[0]}'?)"
    if word and len(known) > FEW:
        some = difflib.get_close_matches(word, known, n=3, cutoff=0)
        return f" (nearest of {len(known)}: {', '.join(some)})"
    return f" (known: {', '.join(known)})" if known else ""


COMMAND_LINE = "command line: --"
"""what stands before the key of an override that was given as text"""


def check(
    model: type[S],
    content: dict[str, Any],
    source: str | Path,
    overrides: Mapping[str, Any] | None = None,
    asked: str = COMMAND_LINE,
    problems: Sequence[str] = (),
) -> S:
    """Checked settings from YAML content, with overrides by dotted key laid over it.

    The command line's overrides are texts, in which a list, a mapping or null is YAML; those that are `asked` elsewhere
    are the values themselves. Where an override changes a section's `kind`, the keys of the file that only the old kind
    knows fall away. Raises UserError naming the source, or the overrides where the content alone has no such problem,
    and of all that is wrong the key, the value and what would be right; `problems` found before are told with it.
    """
    given, told = {}, list(problems)
    for key, value in (overrides or {}).items():
        try:
            given[key] = _value(value) if asked == COMMAND_LINE else value
        except ValueError as error:
            told.append(f"{asked}{key}: {error}")
    laid, refused = _laid(model, content, given)
    told += [f"{asked}{key}: {problem}" for key, problem in refused.items()]
    try:
        settings = model.model_validate(laid)
    except ValidationError as error:
        told += _explain_all(model, error, content, str(source), given, asked)
    if told:
        raise UserError(in_one_line(told, (f"{source}: ", asked.removesuffix("--"))))
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


def describe(model: type[Settings], prefix: str = "") -> str:
    """One line a setting, for `--help`: dotted key, what it means, and its choices where they are counted."""
    lines = []
    for name, field in model.model_fields.items():
        if name in ("verb", "plugins"):
            continue  # of a recipe: it is what it is, and no option; --plugin is one of every verb
        key, members = f"{prefix}{name}", members_of(field.annotation)
        if len(members) != 1:  # a setting, or which kind of section it is
            text, choices = " ".join((field.description or "").split()), " | ".join(choices_of(field))
            lines.append(f"  --{f'{key}.kind' if members else key:<28} {text}{f' ({choices})' if choices else ''}")
        tags: dict[str, list[str]] = {}
        for tag, member in members.items():
            for line in describe(member, f"{key}.").splitlines():
                tags.setdefault(line, []).append(tag)
        for line, of in tags.items():
            if len(members) == 1 or not line.startswith(f"  --{key}.kind "):
                lines.append(line + (f" [{', '.join(of)}]" if len(of) < len(members) else ""))
    return "\n".join(lines)


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, dict) else value


def _switch_kinds(model: type[Settings], content: dict[str, Any], overrides: dict[str, Any], prefix: str = "") -> None:
    """Where the command line changes a section's kind, drop the keys that the old kind knows and the new does not."""
    for name, field in model.model_fields.items():
        section, members, key = content.get(name), members_of(field.annotation), f"{prefix}{name}"
        if not members or not isinstance(section, dict):
            continue
        before = str(section.get("kind"))
        told = str(overrides.get(f"{key}.kind", before))
        old, new = members.get(before), members.get(told)
        if told != before and old:  # of a user's own kind there is no more to say
            for gone in old.model_fields.keys() - (new.model_fields.keys() if new else {"kind"}):
                section.pop(gone, None)
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
        return yaml.load(text, Loader=_Loader) if text[:1] in ("[", "{") or text == "null" else text
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        short, problem = text if len(text) <= 60 else f"{text[:60]}…", getattr(error, "problem", None)
        raise ValueError(f"{short}: not valid YAML{f': {problem}' if problem else ''}") from None


def members_of(annotation: Any) -> dict[str, type[Settings]]:
    """The settings models an annotation allows, by their `kind` (or "" where there is only one)."""
    models = [option for option in _options(annotation) if isinstance(option, type) and issubclass(option, Settings)]
    if len(models) == 1:
        return {"": models[0]}
    return {get_args(option.model_fields["kind"].annotation)[0]: option for option in models}


def choices_of(field: FieldInfo) -> list[str]:
    """The words that a setting is one of, or the kinds of a section that has several; empty where neither is so."""
    literals = [option for option in _options(field.annotation) if get_origin(option) is Literal]
    known = [*members_of(field.annotation)] or [choice for literal in literals for choice in get_args(literal)]
    return [*map(str, known), *_open_names(field)]


def _leaves(annotation: Any) -> set[Any]:
    """The types that a value, or what is in it, may have."""
    inner = get_args(annotation) if get_origin(annotation) is not Literal else {*map(type, get_args(annotation))}
    return {annotation}.union(*map(_leaves, inner))


def _items(value: Any, *place: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """A value, or what is in lists and mappings of them, each with its place."""
    if isinstance(value, list | tuple | dict):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _items(item, *place, key)
    else:
        yield place, value


def _options(annotation: Any) -> list[Any]:
    """What an annotation allows, unions within it taken apart."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for part in get_args(annotation) for option in _options(part)]
    return [annotation]


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
    return [*members_of(field.annotation), *_open_names(field)]


def _open_names(field: FieldInfo) -> list[str]:
    """The names that a setting may have next to those that its annotation counts."""
    return [name for mark in field.metadata if isinstance(mark, OneOf) for name in mark.names()]


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
) -> list[str]:
    """All that is wrong, once for every key."""
    # A misspelt key is the reason, where the key that it should have been is reported missing as well.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    misspelt = {problem["loc"][:-1] for problem in problems if problem["type"] == "extra_forbidden"}
    told: dict[str, str] = {}
    needed: dict[str, list[str]] = {}
    sign = "--" if asked.endswith("--") else ""
    for problem in problems:
        if problem["type"] == "missing" and problem["loc"][:-1] in misspelt:
            continue
        key, message = _key(model, problem), _explain(model, problem)
        if any(key == name or key.startswith(f"{name}.") for name in overrides):
            place = f"{asked}{key}"
        elif reasons := _reasons(model, problem, content, overrides):
            place = asked + f" and {sign}".join(reasons)
            if problem["type"] in ("missing", "union_tag_not_found"):
                needed.setdefault(place, []).append(f"{sign}{key}")
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
        return f"unknown key{nearest(path[-1], known)}"
    if kind in ("missing", "union_tag_not_found"):
        return "is missing"
    if kind == "union_tag_invalid":
        given = str(problem["ctx"]["tag"])
        return f"'{given}' is not known{nearest(given, _members_at(model, problem['loc']))}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_shown(problem['input'])}: should hold keys and values"
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

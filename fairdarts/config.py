"""What settings are: checked, frozen models, errors that a user can mend, and what `--help` says of them."""

import difflib
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin

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
    """A mark of words that are checked as a Literal's are, against names that may become more."""

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
    return [*map(str, known), *open_names(field)]


def alike(one: Any, other: Any) -> bool:
    """Whether a value of one annotation may be one of the other."""
    return bool((_leaves(one) & _leaves(other)) - {type(None), None})


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


def open_names(field: FieldInfo) -> list[str]:
    """The names that a setting may have next to those that its annotation counts."""
    return [name for mark in field.metadata if isinstance(mark, OneOf) for name in mark.names()]

"""How files are read: text, CSV, and YAML of words, numbers, lists and maps alone."""

import csv
import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from fairdarts.config import Settings, UserError

LARGEST_YAML = 2**20
"""characters of a YAML file, at most: thousands of times what any of ours has, and seconds of reading"""


class Loader(yaml.SafeLoader):
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

Loader.yaml_implicit_resolvers = {  # `on` is a key, and no boolean; where one is wanted, pydantic reads `yes` too
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] in ("null", "int", "float")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}  # so a date is the text that is written there, and `<<` a key like others


Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


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
        content = yaml.load(text, Loader=Loader)
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

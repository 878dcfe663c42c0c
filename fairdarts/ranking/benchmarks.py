"""Tables of stand-alone accuracies: NAS-Bench-Macro, NAS-Bench-201, and any CSV of architectures, read as data."""

import importlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import UserError, nearest
from fairdarts.reading import csv_records, open_regular, read_text
from fairdarts.spaces.nasbench201 import names_of_arch

ARCHITECTURES = ("arch", "architecture", "path")
"""columns that may hold the architecture"""
ACCURACIES = ("accuracy", "acc", "mean_acc", "test_acc", "cifar10_test200")
"""columns that are the truth where none is named, the first that there is"""
DATASETS = {"cifar10_test200": "cifar10", "cifar100_test200": "cifar100", "imagenet16_test200": "ImageNet16-120"}
"""what the NAS-Bench-201 API calls the columns of a file of its own: test accuracies after 200 epochs"""
BENCH201 = tuple(
    f"{images}_{half}200" for half in ("test", "valid") for images in ("cifar10", "cifar100", "imagenet16")
)
"""columns of NAS-Bench-201: test and validation accuracies after 200 epochs (arXiv:2001.00326, section 2.3)"""
PICKLES = {b"PK\x03\x04": "nas_201_api", b"\x80": "nas_201_api", b"BZh": "nats_bench"}
"""the package that reads a binary file, by how the file begins: PyTorch's new and old form, NATS-Bench's"""
INSTALL = {"nas_201_api": "nas-bench-201", "nats_bench": "nats_bench"}
"""what pip calls the packages"""

INDEX = re.compile(r"[0-9]{1,6}")
Row = tuple[str, str, tuple[float, ...]]
"""place in the file, architecture as written there, a number of every column"""


class Benchmark(NamedTuple):
    """Stand-alone accuracies of architectures."""

    name: str
    """that of its file"""
    column: str
    """where the truth is from"""
    truth: dict[tuple[int, ...], float]
    """in percent, by path: the index of one choice of every choice point"""
    left_out: dict[str, int] = {}  # noqa: RUF012 (a tuple's field, and never changed)
    """entries of the file that are none of the space, by what they are"""


Named = Callable[[str], tuple[int, ...] | None]
"""gives the path of an architecture that is written as a name"""


def read_benchmark(
    path: Path,
    choices: tuple[tuple[str, ...], ...],
    space_name: str,
    column: str | None = None,
    named: Named = lambda _: None,
) -> Benchmark:
    """The benchmark in a file, by one of its columns; see `read_benchmarks`."""
    return read_benchmarks(path, choices, space_name, (column,), named)[0]


def read_benchmarks(
    path: Path,
    choices: tuple[tuple[str, ...], ...],
    space_name: str,
    columns: Sequence[str | None],
    named: Named = lambda _: None,
) -> tuple[Benchmark, ...]:
    """The benchmarks in a file, one a column, for a space whose choice points have these choices, by name.

    None is the column that is the truth where none is named.

    Recognized by content: JSON such as NAS-Bench-Macro's, {architecture: {column: number or list to be averaged}};
    CSV with a header, the architecture in a column arch, architecture or path; the files of NAS-Bench-201's own API,
    where its package is installed. An architecture is written in digits without separator (`02012100`), as indices or
    names that spaces, commas or dashes separate, in brackets or not (`[0, 1, 4]`), or as NAS-Bench-201 does
    (`|none~0|+|none~0|skip_connect~1|+…`), or by a name for which `named` has the path.
    Digits are indices, even where a choice is named so.
    Numbers that all lie in [0, 1] are fractions, and are turned into percent.

    Raises UserError naming file and line (or key), the value and what would be right.
    """
    head = _head(path)
    package = next((package for start, package in PICKLES.items() if head.startswith(start)), None)
    if package:
        names, rows = _api_rows(path, package, columns)
    else:
        text = read_text(path).removeprefix("\ufeff")
        if not text.strip():
            raise UserError(f"{path}: is empty")
        read = _json_rows if text.lstrip().startswith(("{", "[")) else _csv_rows
        names, rows = read(path, text, columns)
    read_rows = [
        (place, text, named(text.strip()) or read_path(text, choices, space_name, place), numbers)
        for place, text, numbers in rows
    ]
    return tuple(
        benchmark_of(path, name, ((place, text, key, numbers[at]) for place, text, key, numbers in read_rows))
        for at, name in enumerate(names)
    )


def regret_of(best: float, found: float) -> float:
    """How many percentage points one accuracy lacks to another, without the last bits of a difference of floats."""
    return round(best - found, 6)


def columns_in(path: Path) -> tuple[str, ...]:
    """The columns of a file that `read_benchmarks` reads; none of one that it does not."""
    head = _head(path)
    if any(head.startswith(start) for start in PICKLES):
        return tuple(DATASETS)
    text = read_text(path).removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[")):
        content = json_of(path, text)
        entry = next(iter(content.values()), None) if isinstance(content, dict) else None
        return tuple(entry) if isinstance(entry, dict) else ()
    return tuple(next(csv_records(path, text), ("", []))[1])


def benchmark_of(path: Path, column: str, rows: Iterable[tuple[str, str, tuple[int, ...], float]]) -> Benchmark:
    """The benchmark of rows: place in the file, architecture as written there, its path, and number.

    Raises UserError where a path has two numbers, or one that is no accuracy.
    """
    truth: dict[tuple[int, ...], float] = {}
    for place, text, key, value in rows:
        before = truth.setdefault(key, value)
        if before != value:
            raise UserError(f"{place}: {shown(text)}: stands twice, with {column} {before:g} and {value:g}")
    if not truth:
        raise UserError(f"{path}: holds no architecture")
    if all(0 <= value <= 1 for value in truth.values()):
        truth = {key: 100 * value for key, value in truth.items()}
    for key, value in truth.items():
        if not 0 <= value <= 100:
            raise UserError(f"{path}: {list(key)}: {column}: {value:g}: should be an accuracy in percent, or a share")
    return Benchmark(path.stem, column, truth)


def read_path(text: str, choices: tuple[tuple[str, ...], ...], space_name: str, place: str) -> tuple[int, ...]:
    """The path that an architecture's text names, in the forms of `read_benchmark`. UserError names the place."""
    here = f"{place}: {shown(text)}"
    words = _words(text, choices, here)
    if len(words) != len(choices):
        short = len(words) == len(text.strip()) < len(choices)
        lost = " (has the file lost leading zeros?)" if short and text.strip().isdecimal() else ""
        raise UserError(f"{here}: {len(words)} choices, should be {len(choices)} for {space_name}{lost}")
    points = enumerate(zip(words, choices, strict=True))
    return tuple(_index(word, names, f"{here}: choice {number} of {space_name}") for number, (word, names) in points)


def _words(text: str, choices: tuple[tuple[str, ...], ...], here: str) -> list[str]:
    """The choices that a text names, each as index or name."""
    if "|" in text:
        try:
            return names_of_arch(text.strip())
        except UserError as error:
            raise UserError(f"{here.rpartition(': ')[0]}: {error}") from None
    bare = text.strip()
    for left, right in ("[]", "()"):
        if bare.startswith(left) and bare.endswith(right):
            bare = bare[1:-1].strip()
    words = [word.strip("'\"") for word in re.split(r"\s*,\s*|\s+", bare)]
    if len(words) > 1 or len(choices) == 1:
        return words
    if bare.isdecimal() and all(len(names) <= 10 for names in choices):
        return list(bare)
    return bare.split("-")


def _index(word: str, names: tuple[str, ...], place: str) -> int:
    if INDEX.fullmatch(word):
        if int(word) >= len(names):
            raise UserError(f"{place}: {word}: should be from 0 to {len(names) - 1}")
        return int(word)
    if word not in names:
        raise UserError(f"{place}: {shown(word)}: is not one of its choices{nearest(word, names)}")
    return names.index(word)


def _json_rows(path: Path, text: str, columns: Sequence[str | None]) -> tuple[list[str], Iterator[Row]]:
    content = json_of(path, text)
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise UserError(f"{path}: should hold architectures, each with its numbers: {{'0120': {{'mean_acc': 91.5}}}}")
    if not content:
        raise UserError(f"{path}: holds no architecture")
    names = _chosen(path, tuple(next(iter(content.values()))), columns)
    return names, _json_numbers(path, content, names)


def json_of(path: Path, text: str) -> Any:
    """What a file's JSON text holds. Raises UserError where it is none."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError):  # an integer of thousands of digits, brackets within brackets
        raise UserError(f"{path}: not valid JSON") from None


def _json_numbers(path: Path, content: dict[str, dict[str, Any]], columns: Sequence[str]) -> Iterator[Row]:
    for text, entry in content.items():
        here = f"{path}: {shown(text)}"
        for column in columns:
            if column not in entry:
                raise UserError(f"{here}: has no {column!r}, only {listed(entry)}")
        numbers = (finite(mean_of(entry[column]), entry[column], f"{here}: {column}") for column in columns)
        yield str(path), text, tuple(numbers)


def mean_of(value: Any) -> float:
    """A JSON number, or the mean of a list of them; nan for anything else."""
    values = value if isinstance(value, list) and value else [value]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in values):
        return math.nan
    with suppress(OverflowError):  # an integer beyond all floats
        return sum(map(float, values)) / len(values)
    return math.nan


def _csv_rows(path: Path, text: str, columns: Sequence[str | None]) -> tuple[list[str], Iterator[Row]]:
    records = csv_records(path, text)
    _, header = next(records, ("", []))
    named = [name for name in ARCHITECTURES if name in header]
    if not named:
        raise UserError(f"{path}: has no column {' or '.join(ARCHITECTURES)}, only {listed(header)}")
    names = _chosen(path, tuple(name for name in header if name != named[0]), columns)
    lines = columns_of(path, records, header, (named[0], *names))
    return names, ((place, fields[0], _csv_numbers(place, names, fields[1:])) for place, fields in lines)


def _csv_numbers(place: str, columns: Sequence[str], fields: Sequence[str]) -> tuple[float, ...]:
    pairs = zip(columns, fields, strict=True)
    return tuple(finite(to_number(field), field, f"{place}: {column}") for column, field in pairs)


def columns_of(
    path: Path, records: Iterable[tuple[str, list[str]]], header: list[str], names: tuple[str, ...]
) -> list[tuple[str, list[str]]]:
    """The place of every line of a CSV, and its fields in some columns.

    Raises UserError where a column stands twice, or a line has not as many fields as the header.
    """
    for name in names:
        if header.count(name) > 1:
            raise UserError(f"{path}: column {name!r} stands twice")
    lines = list(records)
    for place, record in lines:
        if len(record) != len(header):
            raise UserError(f"{place}: {len(record)} fields, should be {len(header)}")
    return [(place, [record[header.index(name)] for name in names]) for place, record in lines]


def to_number(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    return math.nan


def finite(number: float, written: Any, place: str) -> float:
    if not math.isfinite(number):
        raise UserError(f"{place}: {shown(written)}: should be a number")
    return number


def _chosen(path: Path, names: tuple[str, ...], columns: Sequence[str | None]) -> list[str]:
    """The columns of the truth: those asked for; for None the first known one."""
    usual = next((name for name in ACCURACIES if name in names), None)
    chosen = []
    for column in columns:
        if column is not None and column not in names:
            raise UserError(f"{path}: has no column {column!r}, only {listed(names)}")
        if column is None and usual is None:
            raise UserError(f"{path}: has no column {' or '.join(ACCURACIES)}; name the one of {listed(names)}")
        chosen.append(str(column or usual))
    return chosen


def _api_rows(path: Path, package: str, columns: Sequence[str | None]) -> tuple[list[str], Iterator[Row]]:
    """Through NAS-Bench-201's own package, which unpickles the file: this module never does, as that may run code."""
    try:
        module = importlib.import_module(package)
    except ImportError:
        how = f"pip install {INSTALL[package]} (it unpickles, which may run code: only for a file that you trust)"
        here = "not text; NAS-Bench-201's own file needs its package"
        raise UserError(f"{path}: {here}: {how}; a CSV needs none") from None
    names = _chosen(path, tuple(DATASETS), columns)
    return names, _api_numbers(path, module, names)


def _api_numbers(path: Path, module: Any, columns: Sequence[str]) -> Iterator[Row]:
    try:
        if module.__name__ == "nats_bench":
            api = module.create(str(path), "tss", verbose=False)
        else:
            api = module.NASBench201API(str(path), verbose=False)
        for index in range(len(api)):
            every = (api.get_more_info(index, DATASETS[name], hp="200", is_random=False) for name in columns)
            numbers = tuple(float(about["test-accuracy"]) for about in every)
            yield f"{path}: architecture {index}", api.arch(index), numbers
    except Exception as error:  # whatever a foreign package and its pickles raise
        raise UserError(f"{path}: {module.__name__} cannot read it: {shown(str(error))}") from None


def _head(path: Path) -> bytes:
    with suppress(OSError), open_regular(path) as file:  # read_text tells what is wrong
        return file.read(4)
    return b""


def listed(names: Iterable[str]) -> str:
    return ", ".join(name if name.isprintable() else repr(name) for name in names) or "nothing"


def shown(value: Any) -> str:
    """A value on one line, of a length that can be read."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:110]} …"

"""A result in a file: gone on with, or told; what is wrong with it is said in a line."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fairdarts.config import UserError
from fairdarts.reading import read_text

Kept = TypeVar("Kept")


def told(path: Path, program: str, tell: Callable[[dict[str, Any]], Kept]) -> Kept:
    """What is told of a file's result. UserError where the file cannot be read, or is no result of the program."""
    text = read_text(path)
    try:
        return tell(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise UserError(f"{path}: should be a whole result of benchmarks/{program}.py") from None


def begun(path: Path, program: str, new: dict[str, Any], same: Sequence[str]) -> dict[str, Any]:
    """The result so far of a file, or a new one. UserError where another `same` stands in the file than in the new."""

    def checked(result: dict[str, Any]) -> dict[str, Any]:
        for key in same:
            if result.get(key) != new[key]:
                raise UserError(f"{path}: {key}: {result.get(key)}, but here {new[key]}; name another file")
        return new | result

    return told(path, program, checked) if path.exists() else new


def in_a_line(main: Callable[[], None]) -> int:
    """The status of a program, which says in a line what its user can mend."""
    try:
        main()
    except UserError as error:
        print(f"{Path(sys.argv[0]).stem}: {error}", file=sys.stderr)
        return 2
    return 0

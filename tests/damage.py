"""What tests of files share: the same file with something in it that was not written there."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from fairdarts.config import UserError


def flipped(whole: bytes, count: int) -> Iterator[bytes]:
    """So many copies of a file, each with one bit flipped: at places all over it, the same ones every time."""
    random = Random(0)
    for number in range(count):
        place = number * len(whole) // count
        bit = 1 << random.randrange(8)
        yield whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]


def outcome(read: Callable[[], Any]) -> Any:
    """What a reading gives, or the one line that it is refused with."""
    try:
        return read()
    except UserError as error:
        message = str(error)
    assert "\n" not in message
    return message

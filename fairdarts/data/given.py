"""Images that are handed over from Python become a training set and a test set: arrays, tensors, or data sets."""

from collections.abc import Mapping
from typing import Any

from fairdarts.config import UserError
from fairdarts.data.examine import notice
from fairdarts.data.items import Items, columns_of, read_items
from fairdarts.data.npz import Pair
from fairdarts.data.pixels import gather, numbers_of
from fairdarts.data.settings import Given
from fairdarts.data.sources import Source, from_arrays, measured, own

LARGEST_KEPT = 4 * 2**30
"""bytes of a data set's images that are kept in memory, as uint8 of the size that a network sees; of a larger set every
image is read when it is asked for"""
TESTS = ("test", "validation")
"""keys of a dict whose images are its test set, the first that there is"""
AGAIN = "hand over the same again"
FORMS = "(images, labels), a torch or Hugging Face data set, or a dict of these under train, and test or validation"


def given(data: object, settings: Given) -> tuple[Source, Given]:
    """The training set of what was handed over, with its test set if it has one; and settings that tell what was
    measured of it.

    `data` is a pair (images, labels) of arrays or tensors; a data set whose items are (image, label), a PIL image, a
    tensor or an array each; a Hugging Face data set with an Image and a ClassLabel column; or a dict of these under
    "train", and "test" or "validation". Images are uint8, or have the range that settings state; of others 8 bits are
    kept. Raises UserError where the data are no images and classes, or settings have the number and fingerprint of
    others.
    """
    training, test, places = _parts(data) if isinstance(data, Mapping) else (data, None, ("data", ""))
    if settings.number is not None and settings.number != (number := _number(training, places[0])):
        raise UserError(f"{places[0]}: {number:,} images, but the run began with {settings.number:,}; {AGAIN}")
    source = _source(training, settings, places[0])
    told = measured(settings, source)
    if test is not None:
        source = source._replace(test=_source(test, told, places[1], least=1))
    fingerprint = "+".join(own.listing for own in (source, source.test) if own)
    _check_same(settings.fingerprint, fingerprint)
    return source, told.model_copy(update={"number": len(source.dataset), "fingerprint": fingerprint})


def _parts(data: Mapping[str, Any]) -> tuple[Any, Any, tuple[str, str]]:
    """The training and the test set of a dict, and what they are called."""
    if "train" not in data:
        raise UserError(f"data: a dict of {', '.join(map(str, data)) or 'nothing'}; should have the key train")
    test = next((key for key in TESTS if key in data), None)
    if unused := [str(key) for key in data if key not in ("train", test)]:
        used = f"train and {test} are" if test else "train is, and test or validation where there is one"
        notice(f"data: {', '.join(unused)}: is not used; {used}")
    return data["train"], data[test] if test else None, ('data["train"]', f'data["{test}"]')


def _is_pair(data: object) -> bool:
    """Whether data are images and labels: a tuple, or a list whose first part is an array."""
    return isinstance(data, tuple | list) and len(data) == 2 and (isinstance(data, tuple) or hasattr(data[0], "shape"))


def _number(data: Any, place: str) -> int:
    """How many images there are."""
    try:
        if not _is_pair(data) and not hasattr(data, "__getitem__"):
            raise TypeError
        return len(data[0]) if _is_pair(data) else len(data)
    except TypeError:
        raise UserError(f"{place}: {type(data).__name__}; should be {FORMS}") from None


def _source(data: Any, settings: Given, place: str, least: int = 2) -> Source:
    number = _number(data, place)
    if isinstance(data, str | bytes) or hasattr(data, "shape"):
        raise UserError(f"{place}: {type(data).__name__}; should be {FORMS}")
    if number == 0:
        raise UserError(f"{place}: is empty; should hold images")
    if _is_pair(data):
        images, labels = data
        return from_arrays(Pair(images, labels, f"{place}: images", f"{place}: labels"), settings, least)
    dataset, names = columns_of(data, place)
    found: list[Any] = []
    items_read = read_items(dataset, settings.range, found, place)
    gathered = gather(items_read, number, settings.image_size, place, LARGEST_KEPT)
    numbers, classes = numbers_of(found, number, settings.classes or names, f"{place}: labels", least)
    channels = gathered.levels.shape[0]
    items = Items(dataset, settings.range, channels, numbers.tolist(), place) if gathered.images is None else None
    return own(gathered, numbers, classes, settings, place, items)


def _check_same(before: str | None, now: str) -> None:
    """Raises UserError where images have another fingerprint than those that a run began with."""
    if before in (None, now):
        return
    (training, _, test), (training_now, _, test_now) = str(before).partition("+"), now.partition("+")
    if training != training_now:
        what = f"other pixels or labels than the run began with ({training_now}, not {training}); {AGAIN}"
    elif not test:
        what = "has a test set, but the run began without; leave it out"
    elif not test_now:
        what = "has no test set, but the run began with one; hand it over as well"
    else:
        what = f"another test set than the run began with ({test_now}, not {test}); {AGAIN}"
    raise UserError(f"data: {what}")

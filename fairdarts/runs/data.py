"""Which images a run sees: those that its settings name, or those that it was handed."""

import os
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from fairdarts.config import Settings, UserError
from fairdarts.data.balance import tell_balance
from fairdarts.data.examine import examine
from fairdarts.data.files import ImageFiles
from fairdarts.data.given import given
from fairdarts.data.settings import Csv, DataSettings, Folder, ImageNet
from fairdarts.data.sources import Source, open_source, seen_of
from fairdarts.data.split import tell_split
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.request import words_for
from fairdarts.runtime import distributed

S = TypeVar("S", bound=Settings)


def see(settings: S, data: Any, watch: Callback, new: bool = False, least: int = 2) -> tuple[S, Source]:
    """The images of a run, those that it is handed or those that its settings name; and the settings, which tell what
    was measured of the former. Raises UserError where a run that was handed its images is handed none, or others."""
    own: Any = settings
    if own.data.kind != "given":
        named = {f"data.{key}": str(getattr(own.data, key, None)) for key in ("kind", "root")}
        if data is not None and words_for(data) != named:
            images = f"{own.data.kind}, as its settings say"
            raise UserError(
                f"data: the run sees images of {images}, and takes none that are handed over: leave them out"
            )
        return settings, open_images(own.data, watch, new, least)
    with distributed.together():
        if data is None or isinstance(data, str | os.PathLike):
            again = "hand them over again from Python: data=…"
            raise UserError(f"data.kind: given: the run was handed its images, which it does not keep; {again}")
        source, told = given(data, own.data)
        if new:
            tell_split(told, source)
            tell_balance(told, source)
    return settings.model_copy(update={"data": told}), source


def open_images(data: DataSettings, watch: Callback, new: bool = False, least: int = 2) -> Source:
    """The images, of at least so many classes; where they are downloaded first, one process of a machine does it. Of a
    new run they are examined."""
    for turn in (True, False):
        with distributed.together():
            if distributed.leads_machine() == turn:
                source = open_source(data, least)
    if new:
        examine_images(data, source, watch)
        with distributed.together():
            tell_split(data, source)
            tell_balance(data, source)
    return source


def examine_images(data: DataSettings, source: Source, watch: Callback, indices: Sequence[int] | None = None) -> None:
    """Examines the files of a source, or those of some indices; one process of a machine does it. Raises UserError as
    `examine` does, in all processes."""
    if not isinstance(source.dataset, ImageFiles) or not isinstance(data, Folder | Csv | ImageNet):
        return
    samples = source.dataset.samples
    paths = [samples[index][0] for index in (range(len(samples)) if indices is None else indices)]
    shown = partial(watch.track, what="looking at the images")
    look = partial(examine, paths, data.white, f"data.root: {source.dataset.root}", seen_of(data), shown, source.image)
    distributed.wait_for(look if distributed.leads_machine() else None)


def told_images(data: Any, trained: int, every: int) -> str:
    """How many of the images train the weights; loudly where most of them do not."""
    if trained * 2 >= every:
        return f"images     {trained:,} of {every:,} train the weights, {every - trained:,} are held out"
    key = "train_portion" if hasattr(data, "train_portion") else "held_out"
    why = f"as data.{key} is {getattr(data, key)}; --data.{key} takes another share"
    return f"images     ONLY {trained:,} of {every:,} train the weights, {why}"

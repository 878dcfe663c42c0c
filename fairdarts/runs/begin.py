"""How a run begins or goes on, and how it ends before its time: what all verbs that make runs share."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint
from fairdarts.own import PLUGINS
from fairdarts.ranking.truth import Truth, truth_of
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.data import see, told_images
from fairdarts.runs.recipe import settings_of
from fairdarts.runs.request import Kind, Request, resumed_settings
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import memory_advice, use_threads
from fairdarts.runtime.records import mend
from fairdarts.runtime.run import RunDirectory, changed_versions, create, is_free, open_run
from fairdarts.runtime.settings import TruthSettings
from fairdarts.runtime.shape import file_of
from fairdarts.runtime.stop import Diverged, Interrupted, Stop, catch_signals
from fairdarts.spaces.space import FORMS, KINDS, Space, load_space

T = TypeVar("T")
MANY = 10**9
"""paths from which on nobody reads every digit"""


class Begun(NamedTuple):
    """What a run begins with, or goes on."""

    settings: Any
    space: Space
    source: Source
    run: RunDirectory
    truth: Truth | None
    """of the space's architectures, where the run is told one"""


def begin(
    kind: Kind,
    asked: Request,
    watch: Callback,
    check_fit: Callable[..., Any],
    files: Callable[..., dict[str, str]] = lambda *_: {},
) -> Begun:
    """The run that is asked for, a new one or one to be continued, in all processes; says which one it is.

    `check_fit` is given settings, space and images, and gives the indices of those that train and of those held out;
    `files`, given these and the callback, texts that a new run keeps, by their names.
    """
    settings, space = in_all_processes(kind, lambda: read(kind, asked, watch))
    with distributed.together():
        truth = told_truth(settings, space, watch)
    settings, source = see(settings, asked.data, watch, new=not asked.resume)
    with distributed.together():
        trained, _ = check_fit(settings, space, source)
        path = Path(asked.resume or asked.out or free_path(settings))
        if distributed.rank() == 0 and not asked.resume:
            told = file_of(source.shape, settings.data.kind, fingerprint(source))
            create(path, settings, space, told | files(settings, space, source, watch))
    run = RunDirectory(Path(distributed.shared(str(path))))
    share = f" share {settings.compute.parallel}" if hasattr(settings.compute, "parallel") else ""
    several = f", {distributed.ranks()} processes{share}" if distributed.ranks() > 1 else ""
    watch.note(f"run {run.path}: {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}")
    watch.note(told_images(settings.data, len(trained), len(source.dataset)))
    return Begun(settings, space, source, run, truth)


def told_truth(settings: TruthSettings, space: Space, watch: Callback) -> Truth | None:
    """The truth that a run is told, if any; says what the file lacks of the space. Raises UserError where it cannot be
    read."""
    truth = truth_of(settings, space)
    if truth:
        table, size = truth.benchmarks[0], truth.space.size()
        for what, count in table.left_out.items():
            watch.note(f"truth      {settings.truth}: left out {count:,} entries {what}")
        if len(table.truth) < size:
            many = f"{size:,}" if size < MANY else f"{size:.1e}"
            holds = f"holds {len(table.truth):,} of {many} paths of space {truth.space.name}"
            watch.note(f"truth      {settings.truth}: {holds}; of others it knows those that are isomorphic to these")
    return truth


def read(kind: Kind, asked: Request, watch: Callback) -> tuple[Any, Space]:
    """Settings and space of a recipe, or of a run to be continued."""
    if asked.resume:
        return reopened(kind, open_run(Path(asked.resume)), asked.settings, watch)
    if asked.recipe is None:
        raise UserError(
            f"{kind.verb}: a recipe is missing; `fairdarts recipes {kind.verb}` lists those that are shipped"
        )
    settings, place = settings_of(kind.model, asked.recipe, asked.laid)
    use_threads(settings.threads)
    return settings, load_space(settings.space, f"{place}: space")


def in_all_processes(kind: Kind, read: Callable[[], tuple[Settings, ...]]) -> tuple[Any, ...]:
    """What the first process reads, in all of them: settings, space, and if so a genotype. They run on the threads that
    the settings say."""
    parts = distributed.first(read)
    if distributed.ranks() > 1:  # the others may not see the files
        for file in distributed.shared([*map(str, PLUGINS)]):  # but those of parts, which are code, they have to
            import_module("fairdarts.plugins").load_plugin(file)
        texts = distributed.shared([part.model_dump(mode="json", by_alias=True) for part in parts] if parts else None)
        space = texts[1]["kind"]
        forms = (kind.model, KINDS[space], FORMS[space])[: len(texts)]
        names = ("settings.yaml", "space.yaml", "genotypes/final.yaml")[: len(texts)]
        parts = tuple(map(check, forms, texts, names))
    assert parts is not None, "the first process has read them"
    use_threads(parts[0].threads)  # type: ignore[attr-defined]  # all settings of runs have them
    return parts


def reopened(kind: Kind, run: RunDirectory, settings: Mapping[str, Any], watch: Callback) -> tuple[Any, Space]:
    """Settings and space of a run to be continued; says so where it was begun under other versions."""
    asked = resumed_settings(kind, run, settings)
    use_threads(asked.threads)
    if differences := changed_versions(run, asked):
        watch.note(f"the run was begun elsewhere, so its last digits may differ: {differences}")
    with run.held():
        mend(run)
    return asked, load_space(str(run.path / "space.yaml"))


def has_finished(kind: Kind, run: RunDirectory, watch: Callback) -> bool:
    """Whether nothing of a run is left to do, which is then said; all processes get what the first one sees."""
    if done := distributed.shared(distributed.first(lambda: run.state == "finished")):
        watch.note(f"this {kind.what} has already finished")
    return bool(done)


def free_path(settings: Any) -> Path:
    """runs/NAME-seedSEED, or with the first of -2, -3, … that is not taken."""
    name = re.sub(r"[^\w.-]+", "-", settings.name)  # a recipe's name may hold what a folder's may not
    path = Path("runs") / f"{name}-seed{settings.seed}"
    number, free = 1, path
    while not is_free(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


@contextmanager
def at_work(run: RunDirectory) -> Iterator[Stop]:
    """Within it this process works on the run, until the Stop says that a signal asked it to end.

    Raises Interrupted once it has, the state saved; InUse where another process is at work on the run; UserError where
    memory does not suffice or a process that loads images died.
    """
    with ExitStack() as stack:
        distributed.first(lambda: stack.enter_context(run.held()))
        try:
            with catch_signals(patient=distributed.launched() > 1) as stop, memory_advice():
                yield stop
        except (Interrupted, Diverged, BadState):
            raise
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(f"a process that loads images died: {error}") from None

"""From class folders to a model that fits a budget: look, search with the cost, derive, train, judge, export."""

import json
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scipy.stats import binomtest

from fairdarts.config import Notice
from fairdarts.cost.derived import cost_of
from fairdarts.cost.latency import read_latency
from fairdarts.evolution.objectives import Limit
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import read_text
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.derive import derive
from fairdarts.runs.evaluate import Judged, evaluate
from fairdarts.runs.export import Exported, export
from fairdarts.runs.fit.asked import FitSettings, read_asked
from fairdarts.runs.fit.plan import SHARES, train_epochs
from fairdarts.runs.fit.planned import Plan, planned
from fairdarts.runs.recipe import merged
from fairdarts.runs.result import Run, open_run
from fairdarts.runs.search import search
from fairdarts.runs.train import train
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.device import use_threads

T = TypeVar("T")
RESULTS = "results.json"
MODEL = "model"
"""what the genotype is called, and the files of its network"""
WARM_UP = 3
"""epochs in which the learning rate rises, or a tenth of fewer"""


@dataclass(frozen=True)
class Fit:
    """A model that fits, and what it is worth."""

    folder: Path
    search: Run
    train: Run
    genotype: Genotype
    results: dict[str, Any]
    """accuracy on images that nothing else has seen, with its interval; costs, latency here, files: results.json"""


def fit(
    root: str | Path,
    budget: str | None = None,
    hours: float | None = None,
    out: str | Path = "fit",
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Fit:
    """Finds, trains and exports a model for class folders of images, within a budget of cost and time: `fairdarts fit`.

    `budget` is "madds <= 20e6", or of params, or of latency in milliseconds. It looks at the images, says through the
    callbacks what it chooses and why, and leaves all of it in `out`: fit.yaml, the runs search and train, and the
    model's files. Called again with the same folder it goes on where it was stopped. Settings are `image_size`, `test`
    (the share that judges, 0.2), `flip`, `seed` and `threads`. Raises UserError where there are too few images, or no
    network keeps the budget; KeyboardInterrupt once Ctrl-C has stopped it, the state saved.

    >>> found = fairdarts.fit("photos", budget="madds <= 20e6", hours=1)
    >>> found.results["top1"], found.results["interval"], found.results["classes"]
    >>> fairdarts.predict("fit/model.onnx", "photo.jpg")
    """
    watch, folder = Callbacks(callbacks), Path(out)
    stage = _Stage(watch)
    asked = read_asked(root, budget, hours, folder, merged(settings, named) if named else settings or {})
    use_threads(asked.threads)
    if (folder / RESULTS).is_file():
        watch.note(f"this fit has already finished: {folder}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "data.root: .* cut away", Notice)  # the plan says it once
        plan = planned(asked, folder, watch)
        searched = _searched(plan, folder, stage)
        genotype = _derived(asked, searched, watch)
        trained = _trained(asked, plan, searched, genotype, folder, stage)
        if not (folder / RESULTS).is_file():
            judged = evaluate(trained, split="test", threads=asked.threads, callbacks=stage)
            exported = _exported(trained, folder, stage)
            results = _results(asked, searched, trained, judged, exported)
            write_atomically(folder / RESULTS, (json.dumps(results, indent=1, ensure_ascii=False) + "\n").encode())
    found, _ = load_genotype(str(genotype))
    return Fit(folder, searched, trained, found, json.loads(read_text(folder / RESULTS)))


class _Stage(Callback):
    """Shows how a stage gets on, but not what it notes of itself, as the plan has said what matters."""

    def __init__(self, watch: Callbacks):
        self.watch = watch

    def begin(self, run: Run) -> None:
        self.watch.begin(run)

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        self.watch.step(epoch, step, steps, *seen)

    def epoch(self, record: dict[str, Any]) -> None:
        self.watch.epoch(record)

    def end(self, run: Run) -> None:
        self.watch.end(run)

    def track(self, items: Iterable[T], total: float | None, what: str) -> Iterable[T]:
        return self.watch.track(items, total, what)


def _searched(plan: Plan, folder: Path, stage: _Stage) -> Run:
    """The search, done or gone on with."""
    path = folder / "search"
    if (path / "settings.yaml").is_file():
        return open_run(path).resume(callbacks=stage)
    return search("fit-search", settings=plan.search, out=path, callbacks=stage)


def _derived(asked: FitSettings, searched: Run, watch: Callbacks) -> Path:
    """The file of the genotype within the budget, which lies with those of its search; says what the budget took."""
    path = searched.path / "genotypes" / "within.yaml"
    if not path.is_file():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", Notice)
            genotype = derive(searched, budget=asked.budget, name=MODEL)
        for line in said:
            watch.note(f"derived    {line.message}")
        write_atomically(path, to_yaml(genotype).encode())
    return path


def _trained(
    asked: FitSettings,
    plan: Plan,
    searched: Run,
    genotype: Path,
    folder: Path,
    stage: _Stage,
) -> Run:
    """The training, done or gone on with; its epochs are what the time that is left allows, as first steps tell."""
    path = folder / "train"
    if (path / "settings.yaml").is_file():
        return open_run(path).resume(callbacks=stage)
    settings = dict(plan.train)
    spent = plan.seconds + sum(record.get("seconds", 0.0) for record in searched.records)
    whole = asked.hours * 3600
    left = max((SHARES["search"] + SHARES["train"]) * whole - spent, SHARES["train"] * whole)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=".measured-", dir=folder) as place:
        list_ = str(folder / "images" / "few.csv")
        few: dict[str, Any] = {"epochs": 2, "judge_every": 2, "schedule.warmup_epochs": 0}
        few |= {"data.root": list_, "data.test_root": list_}
        tried = train(genotype, recipe="fit-train", settings=settings | few, out=Path(place) / "run")
        an_image = 1 / tried.records[-1]["images_per_second"]
    left -= time.monotonic() - begun
    epochs = train_epochs(plan.images, left, an_image)
    minutes = epochs.epochs * epochs.images * an_image / 60
    stage.watch.note(f"training   {epochs.epochs} epochs of {epochs.images:,} images, about {minutes:.1f} minutes")
    settings |= {"epochs": epochs.epochs, "judge_every": max(1, epochs.epochs // 10)}
    settings["schedule.warmup_epochs"] = min(WARM_UP, epochs.epochs / 10)
    return train(genotype, recipe="fit-train", settings=settings, out=path, callbacks=stage)


def _exported(trained: Run, folder: Path, stage: _Stage) -> Exported:
    """The model's files, which are called as its genotype."""
    for suffix in (".onnx", ".safetensors", ".md"):  # of a fit that was stopped before its results
        (folder / f"{MODEL}{suffix}").unlink(missing_ok=True)
    return export(trained, formats=("onnx", "safetensors"), out=folder, benchmark=True, callbacks=stage)


def _results(asked: FitSettings, searched: Run, trained: Run, judged: Judged, exported: Exported) -> dict[str, Any]:
    """What is told in the end."""
    right = round(judged.top1 * judged.images)
    interval = binomtest(right, judged.images).proportion_ci(method="wilson")
    counts = judged.confusion.sum(1)
    limit = asked.limit
    return {
        "quantity": limit.quantity,
        "budget": str(limit),
        "cost": _cost(searched, trained, limit),
        "madds": _cost(searched, trained, Limit("madds", "<=", 0)),
        "params": _cost(searched, trained, Limit("params", "<=", 0)),
        "top1": judged.top1,
        "interval": [interval.low, interval.high],
        "balanced": judged.balanced,
        "images": judged.images,
        "guessing": float(counts.max() / counts.sum()),
        "classes": judged.by_class,
        "image_size": trained.settings.data.model_dump(mode="json")["image_size"],
        "search": {"epochs": searched.settings.epochs, "seconds": _seconds(searched)},
        "train": {"epochs": trained.settings.epochs, "seconds": _seconds(trained)},
        "latency": exported.times,
        "files": [*(str(one.path) for one in exported.files), str(exported.card)],
    }


def _cost(searched: Run, trained: Run, limit: Limit) -> float | None:
    table = read_latency(searched.path / "latency.csv", searched.space) if limit.quantity == "latency" else None
    return cost_of(trained.genotype, searched.space, searched.shape, limit.quantity, table=table)


def _seconds(run: Run) -> float:
    return round(sum(record.get("seconds", 0.0) for record in run.records), 1)

"""What does a report tell of a run? Read from its directory alone, by the verb that made it."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.cost.cost import cost_text
from fairdarts.cost.count import count
from fairdarts.differentiable.derive import check_records
from fairdarts.differentiable.loop import found_in
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.stopping import kept_record, verdict
from fairdarts.evolution.result import judged_alike, models_of
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import build
from fairdarts.networks.sizes import as_searched, depth, sizes
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.drawing import graphs_of
from fairdarts.plot.report_evolved import Evolution, evolutions
from fairdarts.plot.report_searched import Found, searches
from fairdarts.plot.report_supernets import SupernetRun, supernets
from fairdarts.plot.report_trained import Training, trainings
from fairdarts.plot.truth import told
from fairdarts.ranking.report import open_training, read_ranking
from fairdarts.reading import read_text, read_yaml
from fairdarts.runs.evolved import bounds_of, cells_of, drawn, evolved, reopened_search
from fairdarts.runs.truth import skips_of
from fairdarts.runtime.run import RunDirectory, open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import Space, load_space, sized


class Told(NamedTuple):
    """How runs of a verb are told of."""

    one: str
    """what one is called"""
    several: str
    gather: Callable[[Path, str], Any]
    """path and name of a run → what a report tells of it"""
    parts: Callable[[Sequence[Any]], list[str]]
    """of all such runs → their part of the page"""


def searched(path: Path, name: str) -> Found:
    """A gradient search."""
    run = open_run(path)
    settings = check(SearchSettings, read_yaml(path / "settings.yaml"), path / "settings.yaml")
    shape = shape_of(path)
    space = sized(load_space(str(path / "space.yaml")), shape)
    records = list(check_records(run.records(), space, str(run.metrics)))
    judged = settings.stopping, settings.architect.warmup
    ended = verdict(records, *judged)
    kept = records[: records.index(kept_record(records, *judged)) + 1]
    done = run.state == "finished"
    genotype, cost, drawings = None, "no genotype yet", {}
    if done:
        genotype, _ = load_genotype(str(path))
        of, channels = as_searched(settings.supernet.stem, space), shape.channels if shape else 3
        image = getattr(space.networks, of.size or sizes(space)[0]).image
        try:
            with torch.device("meta"):
                network = build(genotype, space, of, in_channels=channels)
            cost = cost_text(count(network, channels, image), image)
        except UserError as error:
            cost = f"no network: {error}"
        drawings = drawings_of(genotype, space)
    unfinished = how_far(run, records, settings.epochs)
    kept = records[: records.index(kept_record(records, *judged)) + 1]
    by_eq_7 = settings.relaxation == "sigmoid" and settings.zero_one.form == "squared"
    by_eq_7 = by_eq_7 and settings.architect.kind != "single_level"
    return Found(
        name=name,
        method=re.sub(r"-seed\d+$", "", name),
        recipe=settings.name,
        weight=settings.zero_one.weight if by_eq_7 else None,
        settings=read_text(path / "settings.yaml"),
        space=space,
        records=kept,
        derived=[found_in(record, settings, space, f"{name}, epoch {record['epoch']}") for record in kept],
        ended=f"stopped: {ended.reason}" if ended else unfinished,
        genotype=genotype,
        cost=cost,
        drawings=drawings,
        skips=tuple(skips_of(kept, settings, space)) if told(kept) else (),
        depth=depth(space, as_searched(settings.supernet.stem, space)),
    )


def trained_supernet(path: Path, name: str) -> SupernetRun:
    """The training of a supernet, with the rankings that `fairdarts rank` left in it."""
    run = open_run(path)
    settings, space = open_training(run)
    rankings = []
    for file in sorted(path.glob("ranking-*.json")):
        statistics: Any = file.stem.removeprefix("ranking-")
        ranking = read_ranking(run, statistics)
        # Other statistics are another ranking, and no other seed of the recipe.
        recipe = f"{ranking['recipe']}, BatchNorm {statistics}"
        rankings.append(ranking | {"run": f"{name}, {statistics}", "recipe": recipe})
    records = begun(run)
    return SupernetRun(
        name=name,
        recipe=settings.name,
        sampler=settings.sampler.kind.replace("_", " "),
        space=space.name,
        settings=read_text(path / "settings.yaml"),
        records=records,
        ended=how_far(run, records, settings.epochs),
        rankings=rankings,
        skips=tuple(skips_of(records, settings, space)) if told(records) else (),
    )


def evolution(path: Path, name: str) -> Evolution:
    """An evolutionary search."""
    run = open_run(path)
    settings, archive = reopened_search(run)
    models, records = models_of(archive, settings.models, settings.classes), begun(run)
    titles, rows = cells_of(models, archive)
    return Evolution(
        name=name,
        recipe=settings.name,
        supernet=str(settings.supernet),
        space=archive.problem.space,
        settings=read_text(path / "settings.yaml"),
        records=records,
        ended=how_far(run, records, settings.generations),
        evolved=evolved(name, archive),
        budgets=bounds_of(settings),
        models=drawn(models, archive),
        titles=titles,
        rows=rows,
        notes=judged_alike(archive, settings.classes),
    )


def trained(path: Path, name: str) -> Training:
    """The training of a network that stands alone, for classification or segmentation."""
    run, content = open_run(path), read_yaml(path / "settings.yaml")
    genotype, space = load_genotype(str(path))
    space = sized(space, shape_of(path))
    records, file, results = begun(run), path / "results.json", {}
    if file.is_file():
        try:
            results = json.loads(read_text(file))
        except ValueError:
            raise UserError(f"{file}: not JSON") from None
    return Training(
        name=name,
        recipe=content["name"],
        genotype=genotype.name,
        settings=read_text(path / "settings.yaml"),
        records=records,
        ended=how_far(run, records, content["epochs"]),
        results=results,
        drawings=drawings_of(genotype, space),
    )


TOLD = {
    "search": Told("search", "searches", searched, searches),
    "supernet": Told("supernet", "supernets", trained_supernet, supernets),
    "evolve": Told("evolutionary search", "evolutionary searches", evolution, evolutions),
    "train": Told("training", "trainings", trained, trainings),
    "segment": Told("training for segmentation", "trainings for segmentation", trained, trainings),
}
"""verb → how its runs are told of, in the order of a page"""


def begun(run: RunDirectory) -> list[dict[str, Any]]:
    """The records of a run. Raises UserError where it has none yet."""
    records = run.records()
    if not records:
        raise UserError(f"{run.metrics}: no {run.unit} is done yet, so there is nothing to tell of")
    return records


def how_far(run: RunDirectory, records: Sequence[dict[str, Any]], planned: int) -> str:
    """'it is at epoch 3 of 10'; nothing of a run that is finished."""
    if run.state == "finished":
        return ""
    where = "diverged after" if run.state == "diverged" else "is at"
    return f"it {where} {run.unit} {records[-1][run.unit]} of {planned}"


def drawings_of(genotype: Genotype, space: Space) -> dict[str, str]:
    """An SVG of every part of a genotype; none where graphviz is missing."""
    if not shutil.which("dot"):
        return {}
    return {part: graph.pipe("svg").decode() for part, graph in graphs_of(genotype, space).items()}

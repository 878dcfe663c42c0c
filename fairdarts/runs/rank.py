"""How well do trained supernets rank architectures? Each is judged by its last checkpoint, against a benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from fairdarts.config import UserError
from fairdarts.oneshot.settings import Statistics, read_statistics
from fairdarts.plot.ranking import draw_rankings
from fairdarts.ranking import report
from fairdarts.ranking.tau import Measured
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.data import see
from fairdarts.runs.judge import show
from fairdarts.runs.request import PATHS
from fairdarts.runs.result import Run, flat
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.run import open_run
from fairdarts.spaces.gates import SinglePath

MOST = 1_000_000
"""of architectures and images that one may ask for"""


@dataclass(frozen=True, repr=False)
class Ranking:
    """How the supernet of a run ranks architectures."""

    content: dict[str, Any]
    """all of it, as the run's ranking-STATISTICS.json holds it"""

    def __repr__(self) -> str:
        found = f", Kendall's τ {self.measured['kendall'].value:.3f}" if self.measured else ""
        return f"<ranking of {len(self.score)} architectures by {self.content['run']}{found}>"

    @property
    def paths(self) -> list[SinglePath]:
        """The architectures: the number of every choice."""
        return [tuple(path) for path in self.content["paths"]]

    @property
    def score(self) -> list[float]:
        """Their one-shot accuracies in percent."""
        return list(self.content["score"])

    @property
    def truth(self) -> list[float]:
        """What a benchmark says of them; empty without one."""
        return list(self.content["truth"] or ())

    @property
    def measured(self) -> dict[str, Measured]:
        """How well one ranks the other: `measured["kendall"].value` and its interval, `.low` and `.high`, each nan
        where it makes no sense. Empty without a benchmark."""
        known: dict[str, dict[str, Any]] = self.content["measured"] or {}
        return {name: Measured(**{key: _or_nan(value) for key, value in one.items()}) for name, one in known.items()}

    @property
    def best(self) -> dict[str, Any]:
        """The architecture of highest one-shot accuracy: its `path`, `score`, `truth`, and `regret`, by how many
        percentage points the best of the benchmark is better. Empty without a benchmark, or if ranked before 0.2."""
        return dict(self.content.get("best") or {})

    @property
    def facts(self) -> dict[str, Any]:
        """All but the architectures: how it was made, how many there are, and the measures as plain numbers."""
        kept = {key: value for key, value in self.content.items() if key not in ("paths", "truth", "score")}
        return kept | {"architectures": len(self.score), "one_shot_mean": fmean(self.score)}

    def flat(self) -> dict[str, Any]:
        """The facts as a row of a table: nested keys are joined by dots, `measured.kendall.value`."""
        return flat(self.facts)

    def figures(self, folder: str | Path) -> list[Path]:
        """Draws it into a folder; gives the files. `draw` takes several at once."""
        return draw([self], folder)


class Asked(NamedTuple):
    """What rankings are asked for."""

    benchmark: str | Path | None = None
    column: str | None = None
    paths: int | None = None
    seed: int | None = None
    images: int | None = None
    statistics: str | int | None = None
    root: str | None = None
    data: Any = None
    again: bool = False


def rank(
    runs: Run | str | Path | Sequence[Run | str | Path],
    benchmark: str | Path | None = None,
    column: str | None = None,
    paths: int | None = None,
    seed: int | None = None,
    images: int | None = None,
    statistics: str | int | None = None,
    data: Any = None,
    again: bool = False,
    root: str | None = None,
    callbacks: Sequence[Watches] | Watches = (),
) -> Any:
    """Measures how well supernets rank architectures, as `fairdarts rank` does: a Ranking of a run, or a list of them.

    `benchmark` is a file with the truth: that of a benchmark, or any CSV with a `column` of truth; without one the
    architectures are judged, and nothing is measured. At most `paths` of them (200) are drawn by `seed` (0), and judged
    by `images` held-out images (all). `statistics` are what BatchNorms take: tracked, batch, or a number of training
    batches. `root` is the folder of the images where it is no longer that of the runs, `data` are the images of runs
    that were handed theirs. Each ranking is written into its run; `again` reads what was measured before. Raises
    UserError where runs are of different spaces, or were (again) ranked by different architectures.

    >>> ranking = fairdarts.rank("runs/mine", benchmark="nas-bench-macro_cifar10.json")
    >>> ranking.measured["kendall"].value
    >>> pandas.DataFrame([ranking.flat() for ranking in fairdarts.rank(["runs/one", "runs/other"], again=True)])
    """
    asked = Asked(benchmark, column, paths, seed, images, statistics, root, data, again)
    several = [runs] if isinstance(runs, Run | str | Path) else runs
    with distributed.joined():
        check_asked(asked)
        rankings = carry_out([run.path if isinstance(run, Run) else Path(run) for run in several], asked, callbacks)
    return rankings[0] if several is not runs else rankings


def carry_out(runs: Sequence[Path], asked: Asked, callbacks: Sequence[Watches] | Watches) -> list[Ranking]:
    """The rankings of runs, in all processes that share the work."""
    with distributed.together():
        runs = once_each(runs)
        recipes = told_apart(runs)
    watch = Callbacks(callbacks)
    every = [ranked(run, asked, watch) for run in runs]
    every = [ranking | {"recipe": name} for ranking, name in zip(every, recipes, strict=True)]
    with distributed.together():
        _check_alike(every)
    return [Ranking(content) for content in every]


def draw(rankings: Sequence[Ranking], folder: str | Path) -> list[Path]:
    """Draws rankings of the same architectures, side by side; gives the files."""
    return draw_rankings([ranking.content for ranking in rankings], Path(folder))


def check_asked(asked: Asked) -> None:
    """Raises UserError where a value is out of range, or would be without effect."""
    _statistics_of(asked)
    for name in ("paths", "images"):
        if (value := getattr(asked, name)) is not None and not 2 <= value <= MOST:
            raise UserError(f"rank: --{name} {value}: should be at least 2, at most {MOST}")
    for name in ("benchmark", "column", "paths", "seed", "images") if asked.again else ():
        if getattr(asked, name):
            why = "should be left out with --again, which takes what was measured before"
            raise UserError(f"rank: --{name}: {why}")
    if asked.column and not asked.benchmark:
        raise UserError(f"rank: --column {asked.column}: is a column of --benchmark FILE, which is missing")


def once_each(runs: Sequence[Path]) -> list[Path]:
    """Run directories as they were named first. Raises UserError where there are none."""
    if not runs:
        raise UserError("rank: no RUN is named; `fairdarts supernet` makes one")
    first: dict[Path, Path] = {}
    for path in runs:
        first.setdefault(path.resolve(), path)
    return list(first.values())


def told_apart(runs: Sequence[Path]) -> list[str]:
    """The recipes of runs. Raises UserError where runs are of different spaces, before any of them is judged."""
    recipes = report.recipes_told_apart([open_run(path) for path in runs])
    names = [report.open_training(open_run(run))[1].name for run in runs]
    for run, name in zip(runs, names, strict=True):
        if name != names[0]:
            raise UserError(f"rank: {run} is of space {name}, {runs[0]} of {names[0]}: rank them one by one")
    return recipes


def ranked(path: Path, asked: Asked, watch: Callback) -> dict[str, Any]:
    """The ranking of a run: made, and written into it, or (again) read."""
    with distributed.together():
        run = open_run(path)
        settings, space = report.open_training(run)
        statistics = _statistics_of(asked) or report.own_statistics(settings)
        if asked.again:
            return report.read_ranking(run, statistics)
        benchmark = None
        if asked.benchmark:
            benchmark = report.open_benchmark(Path(asked.benchmark), space, asked.column)
            for what, count in benchmark.left_out.items():
                watch.note(f"{asked.benchmark}: left out {count:,} entries {what}")
    if asked.root:
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"root": asked.root})})
    use_threads(settings.threads)
    seed = asked.seed or 0
    paths = report.chosen_paths(space, benchmark, asked.paths or PATHS, seed)
    settings, source = see(settings, asked.data, watch)
    evaluator, facts = report.judge(run, settings, space, source, statistics, asked.images)
    unfinished = "" if facts["epochs"] == settings.epochs else f", after {facts['epochs']} of {settings.epochs} epochs"
    watch.note(f"{path}: judging {len(paths)} architectures by {facts['images']:,} images{unfinished}")
    show(evaluator, facts, watch)
    ranking = report.ranking_of(evaluator, facts, paths, benchmark, seed)
    if distributed.rank() == 0:
        report.write_ranking(run, ranking)
    return ranking


def _statistics_of(asked: Asked) -> Statistics | None:
    """What BatchNorms take. Raises UserError where it is neither a word nor a number of batches."""
    try:
        return None if asked.statistics is None else read_statistics(str(asked.statistics))
    except ValueError as error:
        raise UserError(f"rank: --statistics {error}") from None


def _check_alike(rankings: Sequence[dict[str, Any]]) -> None:
    """Raises UserError where rankings do not say the same of the same architectures."""
    for key in ("benchmark", "column", "images", "paths"):
        for ranking in rankings[1:]:
            if ranking[key] != rankings[0][key]:
                one, other = (f"{run['run']}: {_shown(run[key])}" for run in (rankings[0], ranking))
                raise UserError(f"rank: the runs were ranked by different {key}: {one}; {other}; leave --again out")


def _or_nan(value: Any) -> Any:
    return nan if value is None else value


def _shown(value: Any) -> str:
    return f"{len(value)} of their own" if isinstance(value, list) else str(value)

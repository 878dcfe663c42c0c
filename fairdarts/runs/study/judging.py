"""What are the supernets of a study judged by? Of every space the same architectures, whose truth a file tells."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fairdarts.checking import check
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.ranking.benchmarks import Benchmark
from fairdarts.ranking.report import chosen_paths, judge, open_benchmark, own_statistics, ranking_of, write_ranking
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.data import open_images
from fairdarts.runs.study.form import FactorStudy, SpaceStudy
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.run import SETTINGS, open_run, read_settings
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space

SEED = 0
"""draws the architectures that all runs of a space rank"""


class Truth(NamedTuple):
    """What the supernets of a space are judged by."""

    space: Space
    benchmark: Benchmark
    paths: list[SinglePath]


Truths = Callable[[TrainingSettings], Truth]
"""gives that of the space that a training is in"""


def truths_of(study: FactorStudy, space: SpaceStudy, folder: Path) -> Truths:
    """Gives the truth by which a training of this space is judged, read once for every search space."""
    known: dict[str, Truth] = {}

    def truth(settings: TrainingSettings) -> Truth:
        if settings.space not in known:
            search_space = load_space(settings.space, f"{study.name}: {space.name}: space")
            benchmark = open_benchmark(folder / space.files[0], search_space, space.column)
            paths = chosen_paths(search_space, benchmark, study.architectures, SEED)
            known[settings.space] = Truth(search_space, benchmark, paths)
        return known[settings.space]

    return truth


def score(path: Path, truths: Truths, images: int | None, watch: Callbacks) -> None:
    """Judges a supernet, and leaves its ranking in the run."""
    run = open_run(path)
    settings = check(TrainingSettings, read_settings(path / SETTINGS), path / SETTINGS)
    truth = truths(settings)
    use_threads(settings.threads)
    source = open_images(settings.data, watch)
    evaluator, facts = judge(run, settings, truth.space, source, own_statistics(settings), images)
    watch.note(f"{path.name}: judging {len(truth.paths)} architectures by {facts['images']:,} images")
    write_ranking(run, ranking_of(evaluator, facts, truth.paths, truth.benchmark, SEED))

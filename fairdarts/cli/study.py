"""`fairdarts study`: many runs, those that are done skipped and those that were stopped continued."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fairdarts import resources
from fairdarts.cli.begin import run_until_stopped
from fairdarts.cli.search import finish as finish_search
from fairdarts.cli.supernet import finish as finish_supernet
from fairdarts.cli.train import finish as finish_training
from fairdarts.cli.words import Parser, say
from fairdarts.config import Settings, UserError
from fairdarts.options import Words, words_of
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import KINDS, SEARCH, SUPERNET, TRAIN
from fairdarts.runs.study.asked import Asked, read_asked, verb_of
from fairdarts.runs.study.form import RecipeStudy, read_study
from fairdarts.runs.study.problems import check_settings

if TYPE_CHECKING:
    from fairdarts.runs.result import Run
    from fairdarts.runs.study.results import StudyResult

TRAINED = "--train."
"""what options that are laid over trainings begin with"""


def main(argv: Sequence[str]) -> int:
    epilog = f"studies: {', '.join(resources.names('studies'))}\n\nAny setting of a recipe is an option, for all runs."
    epilog += "\nUnder torchrun each process takes its share of the runs, as do several studies in one folder."
    parser = Parser(
        "study", "Run a list of recipes with several seeds; run again, it goes on where it stopped.", epilog
    )
    parser.add_argument("study", help="a shipped study or a YAML file")
    parser.add_argument("--out", type=Path, help="folder of its runs (default: runs/STUDY)")
    parser.add_argument("--benchmarks", type=Path, metavar="FOLDER", help="of a study with a benchmark: its place")
    parser.add_argument("--only", metavar="SPACE", help="of a study of factors: one of its spaces")
    train_help = "recipe by which the cells of every search are trained; --train.KEY VALUE changes it"
    parser.add_argument("--train", metavar="RECIPE", help=train_help)
    args, rest = parser.parse_known_args(argv)
    searches, trainings = apart(rest)
    settings = words_of(form_of(args.study), searches, parser.options)
    trained = words_of_training(trainings)
    asked = Asked(args.study, args.out, args.benchmarks, args.only, settings, None, args.train, trained)
    check_settings(read_asked(asked), asked)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.study.run import carry_out, refuse_failed

    shown = ProgressBar()

    def finished(run: "Run") -> None:
        shown.run = None  # what goes wrong from here on is not mended by going on with it
        finish(run)

    result, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown), finished), shown)
    if result is None:
        return status
    if result.whole:
        tell(result)
    refuse_failed(result)
    return 0


def form_of(study: str) -> type[Settings]:
    """The settings of a study's runs, or of the first of them that has some."""
    form, _ = read_study(study)
    if not isinstance(form, RecipeStudy):
        return SUPERNET.model
    for run in form.runs:
        with suppress(UserError):  # which `check_settings` raises, together with others
            return KINDS.get(verb_of(run.config), SEARCH).model
    return SEARCH.model


def apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that are for all runs, and those for their trainings, `--train.KEY VALUE`, as `--KEY VALUE`."""
    parts: tuple[list[str], list[str]] = ([], [])
    trained = False
    for word in words:
        if word.startswith("--"):
            trained = word.startswith(TRAINED)
        parts[trained].append(word.replace(TRAINED, "--", 1) if trained else word)
    return parts


def words_of_training(words: Sequence[str]) -> Words:
    """The settings of all trainings that words mean; what is wrong with them is told as it was written."""
    meant = words_of(TRAIN.model, words)
    problems = [problem.replace("command line: --", f"command line: {TRAINED}", 1) for problem in meant.problems]
    places = {key: place.replace("--", TRAINED, 1) for key, place in meant.places.items()}
    return Words(meant, problems, places)


def finish(run: "Run") -> None:
    """What the verb of a run draws and says at its end."""
    {"search": finish_search, "supernet": finish_supernet, "train": finish_training}[run.verb](run)


def tell(result: "StudyResult") -> None:
    """The tables of a study with a benchmark; of other searches those of their trained cells and their report, of
    supernets how they are ranked."""
    if result.concluded and result.concluded.page:
        from fairdarts.cli.study_show import show

        show(result.concluded)
    elif all(run.verb != "supernet" for run in result.runs):
        if result.trained:
            from fairdarts.cli.study_show import show_trained

            show_trained(result.trained)
        print(result.report())
    else:
        say(f"rank them with: fairdarts rank {result.folder}/* --benchmark FILE --out figures")

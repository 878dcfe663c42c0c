"""Which settings say the images that a trained network is judged on: a recipe's or its run's. It loads no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.data.settings import DataSettings
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.reading import read_yaml
from fairdarts.runs.recipe import Recipe, content_of, laid_over, over
from fairdarts.runs.request import words_for
from fairdarts.runtime.run import RunDirectory, open_run, read_settings
from fairdarts.segmentation.settings import JudgeSettings, Photographs

Split = Literal["test", "held-out", "train"]
"""which of the images of a training"""


ALONE = {"kind": "fake", "batch_size": 64, "workers": 0, "train_portion": 1, "cutout": 0}
"""how images are served that are handed over to a model without a run"""


class EvaluateSettings(Settings):
    """What an evaluation reads of a recipe, or of a run's settings."""

    data: DataSettings
    """the images"""


class ExportSettings(EvaluateSettings):
    """What an export reads of them that makes an int8 file."""

    network: NetworkSettings = AS_NAMED
    """how the network of a genotype is built"""


class Began(NamedTuple):
    """What the run of a model began with."""

    seed: int
    """decides which images are held out"""
    data: dict[str, Any]
    """its settings of the images"""
    run: RunDirectory | None
    """the run itself; None where a recipe says the images"""

    def names(self, data: DataSettings) -> bool:
        """Whether these settings name its images; those of a recipe are taken at their word, but not those that are
        handed over."""
        return data.kind != "given" and (
            self.run is None or all(self.data.get(key) == getattr(data, key, None) for key in ("kind", "root"))
        )


def read_data(
    model: Path,
    recipe: Recipe | None,
    data: Any,
    settings: Mapping[str, Any],
    form: type[EvaluateSettings] = EvaluateSettings,
    verb: str = "evaluate",
    known: bool = False,
) -> tuple[EvaluateSettings, Began]:
    """Settings of the images, from a recipe, from the model's run, or for `data` that are handed over; and what that
    run began with. The model is a run or a file, or `known` by its name."""
    of_run = model / "settings.yaml" if model.is_dir() else model.parent.parent / "settings.yaml"
    handed = over(settings, words_for(data))
    if not known and not model.exists():
        raise UserError(f"{verb}: {model}: no such run or file")
    if recipe is None and (known or not of_run.is_file()):
        if data is not None:
            return laid_over(form, {"data": ALONE}, "data", handed), Began(0, {}, None)
        raise UserError(f"{verb}: {model}: says no images: name them with --config RECIPE --data.root FOLDER")
    content, place = ({}, str(of_run)) if recipe is None else content_of(recipe)
    if own := place == str(of_run):
        content = read_settings(of_run)
        if RunDirectory(of_run.parent).verb == "segment":
            raise UserError(f"{model}: is a run of `fairdarts segment`: fairdarts segment --judge measures it")
    if "data" not in content:
        raise UserError(f"{place}: data: is missing: it should say the images")
    asked = laid_over(form, {"data": content["data"]}, place, handed)
    return asked, Began(int(content.get("seed", 0)), content["data"], open_run(of_run.parent) if own else None)


def run_of(model: Path) -> Path:
    """The run that a segmentation network is of, which is named by the run itself or by one of its checkpoints."""
    return model.resolve().parent.parent if model.is_file() else model


def photographs_of(run: Path, settings: Mapping[str, Any]) -> tuple[Photographs, JudgeSettings]:
    """The images of a run, and what other settings make of its own."""
    path = run / "settings.yaml"
    if not path.is_file():
        raise UserError(f"{run}: not a run directory: it has no settings.yaml; --judge names a run, or its checkpoint")
    if (verb := RunDirectory(run).verb) != "segment":
        raise UserError(f"{run}: is a run of `fairdarts {verb}`, and none of `fairdarts segment`")
    content = read_yaml(path)
    content = {key: content[key] for key in JudgeSettings.model_fields if key in content}
    return check(JudgeSettings, content, path).data, laid_over(JudgeSettings, content, path, settings)

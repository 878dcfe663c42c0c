"""A trained segmentation network: how it is built, and how it is read from a run."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import Field, ValidationError

from fairdarts.checking import first_problem
from fairdarts.config import Settings, UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.deeplab import DeepLab, DeepLabSettings, build_deeplab
from fairdarts.networks.foreign import read_file
from fairdarts.networks.published import SEGMENTER
from fairdarts.runtime import checkpoint
from fairdarts.runtime.finite import check_finite
from fairdarts.runtime.run import RunDirectory
from fairdarts.spaces.space import Space, check_genotype


class SegmenterBlueprint(Settings):
    """A segmentation network without its weights."""

    genotype: Genotype
    """the architecture of its encoder"""
    space: Space
    """the space that is of"""
    network: NetworkSettings = NetworkSettings()
    """how the encoder is built"""
    deeplab: DeepLabSettings
    """what stands on it"""
    classes: tuple[str, ...] = Field(min_length=2)
    """names of the classes, in the order of the logits"""
    mean: tuple[float, ...]
    """of the images, per channel, in [0, 1]"""
    std: tuple[float, ...]
    """likewise, the standard deviation"""


class Segmenter(NamedTuple):
    """A segmentation network that can be used."""

    network: DeepLab
    """in evaluation mode: images [B, 3, H, W], normalized → logits [B, classes, H, W]"""
    blueprint: SegmenterBlueprint
    about: dict[str, Any]
    """what is known of its weights, as plain JSON: recipe, seed, metrics, versions, …"""


def assemble_segmenter(blueprint: SegmenterBlueprint) -> DeepLab:
    """The network of a blueprint, with fresh weights."""
    settings, sizes = (blueprint.network, blueprint.deeplab), (len(blueprint.classes), len(blueprint.mean))
    return build_deeplab(blueprint.genotype, blueprint.space, *settings, *sizes)


def open_segmenter(path: str | Path) -> Segmenter:
    """The model of a run of `fairdarts segment`, as of its last epoch, or of one of its checkpoints.

    It has the averaged weights where there are any. Raises UserError naming the file where there is none.
    """
    path = Path(path)
    file = RunDirectory(path).last if path.is_dir() else path
    state = checkpoint.load(file)
    if SEGMENTER not in state:
        raise UserError(f"{path}: no segmentation network; should be a run of `fairdarts segment`, or its checkpoint")
    try:
        blueprint = SegmenterBlueprint.model_validate_json(state[SEGMENTER])
        about = dict(json.loads(state["about"]))
    except ValidationError as error:
        raise UserError(f"{file}: {first_problem(error, SEGMENTER)}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise UserError(f"{file}: about: should be a JSON object") from None
    check_genotype(blueprint.genotype, blueprint.space, f"{file}: {SEGMENTER}.genotype")
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
        network = assemble_segmenter(blueprint)
    try:
        weights = state.get("ema") or state["network"]
        network.load_state_dict(weights)
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{file}: its weights are not the network's: {str(error).splitlines()[-1].strip()}") from None
    check_finite(weights, file)
    return Segmenter(network.eval(), blueprint, about)


def is_segmenter(path: Path) -> bool:
    """Whether a run or checkpoint is of a segmentation network. Raises BadState where a checkpoint cannot be read."""
    file = RunDirectory(path).last if path.is_dir() else path
    return file.is_file() and file.suffix == ".pt" and SEGMENTER in read_file(file)

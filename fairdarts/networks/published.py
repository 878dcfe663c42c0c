"""A model as people hand it on: weights, the blueprint of their network, and what is known of them, in one file."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, get_args

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from fairdarts import own
from fairdarts.checking import first_problem
from fairdarts.config import UserError, nearest
from fairdarts.networks import models
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.blueprint import AS_NAMED, Blueprint, assemble
from fairdarts.networks.foreign import Weights, read_file, tensors_in
from fairdarts.networks.models import STATISTICS, find
from fairdarts.networks.settings import NetworkSettings, check_size
from fairdarts.networks.sizes import sizes
from fairdarts.networks.tensors import read_tensors, write_tensors
from fairdarts.reading import read_text
from fairdarts.runtime import checkpoint
from fairdarts.runtime.finite import check_finite
from fairdarts.runtime.run import SETTINGS, RunDirectory
from fairdarts.runtime.shape import sides
from fairdarts.spaces.space import check_genotype

AUXILIARY = "auxiliary."
"""what the weights of the auxiliary head begin with; it is of use in training alone"""

SEGMENTER = "segmenter"
"""under which key a checkpoint holds the blueprint of a segmentation network, which is none of ours"""

BATCH = 16
"""random images from which a network with random weights gets its BatchNorm statistics"""


class TrainedModel(NamedTuple):
    """A network that can be used."""

    network: nn.Module
    """in evaluation mode, without auxiliary head"""
    blueprint: Blueprint
    """how it is built, and for which images"""
    about: dict[str, Any]
    """what is known of its weights, as plain JSON: recipe, seed, metrics, versions, …"""


def load(
    path: str | Path,
    weights: Weights = "auto",
    genotype: str | None = None,
    network: NetworkSettings = AS_NAMED,
    classes: int | None = None,
) -> nn.Module:
    """The network of `open_model`: images [B, C, H, W], normalized → logits [B, classes].

    >>> network = fairdarts.load("exported/fairdarts-a.safetensors")
    """
    return open_model(path, weights, genotype, network, classes).network


def open_model(
    path: str | Path,
    weights: Weights = "auto",
    genotype: str | None = None,
    network: NetworkSettings = AS_NAMED,
    classes: int | None = None,
) -> TrainedModel:
    """The model of a training run (the epoch that held-out images chose, else the last), a checkpoint, or .safetensors.

    `auto` takes the averaged weights where there are any. A file of others, such as the papers' authors, does not say
    how its network is built: there, and only there, `genotype` is asked, and `network` and `classes` say the rest.
    Nothing that a file holds is executed.
    Raises UserError naming the file and the key where it is damaged, foreign, or its tensors are not the network's.
    """
    path = Path(path)
    if weights not in get_args(Weights):
        raise UserError(f"weights: '{weights}': should be one of {', '.join(get_args(Weights))}")
    if path.suffix == ".safetensors" and not path.is_dir():
        return _read_published(path, weights)
    if path.is_dir():
        own.check_parts(path)
    elif path.parent.name == "checkpoints":
        own.check_parts(path.parent.parent)
    file = _checkpoint_of(path) if path.is_dir() else path
    state = read_file(file)
    if SEGMENTER in state:
        raise UserError(f"{file}: is a segmentation network, for `fairdarts segment` to judge and to use")
    if "blueprint" not in state:
        if path.is_dir():
            raise _untrained(path)
        if genotype is None:
            why = "if others wrote it, say which genotype it is of (--genotype NAME)"
            raise UserError(f"{file}: not a trained network of fairdarts; {why}")
        return _of_others(file, weights, genotype, network, classes)
    blueprint, about = _read_blueprint(state["blueprint"], file), _read_about(state.get("about"), file)
    kind = weights if weights != "auto" else "raw" if state.get("ema") is None else "ema"
    tensors = state.get("ema" if kind == "ema" else "network")
    if not isinstance(tensors, dict):
        raise UserError(f"{file}: weights: it has no {kind} weights")
    about |= {"file": file.name, "weights": kind}
    if path.is_dir() and weights == "auto":
        about |= _results(path, file.stem, about)
    return TrainedModel(_filled(blueprint, tensors, file), blueprint, about)


def save_model(path: Path, model: TrainedModel) -> None:
    """Write a model as one .safetensors file, atomically; blueprint and about stand in its metadata."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.network.state_dict().items()}
    metadata = {
        "format": "pt",
        "fairdarts": model.blueprint.model_dump_json(by_alias=True),
        "about": json.dumps(model.about, ensure_ascii=False),
    }
    if parts := own.own_parts(model.blueprint.network, model.blueprint.space):
        metadata["parts"] = own.to_text(parts)
    write_tensors(path, tensors, metadata)


def random_model(
    name: models.Named,
    network: NetworkSettings = AS_NAMED,
    classes: int | None = None,
    image: int | tuple[int, int] | None = None,
) -> TrainedModel:
    """A model by name, or of a genotype's file or a search run, with random weights, which are always the same.

    Its BatchNorm statistics are those of a batch of random images: without them the signal dies out on its way, and
    the logits are the same for every image.
    """
    blueprint = blueprint_of(name, network, classes, image)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)  # that of the CPU alone, which is put back
        built = assemble(blueprint)
        momenta = {norm: norm.momentum for norm in built.modules() if isinstance(norm, nn.BatchNorm2d)}
        for norm in momenta:
            norm.momentum = 1.0
        built.train()(torch.randn(BATCH, len(blueprint.mean), *sides(blueprint.image)))
        for norm, momentum in momenta.items():
            norm.momentum = momentum
    return TrainedModel(_described(built.eval(), blueprint), blueprint, {"weights": "random"})


def blueprint_of(
    name: models.Named, network: NetworkSettings, classes: int | None = None, image: int | tuple[int, int] | None = None
) -> Blueprint:
    """The blueprint of what `find` knows by a name, for images and classes of its size, which have numbers for names.

    Settings other than the default ones take the place of those that the name says.
    """
    check_size(classes, image)
    model = find(name)
    if network != AS_NAMED:
        model = model._replace(network=network)
    if model.size not in sizes(model.space):
        known = ", ".join(sizes(model.space))
        raise UserError(f"{models.name_of(name)}: space {model.space.name} has no {model.size} network, only {known}")
    size, (mean, std) = getattr(model.space.networks, model.size), STATISTICS[model.size]
    names = tuple(map(str, range(classes or size.classes)))
    return Blueprint(**model._asdict(), classes=names, image=image or size.image, mean=mean, std=std)


def _of_others(path: Path, weights: Weights, name: str, network: NetworkSettings, classes: int | None) -> TrainedModel:
    # The only one to need what these import.
    from fairdarts.networks.released import classes_in, fill_released

    tensors, kind = tensors_in(path, weights)
    blueprint = blueprint_of(name, network, classes or classes_in(tensors))
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
        built = assemble(blueprint)
    layout = fill_released(built, tensors, name, path)
    check_finite(built.state_dict(), path)
    about = {"source": f"a file in the layout of {layout}", "file": path.name, "weights": kind}
    return TrainedModel(_described(built.eval(), blueprint), blueprint, about)


def _read_published(path: Path, weights: Weights) -> TrainedModel:
    tensors, metadata = read_tensors(path)
    if "fairdarts" not in metadata:
        raise UserError(f"{path}: fairdarts: is missing in its metadata: not a model that fairdarts wrote")
    if "parts" in metadata:
        own.check_known(own.from_text(metadata["parts"], f"{path}: parts"), path)
    blueprint, about = _read_blueprint(metadata["fairdarts"], path), _read_about(metadata.get("about"), path)
    if weights not in ("auto", about.get("weights")):
        raise UserError(f"{path}: weights: it has no {weights} weights, only those that it was written with")
    return TrainedModel(_filled(blueprint, tensors, path), blueprint, about)


def _checkpoint_of(run: Path) -> Path:
    if not (run / SETTINGS).is_file():
        raise UserError(f"{run}: not a run directory: it has no {SETTINGS}")
    best, last = RunDirectory(run).best, RunDirectory(run).last
    # A best epoch that the test set chose is no result: what it says of that set is too good.
    if best.is_file() and _read_about(checkpoint.load(best).get("about"), best).get("judged_on") == "held-out":
        return best
    for file in (last, best):
        if file.is_file():
            return file
    raise _untrained(run)


def _untrained(run: Path) -> UserError:
    genotype = run if (run / "genotypes" / "final.yaml").is_file() else "GENOTYPE"
    return UserError(f"{run}: holds no trained network; train one first: fairdarts train {genotype}")


def _results(run: Path, which: str, about: dict[str, Any]) -> dict[str, Any]:
    """What a finished training says of these weights in its results.json, as {"results": …}."""
    with suppress(UserError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        results = json.loads(read_text(run / "results.json"))
        if results[which]["epoch"] == about["epoch"]:
            chosen = {"best_by": results["best_by"]} if which == "best" else {}
            return {"results": {key: results[key] for key in ("on", "images")} | chosen | results[which]}
    return {}


def _read_blueprint(text: Any, place: Path) -> Blueprint:
    try:
        blueprint = Blueprint.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{place}: {first_problem(error, 'blueprint')}") from None
    check_genotype(blueprint.genotype, blueprint.space, f"{place}: blueprint.genotype")
    return blueprint


def _read_about(text: Any, place: Path) -> dict[str, Any]:
    with suppress(ValueError, TypeError, RecursionError):
        if isinstance(about := json.loads(text or "{}"), dict):
            return about
    raise UserError(f"{place}: about: should be a JSON object")


def _filled(blueprint: Blueprint, tensors: Mapping[str, Any], place: Path) -> nn.Module:
    """The network of a blueprint with these tensors as its weights. Raises UserError unless they are all of them."""
    with torch.device("meta"):  # of a file that does not fit nothing is computed, and no random number drawn
        network = assemble(blueprint)
    weights = network.state_dict()
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(AUXILIARY)}
    for name in weights:
        if name not in tensors:
            raise UserError(f"{place}: {name}: is missing")
    for name, tensor in tensors.items():
        if name not in weights:
            raise UserError(f"{place}: {name}: is no weight of {blueprint.genotype.name}{nearest(name, weights)}")
        if not isinstance(tensor, Tensor) or _form(tensor) != _form(weights[name]):
            given = _form(tensor) if isinstance(tensor, Tensor) else type(tensor).__name__
            raise UserError(f"{place}: {name}: is {given}, should be {_form(weights[name])}")
    check_finite(tensors, place)
    # Copies: those of a .safetensors file lie in the file itself, and strides of channels_last choose other kernels.
    copies = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    network.load_state_dict(copies, assign=True)
    return _described(network.eval(), blueprint)


def _described(network: nn.Module, blueprint: Blueprint) -> nn.Module:
    """The network itself; where it is a backbone, its `default_cfg` says for which images and classes it is."""
    if isinstance(network, Backbone):
        stride, image = network.feature_info[-1]["reduction"], sides(blueprint.image)
        network.default_cfg = network.pretrained_cfg = {
            **models.Model(blueprint.genotype, blueprint.space, blueprint.network).default_cfg,
            "num_classes": len(blueprint.classes),
            "input_size": (len(blueprint.mean), *image),
            "pool_size": tuple(-(-side // stride) for side in image),
            "mean": blueprint.mean,
            "std": blueprint.std,
        }
    return network


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"

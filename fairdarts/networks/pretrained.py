"""Weights of a file put into a network that gives features: those of a classifier, or of what was built around it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.blueprint import AS_NAMED, NetworkSettings
from fairdarts.networks.foreign import first_names, read_file, tensors_in
from fairdarts.networks.published import open_model
from fairdarts.networks.released import LAYOUTS
from fairdarts.networks.tensors import read_tensors
from fairdarts.runtime.finite import check_finite


class _Ignored:
    """In the place of anything that has no weights: it takes what it is given, and keeps nothing."""

    def __init__(self, *given: object):
        pass

    def __setstate__(self, given: object) -> None:
        pass


_IN_LOGS = ("mmengine.logging.history_buffer.HistoryBuffer", "builtins.getattr", "builtins.slice", "numpy.ndarray")
_ARRAYS = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")  # before numpy 2, and since
MMENGINE = [(_Ignored, name) for name in (*_IN_LOGS, *_ARRAYS)]
"""what a checkpoint of mmengine's Runner holds beside what other files hold: the history of its losses"""


def load_backbone(
    network: Backbone,
    path: str | Path,
    genotype: Genotype,
    name: str | None = None,
    settings: NetworkSettings = AS_NAMED,
) -> None:
    """Puts the weights of a file into a network of `genotype` that may be cut off, in place.

    The file is one that `open_model` reads, a training run's directory included, and an authors' file where `name` says
    which model it is of; or a state dict as `foreign.tensors_in` finds it, whose names may have any prefix, such as a
    detector's `backbone.features.model.`. What the network lacks is left out: a classifier, or the layers behind the
    cut. Nothing that a file holds is executed.
    Raises UserError, and leaves the network as it was, where the file is of another genotype or activation, or a tensor
    of the network is missing or misshapen.
    """
    path = Path(path)
    if _says_what_it_is(path):
        model = open_model(path)
        check_same(model.blueprint.genotype, model.blueprint.network, genotype, settings, path)
        tensors = model.network.state_dict()
    else:
        published = path.suffix == ".safetensors"
        tensors = read_tensors(path)[0] if published else tensors_in(path, allowed=MMENGINE)[0]
        layout = next((kind for kind, layout in LAYOUTS.items() if layout.fits(tensors)), None)
        if layout and name is None:
            way = f"fairdarts export {path} --genotype NAME --format safetensors"
            known = "which only the name of a model, without other settings, can tell"
            raise UserError(f"{path}: is an authors' file, in the layout of {layout}, {known}; else rewrite it: {way}")
        if layout:
            tensors = open_model(path, genotype=name, network=settings).network.state_dict()
    check_finite(tensors, path)
    _fill(network, tensors, genotype.name, path)


def _says_what_it_is(path: Path) -> bool:
    """Whether a blueprint stands in it; so too of what cannot be read, of which `open_model` says why."""
    if path.is_dir():
        return True
    if path.suffix == ".safetensors":
        with suppress(UserError):
            return "fairdarts" in read_tensors(path)[1]
        return True
    return "blueprint" in read_file(path, MMENGINE)


def _architecture(genotype: Genotype) -> dict:
    return genotype.model_dump(exclude={"schema_version", "name", "space", "source", "notes"})


def check_same(
    of_file: Genotype, built: NetworkSettings, genotype: Genotype, settings: NetworkSettings, path: Path
) -> None:
    """Raises UserError where a file's network, `of_file` built as `built` says, is another than that of `genotype`: the
    shapes of its tensors need not show it."""
    if _architecture(of_file) != _architecture(genotype):
        raise UserError(f"{path}: is of {of_file.name}, another genotype than {genotype.name}")
    for key in ("activation", "outer_activation"):
        theirs, ours = (getattr(network, key) or network.activation for network in (built, settings))
        if theirs != ours:
            raise UserError(f"{path}: network.{key}: is {theirs}, but that of this {genotype.name} is {ours}")


def _fill(network: Backbone, tensors: Mapping[str, Tensor], name: str, path: Path) -> None:
    """Copies the tensors that are the network's, whatever stands before their names."""
    weights = network.state_dict()
    first = next(iter(weights))
    prefixes = [key.removesuffix(first) for key in tensors if f".{key}".endswith(f".{first}")]
    if not prefixes:
        holds = f"but its tensors are called {first_names(tensors)}"
        raise UserError(f"{path}: has no weights of {name}: looked for {first} behind any prefix, {holds}")
    if len(prefixes) > 1:
        raise UserError(f"{path}: has weights of several networks, behind {' and '.join(map(repr, prefixes))}")
    theirs = {key.removeprefix(prefixes[0]): tensor for key, tensor in tensors.items() if key.startswith(prefixes[0])}
    for key, tensor in weights.items():
        there = prefixes[0] + key
        if key not in theirs and key.endswith(".num_batches_tracked"):
            theirs[key] = tensor  # which torch counts since 0.4.1, and nothing depends on
        if key not in theirs:
            raise UserError(f"{path}: {there}: is missing, but {name} needs {[*tensor.shape]}")
        if theirs[key].shape != tensor.shape:
            raise UserError(f"{path}: {there}: shape {[*theirs[key].shape]}, but {name} needs {[*tensor.shape]}")
    kept = tuple(f"{point.module}." for point in network.points[: network.feature_points[-1] + 1])
    for key in theirs:
        if key not in weights and key.startswith(kept):
            raise UserError(f"{path}: {prefixes[0]}{key}: has no place in {name}: is it another genotype or size?")
    network.load_state_dict({key: theirs[key] for key in weights})

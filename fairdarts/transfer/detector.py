"""A detector of MMDetection around a genotype's network, as the text of its config. mmdet is not needed for it."""

import json
import textwrap
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import Genotype
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.blueprint import Blueprint, NetworkSettings, build_backbone
from fairdarts.networks.features import Features
from fairdarts.networks.models import models
from fairdarts.networks.pretrained import load_backbone
from fairdarts.runtime.shape import size_text
from fairdarts.spaces.space import Space, load_space
from fairdarts.transfer.settings import PREFIX, DetectorSettings

WIDTH = 120
"""characters in a line of a config"""

COCO = "annotations/instances_val2017.json"
"""where mmdet's data sets have their truth, within their folder"""


class DetectorOptions(NamedTuple):
    """What a user decides of a config."""

    pretrained: str | None = None
    """weights of the backbone: a file or a training run"""
    data_root: str | None = None
    """folder of COCO; mmdet's own where it is None"""
    cpu: bool = False
    """whether it shall run on the CPU without mmcv's compiled operations"""


def levels_of(network: Backbone, strides: Sequence[int], name: str) -> list[int]:
    """The levels of these strides. Raises UserError where the network has none; `name` is what it calls the network."""
    there = [level["reduction"] for level in network.feature_info]
    if not set(strides) <= set(there):
        has, needs = (", ".join(map(str, numbers)) for numbers in (there, strides))
        hint = "; should be built in the size imagenet" if there[0] == 1 else ""  # only stems of small images keep it
        raise UserError(f"{name}: has features of strides {has}, but {needs} are needed{hint}")
    return [there.index(stride) for stride in strides]


def config_text(blueprint: Blueprint, detector: DetectorSettings, choices: DetectorOptions) -> str:
    """The config of a detector whose backbone is the network of a blueprint.

    Raises UserError where that cannot be a backbone, or `pretrained` has not its weights.
    """
    name, network = blueprint.genotype.name, blueprint.network
    if len(blueprint.mean) != 3:
        raise UserError(f"{name}: is for images of {len(blueprint.mean)} channels, but detectors see images of 3")
    with torch.device("meta"):
        built = build_backbone(blueprint.genotype, blueprint.space, network)
        levels = levels_of(built, detector.strides, name)
        features = Features(built, levels)
    described = _described(blueprint.genotype, blueprint.space, network)
    backbone = {"_delete_": True, "type": "FairDARTSBackbone"} | described | {"out_indices": levels}
    if choices.pretrained:
        trained = build_backbone(blueprint.genotype, blueprint.space, network)
        trained.prune_intermediate_layers(levels, prune_norm=True)
        load_backbone(trained, choices.pretrained, blueprint.genotype, described.get("name"), network)
        (frozen,) = levels_of(built, [detector.frozen_stride], name)
        backbone |= {"frozen_stages": frozen, "norm_eval": detector.norm_eval, "pretrained": choices.pretrained}
    model = {
        "data_preprocessor": {
            "bgr_to_rgb": True,  # a base may have weights that were trained otherwise
            "mean": [round(255 * value, 3) for value in blueprint.mean],
            "std": [round(255 * value, 3) for value in blueprint.std],
        },
        "backbone": backbone,
        "neck": {"in_channels": features.feature_info.channels()},
    }
    config = laid_over({"model": model}, detector.config)
    if choices.cpu:
        config = laid_over(config, detector.cpu)
    if choices.data_root:
        config = laid_over(config, _data(choices.data_root.rstrip("/")))
    stand_in = ["fairdarts.transfer.mmcv_ops"] if choices.cpu else []
    imports = {"imports": [*stand_in, "fairdarts.transfer.mmdet"], "allow_failed_imports": False}
    keys = {"_base_": detector.base, "custom_imports": imports} | config
    about = _head({"name": name} | described, blueprint, detector, choices, features)
    wrap = partial(textwrap.wrap, width=WIDTH, initial_indent="# ", subsequent_indent="#   ")
    head = [line for text in about for line in wrap(" ".join(text.split()))]
    return "\n".join([*head, *(f"{key} = {python_text(value, len(key) + 3)}" for key, value in keys.items()), ""])


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings over mappings, as mmdet's configs inherit; anything else takes the place of what was there."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = laid_over(below[key], value) if both else value
    return merged


def python_text(value: Any, column: int = 0, indent: str = "") -> str:
    """A value as Python code that begins at a column: in one line where it fits, else an item a line."""
    flat = _flat(value)
    if not value or not isinstance(value, dict | list) or column + len(flat) < WIDTH:
        return flat
    inner = f"{indent}    "
    named = isinstance(value, dict)
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    items = [(f"{_flat(key)}: " if named else "", item) for key, item in pairs]
    lines = [f"{inner}{start}{python_text(item, len(inner + start), inner)}," for start, item in items]
    opening, closing = "{}" if named else "[]"
    return "\n".join([opening, *lines, indent + closing])


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, str):  # mmengine reads {{…}} as a variable
        return json.dumps(value, ensure_ascii=False).replace("{{", "{\\u007b")
    return repr(value)


def _described(genotype: Genotype, space: Space, network: NetworkSettings) -> dict[str, Any]:
    """What the backbone is told of its network: a model's name, or all of it."""
    network = network.model_copy(update={"dropout": None})  # it is behind the features
    for name, model in models().items():
        if (model.genotype, model.space, model.network) == (genotype, space, network):
            return {"name": name}
    described: dict[str, Any] = {"genotype": genotype.model_dump(mode="json", by_alias=True, exclude={"notes"})}
    if genotype.space not in resources.names("search_spaces") or load_space(genotype.space) != space:
        described["space"] = space.model_dump(mode="json", by_alias=True)
    if settings := network.model_dump(mode="json", exclude_defaults=True):
        described["network"] = settings
    return described


def _data(root: str) -> dict[str, Any]:
    # As text: it need not be a path, but may be what mmengine reads through another backend (s3://…).
    loaders = {f"{part}_dataloader": {"dataset": {"data_root": f"{root}/"}} for part in ("train", "val", "test")}
    return loaders | {f"{part}_evaluator": {"ann_file": f"{root}/{COCO}"} for part in ("val", "test")}


def _head(
    described: dict[str, Any],
    blueprint: Blueprint,
    detector: DetectorSettings,
    choices: DetectorOptions,
    features: Features,
) -> Iterator[str]:
    """What the config is, for people: a paragraph a text."""
    info, cost, size = features.feature_info, count(features, image=blueprint.image), blueprint.image
    yield f"{detector.name.removeprefix(PREFIX)} with the backbone {described['name']}: a config of MMDetection."
    yield f"The backbone's source: {blueprint.genotype.source}."
    if "network" in described:
        yield f"It is built with {', '.join(f'{key} {value}' for key, value in described['network'].items())}."
    params, madds = f"{cost.params / 1e6:.2f} M parameters", f"{cost.madds / 1e6:.1f} M multiply-adds"
    yield f"It has {params}; {size_text(size)} pixels take {madds}."
    maps = ", ".join(f"{c} channels at stride {s}" for c, s in zip(info.channels(), info.reduction(), strict=True))
    yield f"Its feature maps: {maps}."
    yield f"The detector's source: {detector.source}."
    yield from detector.deviations
    if choices.pretrained:
        yield "The levels up to frozen_stages, counted as in out_indices, and all before them are not trained."
    else:
        yield "Its backbone begins with random weights, so nothing of it is frozen and its BatchNorms are trained."
    if choices.cpu:
        yield "fairdarts.transfer.mmcv_ops stands in for operations that mmcv has not compiled; on the CPU alone."

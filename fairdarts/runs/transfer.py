"""A genotype as part of another program's experiment: that program's config, as text."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts import resources
from fairdarts.config import UserError, nearest
from fairdarts.networks.blueprint import AS_NAMED, Blueprint, NetworkSettings
from fairdarts.networks.models import Named, find, name_of
from fairdarts.networks.published import blueprint_of, open_model
from fairdarts.networks.settings import NetworkOptions
from fairdarts.networks.sizes import for_large_images
from fairdarts.runs.recipe import detectors, laid_over, settings_of
from fairdarts.runtime.run import SETTINGS, RunDirectory
from fairdarts.transfer.detector import DetectorOptions, config_text
from fairdarts.transfer.settings import PREFIX, DetectorSettings


def mmdet_config(
    genotype: Named,
    detector: str = "retinanet",
    pretrained: str | Path | None = None,
    data_root: str | Path | None = None,
    cpu: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """The config of an MMDetection detector with a genotype as backbone, as `fairdarts transfer mmdet` writes it.

    `genotype` is a model's name, a file or a search run; or a training run or its .safetensors file, whose weights are
    then pretrained. `detector` is a shipped one or a YAML file, `pretrained` other weights of the backbone. `data_root`
    is COCO's folder, mmdet's own where it is None; `cpu` does without mmcv's compiled operations. `settings` of the
    network go by dotted key, `{"network.se_ratio": 0.5}`. mmdet is not needed. Raises UserError.

    >>> Path("config.py").write_text(fairdarts.mmdet_config("fairnas-a"))
    """
    made, _ = settings_of(DetectorSettings, _detector_file(detector), {})
    network = laid_over(NetworkOptions, {}, "command line", settings or {}).network
    blueprint, own = _read_blueprint(genotype, network)
    weights = pretrained or own
    # Absolute, as the training may be begun in another folder.
    absolute, root = (str(Path(weights).resolve()) if weights else None), (str(data_root) if data_root else None)
    return config_text(blueprint, made, DetectorOptions(absolute, root, cpu))


def has_weights(word: str) -> bool:
    """Whether a word names a trained network, and no genotype."""
    path = Path(word)
    return path.suffix == ".safetensors" or ((path / SETTINGS).is_file() and RunDirectory(path).verb == "train")


def _detector_file(word: str) -> Path:
    """The recipe of a shipped detector, or a YAML file. Raises UserError where there is neither."""
    shipped: Sequence[str] = detectors()
    if word in shipped:
        return resources.find("recipes", f"{PREFIX}{word}")
    if not Path(word).is_file():
        raise UserError(f"transfer: --detector {word}: neither a file nor a shipped detector{nearest(word, shipped)}")
    return Path(word)


def _read_blueprint(named: Named, network: NetworkSettings) -> tuple[Blueprint, str | None]:
    """The network that a word names, and where its weights are, if it has any."""
    word = name_of(named)
    if isinstance(named, str | os.PathLike) and has_weights(word):
        if network != AS_NAMED:
            raise UserError(f"transfer: {word} says itself how it is built: --network.… do not apply")
        return open_model(word).blueprint, word
    model = find(named)
    settings = model.network if network == AS_NAMED else network
    return blueprint_of(named, for_large_images(settings, model.space)), None

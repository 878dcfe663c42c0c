"""fairdarts: differentiable and fair one-shot neural architecture search in PyTorch.

The names in `__all__` are the library's front door; docs/python.md shows them at work. Each is imported where it is
first used, so that `import fairdarts` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from fairdarts.hook import install

if TYPE_CHECKING:  # for type checkers and editors; what runs is _LAZY
    from fairdarts.config import Notice as Notice
    from fairdarts.config import UserError as UserError
    from fairdarts.networks.create import create_model as create_model
    from fairdarts.networks.models import model_names as model_names
    from fairdarts.networks.published import load as load
    from fairdarts.plugins import load_plugin as load_plugin
    from fairdarts.plugins import register_activation as register_activation
    from fairdarts.plugins import register_derivation as register_derivation
    from fairdarts.plugins import register_loss as register_loss
    from fairdarts.plugins import register_operation as register_operation
    from fairdarts.plugins import register_penalty as register_penalty
    from fairdarts.plugins import register_relaxation as register_relaxation
    from fairdarts.plugins import register_sampler as register_sampler
    from fairdarts.plugins import register_schedule as register_schedule
    from fairdarts.plugins import register_space as register_space
    from fairdarts.runs.analyse import analyse as analyse
    from fairdarts.runs.bench import bench as bench
    from fairdarts.runs.callbacks import Callback as Callback
    from fairdarts.runs.compare import compare as compare
    from fairdarts.runs.derive import derive as derive
    from fairdarts.runs.derive import derive_from as derive_from
    from fairdarts.runs.derive_front import derive_front as derive_front
    from fairdarts.runs.draw import draw as draw
    from fairdarts.runs.evaluate import evaluate as evaluate
    from fairdarts.runs.evolve import evolve as evolve
    from fairdarts.runs.export import export as export
    from fairdarts.runs.fit.run import fit as fit
    from fairdarts.runs.genotype import load_genotype as load_genotype
    from fairdarts.runs.predict import predict as predict
    from fairdarts.runs.progress import ProgressBar as ProgressBar
    from fairdarts.runs.rank import rank as rank
    from fairdarts.runs.report import report as report
    from fairdarts.runs.result import Run as Run
    from fairdarts.runs.result import open_run as open_run
    from fairdarts.runs.search import search as search
    from fairdarts.runs.segment import count_segmenter as count_segmenter
    from fairdarts.runs.segment import segment as segment
    from fairdarts.runs.segmenter import judge_segmenter as judge_segmenter
    from fairdarts.runs.segmenter import predict_masks as predict_masks
    from fairdarts.runs.study.run import study as study
    from fairdarts.runs.supernet import train_supernet as train_supernet
    from fairdarts.runs.trackers import mlflow as mlflow
    from fairdarts.runs.trackers import wandb as wandb
    from fairdarts.runs.train import train as train
    from fairdarts.runs.transfer import mmdet_config as mmdet_config
    from fairdarts.runs.zoo import sample_genotypes as sample_genotypes
    from fairdarts.runs.zoo import zoo as zoo
    from fairdarts.spaces.space import load_space as load_space

__version__ = "0.2.0.dev0"

_REGISTER = ("activation", "derivation", "loss", "operation", "penalty", "relaxation", "sampler", "schedule", "space")
_MODULES: dict[str, tuple[str, ...]] = {
    "config": ("Notice", "UserError"),
    "networks.create": ("create_model",),
    "networks.models": ("model_names",),
    "networks.published": ("load",),
    "plugins": ("load_plugin", *(f"register_{part}" for part in _REGISTER)),
    "runs.analyse": ("analyse",),
    "runs.bench": ("bench",),
    "runs.callbacks": ("Callback",),
    "runs.compare": ("compare",),
    "runs.derive": ("derive", "derive_from"),
    "runs.derive_front": ("derive_front",),
    "runs.evaluate": ("evaluate",),
    "runs.evolve": ("evolve",),
    "runs.export": ("export",),
    "runs.draw": ("draw",),
    "runs.fit.run": ("fit",),
    "runs.genotype": ("load_genotype",),
    "runs.predict": ("predict",),
    "runs.progress": ("ProgressBar",),
    "runs.rank": ("rank",),
    "runs.report": ("report",),
    "runs.result": ("Run", "open_run"),
    "runs.search": ("search",),
    "runs.segment": ("count_segmenter", "segment"),
    "runs.segmenter": ("judge_segmenter", "predict_masks"),
    "runs.study.run": ("study",),
    "runs.supernet": ("train_supernet",),
    "runs.trackers": ("mlflow", "wandb"),
    "runs.train": ("train",),
    "runs.transfer": ("mmdet_config",),
    "runs.zoo": ("sample_genotypes", "zoo"),
    "spaces.space": ("load_space",),
}
"""module → the names that it has for the front door"""
_LAZY = {name: f"fairdarts.{module}" for module, names in _MODULES.items() for name in names}

__all__ = sorted(_LAZY)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'fairdarts' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


install()

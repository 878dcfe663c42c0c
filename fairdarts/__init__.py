"""fairdarts: differentiable and fair one-shot neural architecture search in PyTorch."""

import sys
from importlib import import_module
from types import ModuleType

from fairdarts.hook import install

__version__ = "0.2.0.dev0"

_LAZY = {
    "Callback": "fairdarts.runs.callbacks",
    "ProgressBar": "fairdarts.runs.progress",
    "Run": "fairdarts.runs.result",
    "count_segmenter": "fairdarts.runs.segment",
    "create_model": "fairdarts.networks.models",
    "evaluate": "fairdarts.runs.evaluate",
    "export": "fairdarts.runs.export",
    "judge_segmenter": "fairdarts.runs.segmenter",
    "analyse": "fairdarts.runs.analyse",
    "bench": "fairdarts.runs.bench",
    "compare": "fairdarts.runs.compare",
    "create_model": "fairdarts.networks.models",
    "draw": "fairdarts.runs.figures",
    "evolve": "fairdarts.runs.evolve",
    "load": "fairdarts.networks.published",
    "load_genotype": "fairdarts.runs.genotype",
    "load_space": "fairdarts.spaces.space",
    "model_names": "fairdarts.networks.models",
    "open_run": "fairdarts.runs.result",
    "predict_masks": "fairdarts.runs.segmenter",
    "rank": "fairdarts.runs.rank",
    "report": "fairdarts.runs.report",
    "sample_genotypes": "fairdarts.runs.zoo",
    "search": "fairdarts.runs.search",
    "study": "fairdarts.runs.study.run",
    "segment": "fairdarts.runs.segment",
    "train": "fairdarts.runs.train",
    "train_supernet": "fairdarts.runs.supernet",
    "load_plugin": "fairdarts.plugins",
    "register_activation": "fairdarts.plugins",
    "register_derivation": "fairdarts.plugins",
    "register_loss": "fairdarts.plugins",
    "register_operation": "fairdarts.plugins",
    "register_relaxation": "fairdarts.plugins",
    "register_sampler": "fairdarts.plugins",
    "register_schedule": "fairdarts.plugins",
    "register_space": "fairdarts.plugins",
    "transfer": "fairdarts.runs.transfer",
    "zoo": "fairdarts.runs.zoo",
}
"""name → the module that has it, which is imported where the name is first used: `import fairdarts` loads no torch"""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'fairdarts' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


class _Package(ModuleType):
    """`fairdarts.search` is the function, also once the package of that name is imported, which would hide it."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _LAZY or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
install()

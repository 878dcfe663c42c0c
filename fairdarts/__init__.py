"""fairdarts: differentiable and fair one-shot neural architecture search in PyTorch."""

from importlib import import_module

from fairdarts.hook import install

__version__ = "0.2.0.dev0"

_LAZY = {
    "Callback": "fairdarts.runs.callbacks",
    "Notice": "fairdarts.config",
    "ProgressBar": "fairdarts.runs.progress",
    "Run": "fairdarts.runs.result",
    "UserError": "fairdarts.config",
    "analyse": "fairdarts.runs.analyse",
    "bench": "fairdarts.runs.bench",
    "compare": "fairdarts.runs.compare",
    "count_segmenter": "fairdarts.runs.segment",
    "create_model": "fairdarts.networks.models",
    "derive": "fairdarts.runs.derive",
    "derive_from": "fairdarts.runs.derive",
    "draw": "fairdarts.runs.figures",
    "evaluate": "fairdarts.runs.evaluate",
    "evolve": "fairdarts.runs.evolve",
    "export": "fairdarts.runs.export",
    "judge_segmenter": "fairdarts.runs.segmenter",
    "load": "fairdarts.networks.published",
    "load_genotype": "fairdarts.runs.genotype",
    "load_plugin": "fairdarts.plugins",
    "load_space": "fairdarts.spaces.space",
    "mlflow": "fairdarts.runs.trackers",
    "mmdet_config": "fairdarts.runs.transfer",
    "model_names": "fairdarts.networks.models",
    "open_run": "fairdarts.runs.result",
    "predict_masks": "fairdarts.runs.segmenter",
    "rank": "fairdarts.runs.rank",
    "register_activation": "fairdarts.plugins",
    "register_derivation": "fairdarts.plugins",
    "register_loss": "fairdarts.plugins",
    "register_operation": "fairdarts.plugins",
    "register_relaxation": "fairdarts.plugins",
    "register_sampler": "fairdarts.plugins",
    "register_schedule": "fairdarts.plugins",
    "register_space": "fairdarts.plugins",
    "report": "fairdarts.runs.report",
    "sample_genotypes": "fairdarts.runs.zoo",
    "search": "fairdarts.runs.search",
    "segment": "fairdarts.runs.segment",
    "study": "fairdarts.runs.study.run",
    "train": "fairdarts.runs.train",
    "train_supernet": "fairdarts.runs.supernet",
    "wandb": "fairdarts.runs.trackers",
    "zoo": "fairdarts.runs.zoo",
}
"""name → the module that has it, which is imported where the name is first used: `import fairdarts` loads no torch"""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'fairdarts' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


install()

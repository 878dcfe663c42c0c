"""fairdarts: differentiable and fair one-shot neural architecture search in PyTorch."""

from importlib import import_module

from fairdarts.hook import install

__version__ = "0.2.0.dev0"

_LAZY = {
    "Callback": "fairdarts.runs.callbacks",
    "ProgressBar": "fairdarts.runs.progress",
    "Run": "fairdarts.runs.result",
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
    "rank": "fairdarts.runs.rank",
    "report": "fairdarts.runs.report",
    "sample_genotypes": "fairdarts.runs.zoo",
    "search": "fairdarts.runs.search",
    "train_supernet": "fairdarts.runs.supernet",
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


install()

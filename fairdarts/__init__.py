"""fairdarts: differentiable and fair one-shot neural architecture search in PyTorch."""

from importlib import import_module

from fairdarts.hook import install

__version__ = "0.2.0.dev0"

_LAZY = {
    "create_model": "fairdarts.networks.models",
    "model_names": "fairdarts.networks.models",
    "load": "fairdarts.networks.published",
    "load_plugin": "fairdarts.plugins",
    "register_activation": "fairdarts.plugins",
    "register_derivation": "fairdarts.plugins",
    "register_loss": "fairdarts.plugins",
    "register_operation": "fairdarts.plugins",
    "register_relaxation": "fairdarts.plugins",
    "register_sampler": "fairdarts.plugins",
    "register_schedule": "fairdarts.plugins",
    "register_space": "fairdarts.plugins",
}
"""name → the module that has it, which is imported where the name is first used: `import fairdarts` loads no torch"""


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'fairdarts' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


install()

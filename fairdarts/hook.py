"""timm knows our models as soon as it and fairdarts are imported, whichever comes first.

A finder in `sys.meta_path` waits for the import of timm, so that `import fairdarts` needs neither timm nor torch.
Whatever fails here is a warning: it never keeps anyone from timm.
"""

import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def register() -> None:
    """Tell timm our models."""
    try:
        import_module("fairdarts.transfer.timm")
    except Exception as error:
        warnings.warn(f"timm does not know the models of fairdarts: {type(error).__name__}: {error}", stacklevel=2)


class AfterTimm:
    """Finds timm as the other finders do, and has our models registered when it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Only for timm itself: its specification, whose loader calls `register` in the end."""
        if name != "timm":
            return None
        others = (finder.find_spec for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((spec for find in others if (spec := find(name, path, target))), None)
        loader: Any = spec and spec.loader
        with suppress(AttributeError):  # no timm, or a loader of an unusual kind
            load = loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                register()

            loader.exec_module = load_and_register
        return spec


def install() -> None:
    """Register our models now where timm is loaded, else when it will be."""
    if hasattr(sys.modules.get("timm"), "create_model"):
        register()
    elif not any(type(finder).__name__ == "AfterTimm" for finder in sys.meta_path):
        sys.meta_path.insert(0, AfterTimm())

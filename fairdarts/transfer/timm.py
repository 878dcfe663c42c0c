"""Our models in timm's registry: `timm.create_model("fairnas_a")`.

Importing this module registers them. `import fairdarts` does so by itself where timm is there (fairdarts/hook.py).
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import timm
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

from fairdarts.networks.create import create_model
from fairdarts.networks.models import models


def entry_point(name: str, variant: str) -> Callable[..., nn.Module]:
    """The function that timm calls for a model; `variant` is timm's spelling of its name."""

    def create(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        every_level = {"feature_cls": "getter", "out_indices": None}
        return build_model_with_cfg(partial(create_model, name), variant, pretrained, feature_cfg=every_level, **kwargs)

    create.__name__ = create.__qualname__ = variant
    create.__doc__ = f"The model {name} of fairdarts."
    return create


default_cfgs = generate_default_cfgs({name.replace("-", "_"): model.default_cfg for name, model in models().items()})
for _name in models():
    _variant = _name.replace("-", "_")
    if not timm.is_model(_variant):  # this module may be loaded again
        setattr(sys.modules[__name__], _variant, register_model(entry_point(_name, _variant)))

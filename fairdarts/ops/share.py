"""Operations that share their convolutions and keep BatchNorms of their own: weight-sharing BatchNorm (WSBN) of NAO."""

from copy import deepcopy

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def with_own_norms(operation: nn.Module) -> nn.Module:
    """An operation of the same weights, but for its BatchNorms, which are fresh copies of the first one's."""
    others = (module for module in operation.modules() if not isinstance(module, _BatchNorm))
    shared = {id(weight): weight for module in others for weight in module.parameters(recurse=False)}
    return deepcopy(operation, memo=shared)

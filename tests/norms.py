"""BatchNorms that are not as fresh ones are, so that a test sees where one is left out or taken for another."""

from torch import nn


def lived_in(module: nn.Module) -> nn.Module:
    """The module in float64, the weights and memories (where there are any) of its BatchNorms drawn anew."""
    for norm in module.double().modules():
        if isinstance(norm, nn.BatchNorm2d):
            if norm.affine:
                nn.init.normal_(norm.weight, 1, 0.2)
                nn.init.normal_(norm.bias, 0, 0.3)
            if norm.track_running_stats:
                nn.init.normal_(norm.running_mean, 0, 0.1)
                nn.init.uniform_(norm.running_var, 0.05, 0.2)
    return module

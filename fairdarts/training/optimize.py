"""How weights are updated: the optimizer, its learning rate over the epochs, and the average of the weights."""

import copy
import math

import torch
from torch import nn

from fairdarts.training.settings import CosineSettings, ExponentialSettings, OptimizerSettings, ScheduleSettings


def make_optimizer(network: nn.Module, settings: OptimizerSettings, device: torch.device) -> torch.optim.Optimizer:
    """SGD or RMSprop over all parameters; vectors, as BatchNorm's and biases, may be spared the weight decay."""
    parameters = list(network.parameters())
    decayed = [weight for weight in parameters if settings.decay_all or weight.ndim > 1]
    spared = [] if settings.decay_all else [weight for weight in parameters if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}]
    groups += [{"params": spared, "weight_decay": 0.0}] if spared else []
    if settings.kind == "sgd":
        quick = {"fused": True} if device.type == "cuda" else {"foreach": True}
        return torch.optim.SGD(groups, settings.lr, settings.momentum, nesterov=settings.nesterov, **quick)
    return torch.optim.RMSprop(groups, settings.lr, settings.alpha, settings.eps, momentum=settings.momentum)


def learning_rate(settings: ScheduleSettings, lr: float, epochs: int, step: int, steps: int) -> float:
    """Of a step, counted from 0 over the whole training, of `steps` an epoch.

    A linear rise over the warm-up, behind which a cosine, line or power falls from lr to lr_min; an exponential decay
    counts its epochs from the first one on.
    """
    by_epoch = getattr(settings, "unit", "step") == "epoch"
    position, unit = (step // steps, 1.0) if by_epoch else (step / steps, 1 / steps)
    if position < settings.warmup_epochs:
        return lr * min(1.0, (position + unit) / settings.warmup_epochs)
    if isinstance(settings, ExponentialSettings):
        return lr * settings.factor ** math.floor(position / settings.every + 1e-9)
    share = (position - settings.warmup_epochs) / max(epochs - settings.warmup_epochs, unit)
    power = getattr(settings, "power", 1.0)
    kept = (1 + math.cos(math.pi * share)) / 2 if isinstance(settings, CosineSettings) else (1 - share) ** power
    return settings.lr_min + (lr - settings.lr_min) * kept


class Average:
    """The exponential moving average of a network's parameters and BatchNorm statistics.

    After update n (from 1 on) the average is d·average + (1 − d)·weights with d = min(decay, (1 + n) / (10 + n)), so
    that a short training is not judged by its first weights.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.tensors = [value for value in self.network.state_dict().values() if value.is_floating_point()]

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards a network's weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = [value for value in network.state_dict().values() if value.is_floating_point()]
        torch._foreach_lerp_(self.tensors, weights, 1 - decay)

"""A model by its name, made as timm makes its models."""

from contextlib import nullcontext

import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.networks.atrous import set_output_stride
from fairdarts.networks.blueprint import build_backbone
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.features import Features
from fairdarts.networks.models import Named, find
from fairdarts.networks.settings import NetworkSettings


def create_model(
    name: Named,
    pretrained: bool = False,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    features_only: bool = False,
    out_indices: int | list[int] | tuple[int, ...] | None = None,
    output_stride: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float = 0.0,
    global_pool: str = "avg",
    network: NetworkSettings | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """A model with fresh weights, by a name of `model_names()`, of a genotype, its file, or a run.

    `num_classes` None gives as many as the network of the literature has, 0 no classifier. With `features_only` it is a
    `Features` module, which gives feature maps: of the levels `out_indices`, all where it is None. `output_stride` puts
    dilation in the place of the strides beyond it. `drop_rate` is dropout before the classifier, the space's where it
    is None; `drop_path_rate` is for networks of cells. `network` says how to build what the name does not say.
    Raises UserError in one line where an argument is not possible.

    >>> network = fairdarts.create_model("fairdarts-a", num_classes=10)
    >>> network(torch.randn(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    if pretrained:
        readers = "fairdarts.load(FILE, …) and `fairdarts export FILE --genotype NAME` read the authors' checkpoints"
        raise UserError(f"{name}: pretrained: no weights are shipped; {readers}")
    model = find(name)
    settings = network or model.network
    for key, value in (("drop_rate", drop_rate or 0.0), ("drop_path_rate", drop_path_rate)):
        if not 0 <= value < 1:
            raise UserError(f"{key}: {value}: should be from 0 to below 1")
    if num_classes is not None and num_classes < 0:
        raise UserError(f"num_classes: {num_classes}: should be 0 or more")
    if in_chans < 1:
        raise UserError(f"in_chans: {in_chans}: should be 1 or more")
    if drop_rate is not None:
        settings = settings.model_copy(update={"dropout": drop_rate})
    with torch.device(device) if device is not None else nullcontext():
        built = build_backbone(model.genotype, model.space, settings, num_classes or None, in_chans)
        classes = built.num_classes if num_classes is None else num_classes
        if (classes, global_pool) != (built.num_classes, built.global_pool):
            built.reset_classifier(classes, global_pool)
    if drop_path_rate:
        if not isinstance(built, CellNetwork):
            raise UserError(f"drop_path_rate: {drop_path_rate}: should be 0, as {name} is no network of cells")
        built.drop_probability = drop_path_rate
    if output_stride is not None:
        set_output_stride(built, output_stride)
    built.default_cfg = built.pretrained_cfg = model._replace(network=settings).default_cfg
    return (Features(built, out_indices) if features_only else built).to(dtype=dtype)

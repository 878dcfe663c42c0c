"""Our networks as a backbone of MMDetection: `backbone={"type": "FairDARTSBackbone", "name": "fairnas-a"}`.

Importing this module registers it: in a config, among `custom_imports`.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.genotype import from_content
from fairdarts.networks.blueprint import NetworkSettings, build_backbone
from fairdarts.networks.features import Features
from fairdarts.networks.models import Model, find
from fairdarts.networks.pretrained import load_backbone
from fairdarts.networks.sizes import for_large_images
from fairdarts.spaces.space import check_genotype, load_space, space_from
from fairdarts.transfer.detector import levels_of

for _name in ("mmcv", "mmdet"):
    if find_spec(_name) is None:
        raise UserError(f"{_name}: is missing: pip install 'fairdarts[mmdet]'")
if find_spec("mmcv._ext") is None:  # mmdet's own words for it are an AssertionError or a missing module far away
    raise UserError(
        "mmcv: its operations are not compiled: compile them (docs/transfer.md), or, for the CPU alone, write the "
        "config with `fairdarts transfer mmdet … --cpu`, which has fairdarts.transfer.mmcv_ops first in custom_imports"
    )

from mmdet.registry import MODELS  # noqa: E402 (only now is it known to be there)
from mmengine.model import BaseModule, PretrainedInit  # noqa: E402

STRIDES = (4, 8, 16, 32)
"""of the maps that feature pyramids take, as from a ResNet (arXiv:1612.03144, section 3)"""


class Arguments(Settings):
    """What FairDARTSBackbone takes."""

    name: StrictStr | None
    genotype: dict[str, Any] | None
    space: dict[str, Any] | None
    network: dict[str, Any] | None
    out_indices: StrictInt | tuple[StrictInt, ...] | None
    frozen_stages: StrictInt
    norm_eval: StrictBool
    pretrained: Annotated[StrictStr, Field(min_length=1)] | None
    init_cfg: dict[str, Any] | list[dict[str, Any]] | None


@MODELS.register_module(force=True)  # this module may be loaded again
class FairDARTSBackbone(BaseModule):
    """Images x [B, 3, H, W], normalized → a tuple of feature maps [B, C, ⌈H/stride⌉, ⌈W/stride⌉].

    The network is what `find` knows by `name`, a model, a genotype's file or a search run; or that of `genotype`, keys
    and values as in such a file, of a shipped space or of `space`, likewise. `network` says how it is built, where the
    name does not; cells are a network for large images unless it says otherwise.
    `out_indices` are levels of its `feature_info`, the last n for n, those of STRIDES where it is None. Everything up
    to and including level `frozen_stages` (-1: nothing) is not trained; nor are, with `norm_eval`, the statistics of
    any BatchNorm.
    `pretrained` is a file of weights or a training run, see `load_backbone`, which is read by `init_weights`.
    Raises UserError in one line where an argument is not possible.
    """

    def __init__(
        self,
        name: str | None = None,
        genotype: dict[str, Any] | None = None,
        space: dict[str, Any] | None = None,
        network: dict[str, Any] | None = None,
        out_indices: int | Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ):
        given = {key: value for key, value in locals().items() if key in Arguments.model_fields}
        check(Arguments, given, "FairDARTSBackbone")
        initializers = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
        if any(given.get("type") in ("Pretrained", PretrainedInit) for given in initializers):
            why = "loads what fits and passes over the rest"
            raise UserError(f"FairDARTSBackbone: init_cfg: Pretrained: {why}; should be pretrained=FILE")
        super().__init__(init_cfg)
        model = described(name, genotype, space, network)
        built = build_backbone(*model)
        levels = levels_of(built, STRIDES, model.genotype.name) if out_indices is None else out_indices
        self.name, self.genotype, self.network = name, model.genotype, model.network
        self.pretrained, self.norm_eval = pretrained, norm_eval
        self.features = Features(built, levels)
        deepest = len(built.feature_info) - 1
        if not -1 <= frozen_stages <= deepest:
            raise UserError(f"frozen_stages: {frozen_stages}: should be a level from 0 to {deepest}, or -1 for none")
        last = built.feature_points[frozen_stages] if frozen_stages >= 0 else -1
        self.frozen = [point.module for point in built.points[: last + 1]]
        for module in self.frozen:
            built.get_submodule(module).requires_grad_(False)

    def init_weights(self) -> None:
        """Reads the pretrained weights. Raises UserError unless they are all there."""
        super().init_weights()
        if self.pretrained:
            load_backbone(self.features.model, self.pretrained, self.genotype, self.name, self.network)

    def train(self, mode: bool = True) -> Self:
        """As of any module, but what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self.frozen:
            self.features.model.get_submodule(module).eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.features(x))


def described(
    name: str | None, genotype: dict[str, Any] | None, space: dict[str, Any] | None, network: dict[str, Any] | None
) -> Model:
    """What a config says of the network, checked. Raises UserError naming the key."""
    if (name is None) == (genotype is None):
        raise UserError("FairDARTSBackbone: name, genotype: one of them should be given, and not both")
    if genotype is None:
        if space is not None:
            raise UserError(f"FairDARTSBackbone: space: goes with genotype, but {name} has a space of its own")
        assert name is not None
        model = find(name)
    else:
        read = from_content(genotype, "genotype")
        of = load_space(read.space, "genotype: space") if space is None else space_from(space, "space")
        model = Model(check_genotype(read, of, "genotype"), of, NetworkSettings())
    settings = model.network.model_dump(exclude_defaults=True) | (network or {})
    return model._replace(network=for_large_images(check(NetworkSettings, settings, "network"), model.space))

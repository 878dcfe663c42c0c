"""A network as a module that gives feature maps, and what is known of them."""

from collections.abc import Sequence
from typing import Any, overload

from torch import Tensor, nn

from fairdarts.networks.backbone import Backbone


class FeatureInfo:
    """Channels, strides and modules of feature maps. Its methods are those of timm's class of this name.

    They speak of the maps that are given, or of the network's level `idx`.
    """

    def __init__(self, info: Sequence[dict], out_indices: Sequence[int]):
        self.info, self.out_indices = list(info), tuple(out_indices)

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """One fact: of all maps, of the levels of a list, or of one level."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[level][key] for level in (self.out_indices if idx is None else idx)]

    @overload
    def channels(self, idx: int) -> int: ...
    @overload
    def channels(self, idx: Sequence[int] | None = None) -> list[int]: ...
    def channels(self, idx: int | Sequence[int] | None = None) -> list[int] | int:
        """Number of channels."""
        return self.get("num_chs", idx)

    @overload
    def reduction(self, idx: int) -> int: ...
    @overload
    def reduction(self, idx: Sequence[int] | None = None) -> list[int]: ...
    def reduction(self, idx: int | Sequence[int] | None = None) -> list[int] | int:
        """Stride of the image."""
        return self.get("reduction", idx)

    @overload
    def module_name(self, idx: int) -> str: ...
    @overload
    def module_name(self, idx: Sequence[int] | None = None) -> list[str]: ...
    def module_name(self, idx: int | Sequence[int] | None = None) -> list[str] | str:
        """The module whose output the features are."""
        return self.get("module", idx)

    def __getitem__(self, level: int) -> dict:
        return self.info[level]

    def __len__(self) -> int:
        return len(self.info)


class Features(nn.Module):
    """x [B, in, H, W] → a list of feature maps [B, C, ⌈H/stride⌉, ⌈W/stride⌉], in the order of `out_indices`.

    What stands behind the last of them is removed from the network. `out_indices` are levels of its `feature_info`: all
    for None, the last n for n, else those of a list, -1 the last. Raises UserError where there is no such level.
    """

    def __init__(self, network: Backbone, out_indices: int | Sequence[int] | None = None):
        super().__init__()
        self.default_cfg = self.pretrained_cfg = network.default_cfg
        self.out_indices = network.prune_intermediate_layers(out_indices, prune_norm=True)
        self.feature_info = FeatureInfo(network.feature_info, self.out_indices)
        self.model = network  # as timm calls it, so that the keys of weights are the same

    def forward(self, x: Tensor) -> list[Tensor]:
        _, levels = self.model.run(x, self.model.feature_points[-1], self.model.feature_points)
        return [levels[level] for level in self.out_indices]

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute every block again in the backward pass instead of keeping its tensors."""
        self.model.set_grad_checkpointing(enable)

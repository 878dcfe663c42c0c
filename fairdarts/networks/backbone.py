"""What stand-alone networks share: they classify, or give features to others, through the interface of timm's models.

That interface is described in timm's documentation (https://huggingface.co/docs/timm/feature_extraction). All of it is
here without timm.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor, nn

from fairdarts.config import UserError


class Point(NamedTuple):
    """A place where features can be taken: behind a module, at a stride of the image."""

    module: str
    channels: int
    stride: int


def chosen(levels: int, indices: int | Sequence[int] | None) -> list[int]:
    """Which of the levels are asked for: all for None, the last n for n, else those of a list, -1 the last.

    Raises UserError where there is no such level.
    """
    if indices is None:
        return list(range(levels))
    if isinstance(indices, int):
        if indices < 1 or indices > levels:
            raise UserError(f"out_indices: {indices}: should be from 1 to {levels}")
        return list(range(levels - indices, levels))
    if len(indices) == 0:
        raise UserError("out_indices: should name at least one level")
    for index in indices:
        if index < -levels or index >= levels:
            raise UserError(f"out_indices: {index}: should be from {-levels} to {levels - 1}")
    return [index % levels for index in indices]


class Backbone(nn.Module):
    """A network of blocks one after another, a mean over the image and a classifier.

    A child builds its blocks, calls `finish`, and says how they run (`run`), how they are cut off (`cut`), and what
    stands between the last one and the mean (`end`).

    `feature_info` has a level for every stride of the image: behind the last block before the resolution falls, and
    behind the last of all. `in_chans`, `num_classes`, `num_features` (channels of `forward_features`) and
    `head_hidden_size` (inputs of the classifier) are numbers; `default_cfg`, of models that have a name, says for which
    images they are.
    """

    def finish(self, points: list[Point], width: int, in_channels: int, classes: int, dropout: float) -> None:
        """Behind the blocks: the classifier of `width` inputs. `points` are the places behind stem and blocks."""
        self.points = points
        steps = pairwise([*(point.stride for point in points), math.inf])
        self.feature_points = [number for number, (stride, behind) in enumerate(steps) if stride < behind]
        levels = (points[number] for number in self.feature_points)
        self.feature_info: list[dict[str, Any]] = [
            {"num_chs": c, "reduction": stride, "module": module} for module, c, stride in levels
        ]
        self.default_cfg: dict = {}
        self.pretrained_cfg = self.default_cfg
        self.grad_checkpointing = False
        self.global_pool = "avg"
        self.in_chans, self.num_classes = in_channels, classes
        self.num_features = self.head_hidden_size = width
        self.dropout = nn.Dropout(dropout)
        self.classifier: nn.Module = nn.Linear(width, classes)

    def run(self, x: Tensor, last: int, points: list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """From images to point `last`: its features [B, C, H', W'], and those of the `points` on the way."""
        raise NotImplementedError

    def cut(self, last: int) -> None:
        """Remove what stands behind point `last`."""
        raise NotImplementedError

    def end(self, x: Tensor) -> Tensor:
        """What stands between the last point and the mean."""
        return x

    def forward_features(self, x: Tensor) -> Tensor:
        """x [B, in, H, W] → the final features [B, num_features, ⌈H/stride⌉, ⌈W/stride⌉]."""
        x, _ = self.run(x, self.feature_points[-1])
        return self.end(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Final features → logits [B, classes], or with `pre_logits` what the classifier sees [B, num_features]."""
        if self.global_pool == "avg":
            x = x.mean((2, 3))
        x = self.dropout(x)
        return x if pre_logits else self.classifier(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | Sequence[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """The final features and those of the levels `indices` (see `chosen`), in that order; or the latter alone.

        With `stop_early` nothing runs behind the last level asked for. There is no `norm` to lay over features.
        Raises UserError where there is no such level, or another layout is asked for.
        """
        if output_fmt != "NCHW":
            raise UserError(f"output_fmt: {output_fmt}: should be NCHW")
        levels = chosen(len(self.feature_points), indices)
        final = self.feature_points[-1]
        last = self.feature_points[max(levels)] if stop_early or intermediates_only else final
        x, features = self.run(x, last, self.feature_points)
        features = [features[level] for level in levels]
        if intermediates_only:
            return features
        return self.end(x) if last == final else x, features

    def prune_intermediate_layers(
        self, indices: int | Sequence[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what the levels `indices` do not need; gives them as numbers from 0.

        The last level needs nothing of what stands behind it. That stays only where neither `prune_norm` nor
        `prune_head` is asked for. Raises UserError where there is no such level.
        """
        levels = chosen(len(self.feature_info), indices)
        deepest = max(levels)
        if prune_norm or prune_head or deepest < len(self.feature_info) - 1:
            self.cut(self.feature_points[deepest])
            self.feature_points = self.feature_points[: deepest + 1]
            self.feature_info = self.feature_info[: deepest + 1]
            self.num_features = self.head_hidden_size = self.feature_info[-1]["num_chs"]
            self.reset_classifier(0, "")
        return levels

    def get_classifier(self) -> nn.Module:
        """The linear layer, or the identity where there are no classes."""
        return self.classifier

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A fresh classifier, none for 0 classes; `global_pool` "avg" takes the mean over the image, "" does not.

        Where it is None, it stays as it is, but for a classifier, which needs the mean. Raises UserError where the
        classes are no number, or a classifier would see a whole image.
        """
        pool = ("avg" if num_classes else self.global_pool) if global_pool is None else global_pool
        if num_classes < 0:
            raise UserError(f"num_classes: {num_classes}: should be 0 or more")
        if pool not in ("avg", ""):
            raise UserError(f"global_pool: '{pool}': should be 'avg', or '' for none")
        if num_classes and not pool:
            raise UserError("global_pool: '': a classifier needs the mean over the image")
        self.num_classes, self.global_pool = num_classes, pool
        like = next(self.parameters())
        new = nn.Linear(self.num_features, num_classes, device=like.device, dtype=like.dtype) if num_classes else None
        self.classifier = (new or nn.Identity()).train(self.training)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute every block again in the backward pass instead of keeping its tensors."""
        self.grad_checkpointing = enable

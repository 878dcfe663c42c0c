"""How a supernet maps an architecture to a network: the factors of "How to Train Your Super-Net".

The paper is arXiv:2003.04276. docs/supernet-factors.md says what they are in each space, and what it leaves open.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from fairdarts.config import Settings, UserError

if TYPE_CHECKING:  # settings are read before torch is loaded
    from fairdarts.spaces.cell import CellSpace
    from fairdarts.spaces.nasbench101 import Bench101Space
    from fairdarts.spaces.nasbench201 import Bench201Space
    from fairdarts.spaces.space import Space


class SupernetSettings(Settings):
    """The supernet, where it is not as its space says."""

    tied: ClassVar[bool] = False
    """whether candidates without weights are the same modules on all edges that leave a node of a cell: exact where all
    candidates run in every pass, as their statistics are then alike"""

    cells: int | None = Field(default=None, ge=1, le=1000)
    """number of cells, of a stage where the space has stages; the space's own where it is null; not for chains"""
    channels: int | None = Field(default=None, ge=2, le=4096)
    """channels of the first cells; the space's own where it is null; not for chains"""
    stem: Literal["cifar", "imagenet"] | None = None
    """what stands before the cells: cifar, a convolution, or imagenet, for large images, three of stride 2; null for
    cifar; only for spaces of kind cell"""
    track: bool = True
    """whether BatchNorms have running statistics; else they always take those of the batch"""
    affine: bool = True
    """whether the BatchNorms of choices, and of what stands between cells, have weights"""
    wsbn: bool = False
    """own BatchNorms for every incoming edge of operations that share their convolutions on a node (NAO); in
    nasbench101, whose operations read a sum, for every set of incoming edges; not for chains"""
    path_dropout: float = Field(default=0.0, ge=0, lt=1)
    """probability that an edge's output is dropped, image by image; not for chains"""
    global_dropout: float = Field(default=0.0, ge=0, lt=1)
    """dropout before the mean over the pixels"""
    ofa_kernel: bool = False
    """convolutions of one kind share the largest kernel, of which smaller ones are the centre, projected (Once for
    All); not for chains"""
    dynamic_channels: Literal["fixed", "shuffle", "interpolate", "disabled"] = "fixed"
    """how the channels of nasbench101's largest cells become fewer: the first ones, random ones, means of neighbours;
    disabled: they need not, in a sub-space of one number of edges into the output; only for nasbench101"""
    operations: Literal["edge", "node"] | None = None
    """where weights are: on every edge, or shared by the edges into a node; null for edges, and in nasbench101 for
    nodes, where they always are; not for chains"""
    partial: int = Field(default=1, ge=1)
    """K: candidates read the first 1/K of a node's channels, the others pass by, and both are shuffled (PC-DARTS); only
    for cells whose choices are their edges"""

    @property
    def draws(self) -> bool:
        """Whether a forward pass in training draws random numbers."""
        return self.path_dropout > 0 or self.global_dropout > 0 or self.dynamic_channels == "shuffle"


OF_CELLS = ("cells", "channels", "wsbn", "path_dropout", "ofa_kernel", "operations")
STEM: dict[str, tuple[str, ...]] = {"spaces of kind cell": ("stem",)}

EDGES: dict[str, tuple[str, ...]] = {"cells whose choices are their edges": ("partial",)}

FOREIGN: dict[str, dict[str, tuple[str, ...]]] = {
    "cell": {"nasbench101": ("dynamic_channels",)},
    "chain": {"cells": OF_CELLS, "nasbench101": ("dynamic_channels",), **STEM, **EDGES},
    "nasbench101": {**STEM, **EDGES},
    "nasbench201": {"nasbench101": ("dynamic_channels",), **STEM},
}
"""kind of space → for whom settings are that it cannot follow"""


def check_supernet(settings: SupernetSettings, space: "Space") -> None:
    """Raises UserError naming the setting that a space cannot follow."""
    for whose, keys in FOREIGN[space.kind].items():
        for key in keys:
            if (value := getattr(settings, key)) != SupernetSettings.model_fields[key].default:
                written = str(value).lower() if isinstance(value, bool) else str(value)
                has = f"is for {whose}, but space {space.name} is of kind {space.kind}"
                raise UserError(f"supernet.{key}: {written}: {has}")
    if settings.wsbn and not (settings.affine or settings.track):
        nothing = "with supernet.affine false and supernet.track false there is nothing of an edge's own"
        raise UserError(f"supernet.wsbn: true: {nothing}; set one of them true")
    if settings.partial > 1 and (space.kind == "cell" or space.kind == "nasbench201"):
        check_partial(settings, space)
    if space.kind == "nasbench101":
        check_nasbench101(settings, space)
    elif settings.wsbn and settings.operations != "node":
        why = "where operations are on edges, every edge has BatchNorms of its own"
        raise UserError(f"supernet.wsbn: true: {why}; set supernet.operations node")


LEAST = 2
"""channels that candidates need, as a FactorizedReduce has two convolutions"""


def check_partial(settings: SupernetSettings, space: "CellSpace | Bench201Space") -> None:
    """Raises UserError where a node's channels have no such part."""
    channels = settings.channels or (space.supernet.channels if space.kind == "cell" else space.channels)
    parts = [part for part in range(1, channels // LEAST + 1) if channels % part == 0]
    if settings.partial not in parts:
        leaves = f"which leaves candidates {LEAST} or more of the {channels} channels of the first cells"
        raise UserError(
            f"supernet.partial: {settings.partial}: should be one of {', '.join(map(str, parts))}, {leaves}"
        )


def check_nasbench101(settings: SupernetSettings, space: "Bench101Space") -> None:
    """Raises UserError naming the setting that does not go with the space."""
    if settings.operations == "edge":
        why = f"in space {space.name} an operation reads the sum of its node's edges"
        raise UserError(f"supernet.operations: edge: {why}")
    # a vertex that leads into the output has an edge in and one out
    most = min(space.vertices - 2, space.edges // 2)
    if (channels := settings.channels or most) < most:
        raise UserError(f"supernet.channels: {channels}: should be at least {most}, as so many vertices may share them")
    if settings.dynamic_channels == "disabled" and space.output_edges is None:
        names = f"{space.name}-1 to {space.name}-4"
        raise UserError(f"supernet.dynamic_channels: disabled: needs a space of one number of output edges, as {names}")

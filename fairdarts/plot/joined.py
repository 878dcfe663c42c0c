"""What do figures of a search show as one? The edges of a cell; all layers of a chain, though they differ in their
choices, so that their α lie in several parts."""

import re
from collections import Counter
from typing import Any

import numpy as np

from fairdarts.plot.points import choice_points
from fairdarts.spaces.space import Space


def joined_parts(space: Space) -> dict[str, tuple[str, ...]]:
    """What is shown as one → its parts: `normal` of itself, `layers` of layers-1, layers-2, … too."""
    joined: dict[str, tuple[str, ...]] = {}
    for part in space.parts:
        name = part.partition("-")[0]
        joined[name] = (*joined.get(name, ()), part)
    return joined


def edge_names(space: Space) -> dict[str, tuple[str, int]]:
    """How users call the choice points: 'normal:5,4', 'edges:3,1', 'layers:7' → what is shown as one, and the point."""
    labels = [re.sub(r"[^\d,]", "", label) for label in choice_points(space).labels]
    return {f"{part}:{label}": (part, at) for part in joined_parts(space) for at, label in enumerate(labels)}


def all_candidates(space: Space) -> tuple[str, ...]:
    """The candidates of all choice points, in the order in which the parts name them."""
    return tuple(dict.fromkeys(name for part in space.parts.values() for name in part.candidates))


def joined_gates(record: dict[str, Any], space: Space) -> dict[str, np.ndarray]:
    """The gates of a record, of all that is shown as one [points, all candidates]: NaN where a point has not got a
    candidate (see `offered`)."""
    columns, gates = all_candidates(space), {}
    for name, parts in joined_parts(space).items():
        rows = {}
        for part in parts:
            points, candidates = space.parts[part]
            at = [columns.index(candidate) for candidate in candidates]
            for point, row in zip(points, np.reshape(record["gates"][part], space.parts[part].shape), strict=True):
                rows[point] = np.full(len(columns), np.nan)
                rows[point][at] = row
        gates[name] = np.stack([rows[point] for point in sorted(rows)])
    return gates


def offered(space: Space) -> dict[str, np.ndarray]:
    """Masks of the candidates of each choice point, of all that is shown as one: bool [points, all candidates]."""
    ones = {"gates": {name: np.ones(part.shape) for name, part in space.parts.items()}}
    return {name: ~np.isnan(gates) for name, gates in joined_gates(ones, space).items()}


def joined_dominant(record: dict[str, Any], space: Space) -> dict[str, dict[str, int]]:
    """How many dominant operations a record has of each candidate, of all that is shown as one."""
    counts = {part: Counter(record["dominant"][part]) for part in space.parts}
    return {name: dict(sum(map(counts.get, parts), Counter())) for name, parts in joined_parts(space).items()}

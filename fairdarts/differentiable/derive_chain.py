"""How the gates of a chain become its layers, and which choices count as dominant."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from fairdarts.differentiable.derive_cell import strongest
from fairdarts.spaces.chain import ChainSpace

CHOICES_PER_LAYER = 2
"""At most two choices a layer, "if there are more than two above" the threshold (FairDARTS, section 5.3)."""


def derive_layers(
    gates: Mapping[str, np.ndarray], space: ChainSpace, method: str, threshold: float | None
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The choices of every layer, strongest first, from the gates of every part [layers, candidates]; and notes on what
    was decided.

    - argmax (DARTS): the strongest choice of every layer;
    - threshold (FairDARTS, section 5.3): those that reach the threshold, at most two.

    Where none reaches it, a layer that keeps the shape is removed, and any other keeps its strongest choice. Ties go to
    the choice that stands first in the space.
    """
    matrices = (zip(part.points, gates[name], strict=True) for name, part in space.parts.items())
    rows = dict(chain.from_iterable(matrices))
    layers, notes = [], []
    for number, (names, layer) in enumerate(zip(space.choices, space.layers, strict=True)):
        row = rows[number]
        count = 1 if method == "argmax" else CHOICES_PER_LAYER
        best = strongest(row, range(len(row)), count)
        chosen = [column for column in best if method == "argmax" or row[column] >= threshold]
        if not chosen:
            name, gate = names[best[0]], row[best[0]]
            reason = f"no choice of layer {number} reaches {threshold:g}"
            if layer.keeps_shape:
                notes.append(f"{reason}, so it is removed; the strongest is {name} with {gate:.3f}")
            else:
                chosen = best[:1]
                notes.append(f"{reason}, and it changes the shape, so it keeps its strongest, {name} with {gate:.3f}")
        layers.append(tuple(names[column] for column in chosen))
    return tuple(layers), tuple(notes)


def dominant_choices(gates: np.ndarray, names: Sequence[str], method: str, threshold: float | None) -> dict[str, int]:
    """How many choice points each candidate dominates, from gates [points, candidates], in the order of the candidates.

    Under argmax it is the strongest of its point (FairDARTS, section 3.2); with a threshold, it reaches that (footnote
    5). `none` is never dominant.
    """
    allowed = [column for column, name in enumerate(names) if name != "none"]
    if method == "argmax":
        best = [strongest(row, allowed, 1)[0] for row in gates]
        return {names[column]: best.count(column) for column in allowed}
    return {names[column]: int((gates[:, column] >= threshold).sum()) for column in allowed}

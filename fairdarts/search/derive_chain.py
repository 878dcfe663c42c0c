"""How the gates of a chain become its layers, and which choices count as dominant."""

import numpy as np

from fairdarts.search.derive_cell import strongest
from fairdarts.spaces.chain import ChainSpace

CHOICES_PER_LAYER = 2
"""At most two choices a layer, "if there are more than two above" the threshold (FairDARTS, section 5.3)."""


def derive_layers(
    gates: np.ndarray, space: ChainSpace, method: str, threshold: float | None
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The choices of every layer, strongest first, from gates [layers, candidates]; and notes on what was decided.

    - argmax (DARTS): the strongest choice of every layer;
    - threshold (FairDARTS, section 5.3): those that reach the threshold, at most two.

    Where none reaches it, a layer that keeps the shape is removed, and any other keeps its strongest choice. Ties go to
    the choice that stands first in the space.
    """
    layers, notes = [], []
    for number, (row, layer) in enumerate(zip(gates, space.layers, strict=True)):
        count = 1 if method == "argmax" else CHOICES_PER_LAYER
        best = strongest(row, range(len(row)), count)
        chosen = [column for column in best if method == "argmax" or row[column] >= threshold]
        if not chosen:
            name, gate = space.candidates[best[0]], row[best[0]]
            found = f"no choice of layer {number} reaches {threshold:g}"
            if layer.keeps_shape:
                notes.append(f"{found}, so it is removed; the strongest is {name} with {gate:.3f}")
            else:
                chosen = best[:1]
                notes.append(f"{found}, and it changes the shape, so it keeps its strongest, {name} with {gate:.3f}")
        layers.append(tuple(space.candidates[column] for column in chosen))
    return tuple(layers), tuple(notes)


def dominant_in_chain(gates: np.ndarray, space: ChainSpace, method: str, threshold: float | None) -> dict[str, int]:
    """How many layers each choice dominates, in the order of the space.

    Under argmax it is the strongest of its layer (FairDARTS, section 3.2); with a threshold, it reaches that (footnote
    5).
    """
    if method == "argmax":
        best = [strongest(row, range(len(row)), 1)[0] for row in gates]
        return {name: best.count(column) for column, name in enumerate(space.candidates)}
    return {name: int((gates[:, column] >= threshold).sum()) for column, name in enumerate(space.candidates)}

"""How a network begins with the weights of a trained one of the same architecture."""

from torch import Tensor, nn

from fairdarts.config import UserError

HEADS = ("classifier.", "auxiliary.")
"""what stays fresh where the classes are others"""


def finetune(network: nn.Module, trained: dict[str, Tensor], place: str) -> list[str]:
    """Copies a state dict into a network in place, but for a classifier of other classes; gives notes on what is fresh.

    Raises UserError naming the first tensor that does not fit.
    """
    weights, fresh = network.state_dict(), set()
    for key, value in weights.items():
        head = next((head for head in HEADS if key.startswith(head)), None)
        given = trained.get(key)
        if given is not None and given.shape == value.shape:
            value.copy_(given)
        elif head:
            fresh.add(key)
        elif given is None:
            raise UserError(f"{place}: {key}: is missing; should be the weights of this genotype in this size")
        else:
            shapes = f"shape {list(given.shape)}, but this network needs {list(value.shape)}"
            raise UserError(f"{place}: {key}: {shapes}: is it another genotype or size?")
    for key in trained:
        if key not in weights and not key.startswith(HEADS):
            raise UserError(f"{place}: {key}: has no place in this network: is it another genotype or size?")
    whole = [head for head in HEADS if fresh and all(key in fresh for key in weights if key.startswith(head))]
    names = {next((head[:-1] for head in whole if key.startswith(head)), key.rpartition(".")[0]) for key in fresh}
    return [f"{name}: fresh, as {place} has none that fits" for name in sorted(names)]

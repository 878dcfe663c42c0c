"""A network that begins with trained weights: what is copied, what stays fresh, what does not fit."""

import pytest
import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.zoo import load_genotype
from fairdarts.training.finetune import finetune

GENOTYPE, SPACE = load_genotype("fairdarts-b")


def network(seed: int = 0, classes: int = 5, channels: int = 4, auxiliary: bool = False, **changes) -> nn.Module:
    torch.manual_seed(seed)
    genotype: CellGenotype = GENOTYPE.model_copy(update=changes)
    return build(genotype, SPACE, NetworkSettings(cells=3, channels=channels), classes, auxiliary=auxiliary)


def copied(built: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in built.state_dict().items()}


def differing(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    return {name for name, value in one.items() if not torch.equal(value, other[name])}


def refusal(built: nn.Module, trained: dict[str, Tensor]) -> str:
    with pytest.raises(UserError) as error:
        finetune(built, trained, "model.pt")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("auxiliary", [False, True])
def test_with_the_same_classes_all_is_copied(auxiliary: bool):
    trained = copied(network(1, auxiliary=auxiliary))
    trained |= {name: value + 1 for name, value in trained.items() if name.endswith("num_batches_tracked")}
    built = network(2, auxiliary=auxiliary)
    assert finetune(built, trained, "model.pt") == []
    assert differing(built.state_dict(), trained) == set()
    assert all(weight.requires_grad for weight in built.parameters())


def test_the_classifier_of_other_classes_stays_fresh():
    trained, built = copied(network(1, classes=7)), network(2)
    before = copied(built)
    assert finetune(built, trained, "model.pt") == ["classifier: fresh, as model.pt has none that fits"]
    for name, value in built.state_dict().items():
        assert torch.equal(value, (before if name.startswith("classifier.") else trained)[name])


def test_the_auxiliary_head_s_classifier_stays_fresh_with_it():
    trained, built = copied(network(1, classes=7, auxiliary=True)), network(2, auxiliary=True)
    notes = finetune(built, trained, "model.pt")
    assert [note.split(":")[0] for note in notes] == ["auxiliary.9", "classifier"]
    fresh = {name for name, value in built.state_dict().items() if value.shape != trained[name].shape}
    assert {name.split(".")[0] for name in fresh} == {"auxiliary", "classifier"}
    assert {name.split(".")[-1] for name in fresh} == {"weight", "bias"}
    assert len(fresh) == 4
    assert all(torch.equal(value, trained[name]) for name, value in built.state_dict().items() if name not in fresh)


def test_an_auxiliary_head_may_be_missing_or_too_much():
    trained, built = copied(network(1)), network(2, auxiliary=True)
    assert finetune(built, trained, "model.pt") == ["auxiliary: fresh, as model.pt has none that fits"]
    trained, built = copied(network(1, auxiliary=True)), network(2)
    assert finetune(built, trained, "model.pt") == []
    assert differing(built.state_dict(), trained) == set()


def test_the_first_weights_of_another_size_are_named():
    trained, built = copied(network(1, channels=6)), network(2)
    first = next(iter(built.state_dict()))
    shapes = [list(weights[first].shape) for weights in (trained, built.state_dict())]
    wanted = f"shape {shapes[0]}, but this network needs {shapes[1]}: is it another genotype or size?"
    assert refusal(built, trained) == f"model.pt: {first}: {wanted}"


def test_weights_that_are_missing_are_named():
    built = network(2)
    for name in [name for name in built.state_dict() if not name.startswith("classifier.")][::40]:
        trained = copied(network(1))
        del trained[name]
        wanted = "is missing; should be the weights of this genotype in this size"
        assert refusal(built, trained) == f"model.pt: {name}: {wanted}"


def test_the_first_weights_too_many_are_named():
    trained = copied(network(1)) | {f"cells.{number}.more": torch.zeros(1) for number in range(9, 0, -1)}
    wanted = "has no place in this network: is it another genotype or size?"
    assert refusal(network(2), trained) == f"model.pt: cells.9.more: {wanted}"

"""The supernet of a cell space against the sum that the papers write: every candidate of every edge under its gate."""

import pytest
import torch
from torch import Tensor

from fairdarts.relaxation import Gates
from fairdarts.spaces.cell import CellSpace, load_space
from fairdarts.supernet.cell import CellSupernet

SPACES = ("s1", "s1-noskip", "darts")


def supernet_of(space: CellSpace, cells: int = 3) -> CellSupernet:
    torch.manual_seed(0)
    return CellSupernet(space, cells, channels=4, classes=5, in_channels=2).double()


def images(size: int = 8) -> Tensor:
    return torch.randn(3, 2, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def random_gates(space: CellSpace) -> Gates:
    generator = torch.Generator().manual_seed(2)
    return {
        cell: torch.rand(space.shape, dtype=torch.float64, generator=generator).requires_grad_()
        for cell in ("normal", "reduce")
    }


def plain(supernet: CellSupernet, space: CellSpace, x: Tensor, gates: Gates) -> Tensor:
    """Node after node, edge after edge, candidate after candidate; those of gate 0 are not run at all."""
    cells = len(supernet.cells)
    before = last = supernet.stem(x)
    for number, cell in enumerate(supernet.cells):
        kind = "reduce" if number in (cells // 3, 2 * cells // 3) else "normal"
        states = [cell.preprocess0(before), cell.preprocess1(last)]
        edge = 0
        for _ in range(space.nodes):
            total = 0
            for state in states:
                for gate, op in zip(gates[kind][edge], cell.mixed[edge].candidates, strict=True):
                    if gate != 0:
                        total = total + gate * op(state)
                edge += 1
            states.append(total)
        before, last = last, torch.cat(states[2:], dim=1)
    return supernet.classifier(last.mean(dim=(2, 3)))


@pytest.mark.parametrize("name", SPACES)
def test_the_supernet_is_the_sum_of_its_gated_candidates(name: str):
    space = load_space(name)
    supernet, gates, x = supernet_of(space), random_gates(space), images()
    out, expected = supernet(x, gates), plain(supernet, space, x, gates)
    assert out.shape == (3, 5)
    torch.testing.assert_close(out, expected)
    wanted = [*gates.values(), *supernet.parameters()]
    found = torch.autograd.grad(out.square().sum(), wanted)
    for gradient, reference in zip(found, torch.autograd.grad(expected.square().sum(), wanted), strict=True):
        torch.testing.assert_close(gradient, reference)


@pytest.mark.parametrize("name", SPACES)
def test_one_hot_gates_run_as_only_those_operations(name: str):
    space = load_space(name)
    edges, candidates = space.shape
    generator = torch.Generator().manual_seed(3)
    gates = {
        cell: torch.eye(candidates, dtype=torch.float64)[torch.randint(candidates, (edges,), generator=generator)]
        for cell in ("normal", "reduce")
    }
    supernet, x = supernet_of(space), images()
    torch.testing.assert_close(supernet(x, gates), plain(supernet, space, x, gates))


@pytest.mark.parametrize("name", SPACES)
def test_every_gate_of_both_cells_gets_a_gradient(name: str):
    space = load_space(name)
    gates = random_gates(space)
    supernet_of(space)(images(), gates).square().sum().backward()
    for gate in gates.values():
        moved = gate.grad != 0
        for column, candidate in enumerate(space.candidates):
            assert bool((moved[:, column] == (candidate != "none")).all()), candidate


def test_cells_of_a_kind_share_their_gates_and_not_their_weights():
    space = load_space("s1")
    supernet, gates = supernet_of(space, cells=6), random_gates(space)
    assert [cell.kind for cell in supernet.cells] == ["normal", "normal", "reduce", "normal", "reduce", "normal"]
    seen = []
    for cell in supernet.cells:
        cell.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[2]))
    supernet(images(), gates)
    assert [id(gate) for gate in seen] == [id(gates[cell.kind]) for cell in supernet.cells]
    parameters = list(supernet.parameters())
    assert len({parameter.data_ptr() for parameter in parameters}) == len(parameters)


def test_resolution_halves_and_channels_double_at_reductions():
    space = load_space("s1")
    supernet = supernet_of(space, cells=6)
    shapes = []
    for cell in supernet.cells:
        cell.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    supernet(images(16), random_gates(space))
    assert shapes == [(16, 16, 16)] * 2 + [(32, 8, 8)] * 2 + [(64, 4, 4)] * 2  # 4 nodes of 4, 8 and 16 channels


def test_images_of_odd_sizes_pass():
    space = load_space("s1")
    assert supernet_of(space)(images(11), random_gates(space)).shape == (3, 5)


def test_batch_norms_of_candidates_have_no_weights_of_their_own():
    """Else they could undo what the gates say."""
    supernet = supernet_of(load_space("s1"))
    for cell in supernet.cells:
        assert not [module for module in cell.modules() if getattr(module, "affine", False)]

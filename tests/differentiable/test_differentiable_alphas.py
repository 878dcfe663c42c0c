"""α from files that other code saved: read where it can be told which tensors they are, else refused by their names."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import flipped, outcome
from one_shot import IRREGULAR, chain
from torch import Tensor

from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.differentiable.alphas import OF_ARRAYS, read_gates
from fairdarts.relaxation import RELAXATIONS
from fairdarts.spaces.space import load_space

S1, S2 = load_space("s1"), load_space("s2")
NORMAL, REDUCE = torch.randn(2, *S1.parts["normal"].shape, generator=torch.Generator().manual_seed(0)).unbind()
LAYERS = torch.randn(S2.parts["layers"].shape, generator=torch.Generator().manual_seed(1))
OTHER = torch.zeros(3, 3)


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".npy":
        np.save(path, content)
    elif path.suffix == ".npz":
        np.savez(path, **content)
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.pt", {"alphas_reduce": REDUCE, "alphas_normal": NORMAL}),
        (
            "a.pt",
            {"model": {"module.alphas_normal": NORMAL.requires_grad_(), "stem": OTHER, "reduction.alpha": REDUCE}},
        ),
        ("a.pth", {"alphas": {"normal": NORMAL, "reduce": REDUCE}, "state": {"0": {"exp_avg": NORMAL}}, "epoch": 3}),
        ("a.pt", [NORMAL, REDUCE]),
        ("a.pt", torch.stack([NORMAL, REDUCE])),
        ("a.npy", torch.stack([NORMAL, REDUCE]).detach().numpy()),
        ("a.npz", {"alpha_normal": NORMAL.detach().numpy(), "alpha_reduce": REDUCE.numpy(), "stem": OTHER.numpy()}),
    ],
)
def test_alphas_of_cells_become_gates(relaxation: str, file: str, content: Any, tmp_path: Path):
    gates = read_gates(write(tmp_path / file, content), S1, relaxation)
    for part, alpha in (("normal", NORMAL), ("reduce", REDUCE)):
        right, rounding = RELAXATIONS[relaxation](alpha.detach()).double(), 0 if "pt" in file else 1e-6
        np.testing.assert_allclose(gates[part], right, rtol=rounding, atol=rounding / 10)


@pytest.mark.parametrize("name", RELAXATIONS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_relaxations_of_arrays_are_those_of_tensors(name: str, precision: str):
    alpha = np.linspace(-1000, 1000, 4002, dtype=precision).reshape(3, -1)[:, ::-1] / [[1], [30], [1e4]]
    alpha = alpha.astype(precision)
    right = RELAXATIONS[name](torch.tensor(alpha)).double()
    gates = OF_ARRAYS[name](alpha)
    assert gates.dtype == alpha.dtype
    np.testing.assert_allclose(
        gates, right, rtol=1e-5 if precision == "float32" else 1e-13, atol=1e-38 if name != "sparsemax" else 1e-6
    )
    assert [*OF_ARRAYS] == [*RELAXATIONS]


@pytest.mark.parametrize(
    "content", [LAYERS, {"log_alpha": LAYERS, "stem": OTHER}, [LAYERS], {"n": {"x": LAYERS[None][0]}}]
)
def test_the_only_matrix_of_its_shape_is_that_of_a_chain(content: Any, tmp_path: Path):
    gates = read_gates(write(tmp_path / "a.pt", content), S2, "sigmoid")
    np.testing.assert_array_equal(gates["layers"], LAYERS.sigmoid().double())


@pytest.mark.parametrize(
    "content",
    [
        lambda own: dict(zip(("a", "b", "c"), own, strict=True)),  # no two of them have one shape
        lambda own: {"layers-3": own[2], "layers-1": own[0], "layers-2": own[1], "other": torch.zeros(2, 3)},
        lambda own: {"x.layers_2": own[1], "x.layers_1": own[0], "x.layers_3": own[2], "layers_12": torch.zeros(1, 2)},
        lambda own: [*own],
    ],
    ids=["shapes", "names", "underscores", "order"],
)
def test_layers_that_differ_have_a_matrix_of_its_own_shape_each(content: Any, tmp_path: Path):
    own = [torch.randn(part.shape, generator=torch.Generator().manual_seed(2)) for part in IRREGULAR.parts.values()]
    gates = read_gates(write(tmp_path / "a.pt", content(own)), IRREGULAR, "softmax")
    for part, alpha in zip(IRREGULAR.parts, own, strict=True):
        np.testing.assert_array_equal(gates[part], alpha.softmax(-1).double())


def test_layers_of_one_shape_that_differ_are_told_by_name_or_order_alone(tmp_path: Path):
    stage = {"channels": 4, "layers": 1, "stride": 1}
    space = chain(stage, stage | {"candidates": ("E1K3", "E1K5", "E2K3")})
    one, other = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(0)).unbind()
    for content in ({"layers-2": other, "layers-1": one}, [one, other], torch.stack([one, other])):
        gates = read_gates(write(tmp_path / "a.pt", content), space, "sigmoid")
        np.testing.assert_array_equal(gates["layers-2"], other.sigmoid().double())
    with pytest.raises(
        UserError, match=r"told from a \[1, 3\], b \[1, 3\]; should be layers-1 and layers-2 \[1, 3\] \("
    ):
        read_gates(write(tmp_path / "a.pt", {"a": one, "b": other}), space, "sigmoid")


def test_whole_numbers_are_alphas_too(tmp_path: Path):
    gates = read_gates(write(tmp_path / "a.npy", np.arange(133).reshape(19, 7)), S2, "softmax")
    np.testing.assert_allclose(gates["layers"].sum(1), 1)


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        ({"a": NORMAL, "b": REDUCE}, "a [14, 7], b [14, 7]"),
        (
            {"normal_1": NORMAL, "normal_2": NORMAL, "reduce": REDUCE},
            "normal_1 [14, 7], normal_2 [14, 7], reduce [14, 7]",
        ),
        ({"normal": NORMAL, "reduce": REDUCE[:, :6]}, "normal [14, 7], reduce [14, 6]"),
        ([NORMAL, REDUCE, OTHER], "0 [14, 7], 1 [14, 7], 2 [3, 3]"),
        (torch.cat([NORMAL, REDUCE]), "one array [28, 7]"),
        ({str(number): OTHER for number in range(6)}, "0 [3, 3], 1 [3, 3], 2 [3, 3], 3 [3, 3] and so on"),
        ({"epoch": 3}, "no tensors"),
    ],
)
def test_what_cannot_be_told_is_refused_by_names_and_shapes(content: Any, holds: str, tmp_path: Path):
    path = write(tmp_path / "a.pt", content)
    for relaxation in (None, "softmax"):  # before it is asked for
        with pytest.raises(UserError) as error:
            read_gates(path, S1, relaxation)
        should = "should be normal and reduce [14, 7] (choice points, candidates) for space s1"
        assert str(error.value) == f"{path}: which are α cannot be told from {holds}; {should}"


def test_alphas_need_a_relaxation_and_that_before_a_threshold(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = write(tmp_path / "a.pt", [NORMAL, REDUCE])
    words = ["derive", "--alphas", str(path), "--space", "s1"]
    assert main(words) == 2
    assert "a.pt: relaxation: is missing; should say what makes gates of these α" in capsys.readouterr().err
    assert main([*words, "--relaxation", "sigmoid"]) == 2
    assert "method threshold needs a threshold" in capsys.readouterr().err
    assert main([*words, "--relaxation", "sigmoid", "--method", "argmax"]) == 0
    assert f'source: "{path}, sigmoid of α, argmax"' in capsys.readouterr().out
    assert main(["derive", "run", "--relaxation", "sigmoid"]) == 2
    assert "--relaxation goes with --alphas" in capsys.readouterr().err


class Evil:
    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_nothing_in_a_file_is_executed(tmp_path: Path):
    for file, content in (
        ("a.pt", {"normal": Evil(tmp_path / "made")}),
        ("a.npy", np.array([Evil(tmp_path / "made")])),
    ):
        with pytest.raises(UserError, match=rf"{file}: not an? .*file of .*: truncated, damaged, or another kind"):
            read_gates(write(tmp_path / file, content), S1, "sigmoid")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("file", ["a.pt", "a.npy", "a.npz"])
@pytest.mark.parametrize("relaxation", RELAXATIONS)
def test_gates_are_not_made_gates_again(tmp_path: Path, file: str, relaxation: str):
    gates = RELAXATIONS[relaxation](torch.stack([NORMAL, REDUCE]).detach())
    content = {"normal": gates[0], "reduce": gates[1]} if file == "a.npz" else gates
    path = write(tmp_path / file, content)
    with pytest.raises(UserError, match=rf"relaxation {relaxation}: its numbers are from 0 to 1, .*none"):
        read_gates(path, S1, relaxation)
    found = read_gates(path, S1, "none")
    assert np.allclose(found["normal"], gates[0].numpy())
    assert np.allclose(found["reduce"], gates[1].numpy())


def test_values_that_are_none_are_named(tmp_path: Path):
    spoiled: Tensor = NORMAL.detach() / 0 * 0
    with pytest.raises(UserError, match=r"a\.pt: normal: holds gates that are not finite"):
        read_gates(write(tmp_path / "a.pt", [spoiled, REDUCE]), S1, "softmax")
    with pytest.raises(UserError, match=r"gone\.npy: No such file"):
        read_gates(tmp_path / "gone.npy", S1, "softmax")


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_flipped_bit_of_an_npz_file_is_refused_or_changes_nothing(tmp_path: Path, write):
    path, arrays = (
        tmp_path / "gates.npz",
        {"normal": NORMAL.detach().sigmoid().double().numpy(), "reduce": REDUCE.sigmoid().double().numpy()},
    )
    write(path, **arrays)
    whole, refused = path.read_bytes(), 0
    hidden = whole.index(b"PK\x01\x02") + 33  # that a comment takes what follows it in, is a flip of few bits
    for content in (*flipped(whole, 500), whole[:hidden] + b"\x01" + whole[hidden + 1 :]):
        path.write_bytes(content)
        found = outcome(lambda: read_gates(path, S1, None))
        if isinstance(found, str):
            assert found.startswith(f"{path}: ")
            refused += 1
        else:
            assert found.keys() == arrays.keys()
            assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert 300 < refused < 501


def test_an_npz_file_is_no_pipe(pipe: Path):
    assert outcome(lambda: read_gates(pipe, S1, None)) == f"{pipe}: not a regular file"

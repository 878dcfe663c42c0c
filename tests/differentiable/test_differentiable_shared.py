"""A search that two processes share equals that of one which goes through the same batches in two parts."""

from pathlib import Path

import pytest
import torch
from processes import launch
from shared_steps import CASES, outcome

PROGRAM = Path(__file__).with_name("shared_steps.py")
IDS = ["-".join(map(str, case)) for case in CASES]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict]]:
    """What two processes (gloo) hold after the steps of every case."""
    folder = tmp_path_factory.mktemp("ranks")
    done = launch(PROGRAM, folder)
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_two_processes_equal_one_with_the_same_parts(ranks: list[list[dict]], number: int):
    one, two = outcome(CASES[number]), ranks[0][number]
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        if not name.startswith("statistic"):  # one process moves them by one part after the other
            tolerance = {"rtol": 1e-6, "atol": 1e-9} if name == "curvature" else {"rtol": 1e-9, "atol": 1e-11}
            torch.testing.assert_close(
                two[name], tensor, **tolerance, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
            )


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_the_processes_hold_the_same_bits(ranks: list[list[dict]], number: int):
    first, second = (own[number] for own in ranks)
    assert all(torch.equal(first[name].nan_to_num(), second[name].nan_to_num()) for name in first)


def test_the_parts_of_a_batch_matter():
    """Else the tests above would tell little: BatchNorm sees parts, so a batch in two parts is not one in one."""
    halves, whole = (outcome(CASES[0], parts) for parts in (2, 1))
    assert not torch.allclose(halves["α normal"], whole["α normal"], rtol=1e-4)

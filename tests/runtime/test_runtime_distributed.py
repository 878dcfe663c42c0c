"""How processes keep together; what two of them do is tried in tests/search and tests/cli, in real processes."""

import pytest
import torch

from fairdarts.config import SaidElsewhere, UserError
from fairdarts.runtime import distributed


def test_one_process_is_the_first_of_one_and_shares_with_itself():
    with distributed.joined():
        assert (distributed.ranks(), distributed.rank(), distributed.leads_machine()) == (1, 0, True)
        content = {"runs": [1.5, None]}
        assert distributed.shared(content) is content
        assert distributed.shared_state(content) is content
        assert distributed.highest(7) == 7
        assert distributed.agree_on([torch.tensor(1.0)])
        tensor = torch.tensor([1.0, 2.0])
        distributed.average_([tensor])
        assert tensor.tolist() == [1, 2]


def test_a_problem_of_one_process_is_raised_as_it_is():
    with pytest.raises(UserError, match=r"^mine$"), distributed.together():
        raise UserError("mine")
    with distributed.together():
        pass


class Peers:
    """torch.distributed as this process sees it among others, whose part of a reduction is given."""

    class ReduceOp:
        MAX = "max"

    def __init__(self, rank: int, others: list[torch.Tensor]):
        self.rank, self.others = rank, others

    def is_initialized(self) -> bool:
        return True

    def get_rank(self) -> int:
        return self.rank

    def get_world_size(self) -> int:
        return 1 + len(self.others)

    def all_reduce(self, tensor: torch.Tensor, operation: str = "sum") -> None:
        every = torch.stack([tensor, *(other.expand_as(tensor).to(tensor) for other in self.others)])
        tensor.copy_(every.amax(0) if operation == "max" else every.sum(0))


@pytest.mark.parametrize(
    ("rank", "fails", "others", "raised"),
    [
        (0, True, [0, 0], UserError),  # others count the ranks from the failing one on: 3 for rank 0, 1 for rank 2
        (1, True, [0, 0], UserError),
        (1, True, [3, 0], SaidElsewhere),  # rank 0 fails too, and it is rank 0 that speaks
        (2, False, [0, 2], SaidElsewhere),
        (2, False, [0, 0], None),
    ],
)
def test_the_first_process_that_fails_speaks_and_all_end(monkeypatch, rank, fails, others, raised):
    monkeypatch.setattr(distributed, "dist", Peers(rank, [torch.tensor(value) for value in others]))
    problem = UserError("mine") if fails else None
    if raised is None:
        distributed.agree(problem)
        return
    with pytest.raises(raised):
        distributed.agree(problem)


def test_tensors_of_any_shape_and_layout_are_averaged_at_once(monkeypatch):
    monkeypatch.setattr(distributed, "dist", Peers(0, [torch.tensor(1.0)]))
    images = torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    scalar = torch.tensor(3.0)
    expected = (images + 1) / 2
    distributed.average_([images, scalar])
    assert torch.equal(images, expected)
    assert scalar == 2
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("mine", "other", "same"), [(1.0, 1.0, True), (1.0, 1.0 + 1e-7, False), (1e-8, 0.0, False)])
def test_processes_that_hold_other_numbers_are_found_out(monkeypatch, mine: float, other: float, same: bool):
    class Other(Peers):
        def all_reduce(self, tensor, operation):
            theirs = torch.tensor([[other], [-other]], dtype=torch.float64)
            tensor.copy_(torch.maximum(tensor, theirs))

    monkeypatch.setattr(distributed, "dist", Other(0, [torch.tensor(0.0)]))
    assert distributed.agree_on([torch.tensor([mine], dtype=torch.float64)]) is same


def test_a_peer_that_is_gone_is_a_user_s_matter(monkeypatch):
    class Gone(Peers):
        def all_reduce(self, *_):
            raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(distributed, "dist", Gone(0, [torch.tensor(0.0)]))
    with pytest.raises(distributed.PeerLost, match="another process of this run has ended"):
        distributed.highest(0)

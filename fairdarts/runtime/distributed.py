"""How the processes of one run keep together: plain collectives, and a word before every step.

Without torchrun there is one process, and all of this does nothing.
"""

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from fairdarts.config import SaidElsewhere, UserError

T = TypeVar("T")


class PeerLost(UserError):
    """Another process of the run ended without a word."""


PATIENCE = timedelta(minutes=10)
"""how long a process waits for another that says nothing, as one whose machine has vanished"""


def launched() -> int:
    """How many processes torchrun started. Raises UserError where its other variables are missing."""
    count = os.environ.get("WORLD_SIZE", "1")
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if count != "1" and missing:
        raise UserError(f"WORLD_SIZE is {count}, but {missing[0]} is not set: start with torchrun, or unset WORLD_SIZE")
    return int(count)


def ranks() -> int:
    """How many processes share the run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def check_shares(batch_size: int, parts: int) -> None:
    """Raises UserError where a batch cannot be divided among all ranks, each of which goes through its share in
    `parts`."""
    processes = ranks()
    if batch_size % (processes * parts):
        plural = "" if processes == 1 else "es"
        shares = f"{processes} process{plural} × compute.accumulate {parts} = {processes * parts}"
        divisible = f"is that of all processes, so it should be divisible by {shares}"
        raise UserError(f"data.batch_size: {batch_size}: {divisible}")


def leads_machine() -> bool:
    """Whether this process is the first one of its machine."""
    return not dist.is_initialized() or int(os.environ.get("LOCAL_RANK", 0)) == 0


@contextmanager
def joined() -> Iterator[None]:
    """Within it, the processes that torchrun started share one run."""
    if launched() == 1:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    try:
        dist.init_process_group(backend, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes do not find each other: {str(error).splitlines()[0]}") from None
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _reaching_all() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        reason = str(error).splitlines()[0]
        raise PeerLost(f"another process of this run has ended; torchrun names the first one ({reason})") from error


def average_(tensors: Sequence[Tensor]) -> None:
    """Puts the mean over all ranks into the tensors: one flat all-reduce."""
    _reduce_(tensors, ranks())


def sum_(tensors: Sequence[Tensor]) -> None:
    """Puts the sum over all ranks into the tensors: one flat all-reduce."""
    _reduce_(tensors, 1)


def follow_(tensors: Sequence[Tensor]) -> None:
    """Puts rank 0's numbers into the tensors."""
    if rank() > 0:
        torch._foreach_zero_(list(tensors))
    sum_(tensors)


def _reduce_(tensors: Sequence[Tensor], divisor: int) -> None:
    if ranks() == 1:
        return
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    with _reaching_all():
        dist.all_reduce(flat)
    if divisor > 1:
        flat.div_(divisor)
    parts = flat.split([tensor.numel() for tensor in tensors])
    torch._foreach_copy_(list(tensors), [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)])


def highest(value: int) -> int:
    """The largest of all ranks' values. It waits for no device, only for the other processes."""
    if ranks() == 1:
        return value
    word = torch.tensor(value)
    with _reaching_all():
        dist.all_reduce(word, dist.ReduceOp.MAX)
    return int(word)


def agree_on(tensors: Sequence[Tensor]) -> bool:
    """Whether all ranks hold the same numbers, bit for bit as far as sums in float64 tell."""
    if ranks() == 1 or not tensors:
        return True
    sums = torch.stack([tensor.detach().double().sum() for tensor in tensors]).cpu()
    both = torch.stack([sums, -sums])
    with _reaching_all():
        dist.all_reduce(both, dist.ReduceOp.MAX)
    return bool((both[0] == -both[1]).logical_or(sums.isnan()).all())


@contextmanager
def together() -> Iterator[None]:
    """A UserError of any rank within it ends all of them: the first rank that has one raises it, the others
    SaidElsewhere."""
    problem = None
    try:
        yield
    except UserError as error:
        problem = error
    agree(problem)


def first(work: Callable[..., T], *args: Any) -> T | None:
    """What `work` gives in the first process, which alone does it; None in the others. A UserError ends all of them."""
    with together():
        return work(*args) if rank() == 0 else None


def agree(problem: UserError | None) -> None:
    """Raises a problem that any rank has, as `together` does."""
    first = ranks() - highest(ranks() - rank() if problem else 0)
    if problem and first == rank():
        raise problem
    if first < ranks():
        raise SaidElsewhere


def wait_for(work: Callable[[], None] | None) -> None:
    """Does the work of this process, if it has some, while the others wait, for longer than PATIENCE if need be.

    A UserError of any of them ends all, as in `together`.
    """
    with together():
        if ranks() == 1 and work:
            work()
        elif ranks() > 1:
            with ThreadPoolExecutor(1) as pool:
                doing = [pool.submit(work)] if work else []
                while highest(sum(not future.done() for future in doing)):
                    wait(doing, timeout=1)
            for future in doing:
                future.result()


def shared(content: Any) -> Any:
    """Rank 0's content, of what JSON can hold."""
    if ranks() == 1:
        return content
    return json.loads(_broadcast(json.dumps(content).encode() if rank() == 0 else b""))


def shared_state(state: dict[str, Any] | None) -> dict[str, Any]:
    """Rank 0's state, of plain tensors and numbers, on the CPU."""
    if ranks() == 1:
        assert state is not None, "rank 0 has the state"
        return state
    buffer = io.BytesIO()
    if rank() == 0:
        torch.save(state, buffer)
    return torch.load(io.BytesIO(_broadcast(buffer.getvalue())), map_location="cpu", weights_only=True)


def _broadcast(content: bytes) -> bytes:
    size = torch.tensor(len(content))
    with _reaching_all():
        dist.broadcast(size, 0)
        buffer = torch.empty(int(size), dtype=torch.uint8)
        if rank() == 0:
            buffer.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
        dist.broadcast(buffer, 0)
    return buffer.numpy().tobytes()

"""Paths judged together against the plain form: each alone, from the image to the logits."""

from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from random import Random

import pytest
import torch
from one_shot import BENCH, CHAIN, CLASSES, DEAD, SPACES, batches_of, every_path, supernet_of
from torch import Tensor, nn

from fairdarts.oneshot.evaluate import Evaluator, Statistics, leaves
from fairdarts.oneshot.step import Batch
from fairdarts.spaces.gates import Gates, SinglePath, subnet
from fairdarts.spaces.space import Space
from fairdarts.supernet.stage import Fixed
from fairdarts.supernet.supernet import Supernet, norms

STATISTICS: tuple[Statistics, ...] = ("tracked", "batch", 1, 3)
HELD_OUT, CALIBRATION = partial(batches_of, 3, 20), partial(batches_of, 4, 8, 2)


def paths_of(space: Space, count: int = 12) -> list[SinglePath]:
    """Some paths in no order, with one that stands twice."""
    random = Random(1)
    paths = [space.random_path(random.randrange) for _ in range(count - 1)]
    paths += DEAD if space is BENCH else []
    return [*paths, paths[0]]


def gates_of(supernet: Supernet, path: SinglePath) -> Gates:
    return supernet.space.gates(subnet(path))


def plain_network(supernet: Supernet, path: SinglePath, statistics: Statistics) -> Supernet:
    """A copy of the supernet with its BatchNorms ready for a path."""
    network = deepcopy(supernet).eval()
    if statistics == "batch":
        return network.train()
    if isinstance(statistics, int):
        seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}

        def note(norm: nn.Module, given: tuple[Tensor]) -> None:
            values = given[0].transpose(0, 1).flatten(1)
            seen.setdefault(norm, []).append((values.mean(1), values.var(1)))

        hooks = [norm.register_forward_pre_hook(note) for norm in norms([network])]
        network.train()
        with torch.no_grad():
            for images, _ in CALIBRATION()[:statistics]:
                network(images, gates_of(network, path))
        for hook in hooks:
            hook.remove()
        network.eval()
        for norm, found in seen.items():
            for buffer, own in zip((norm.running_mean, norm.running_var), zip(*found, strict=True), strict=True):
                buffer.copy_(torch.stack(own).mean(0))
    return network


@torch.no_grad()
def plain_logits(supernet: Supernet, path: SinglePath, statistics: Statistics, batches: list[Batch]) -> Tensor:
    """[images, classes] of a path alone."""
    network = plain_network(supernet, path, statistics)
    return torch.cat([network(images, gates_of(network, path)) for images, _ in batches])


def plain_accuracy(supernet: Supernet, path: SinglePath, statistics: Statistics) -> float:
    labels = torch.cat([labels for _, labels in HELD_OUT()])
    right = plain_logits(supernet, path, statistics, HELD_OUT()).argmax(1) == labels
    return 100 * int(right.sum()) / len(labels)


@pytest.mark.parametrize("statistics", STATISTICS, ids=str)
@pytest.mark.parametrize("name", SPACES)
def test_paths_judged_together_are_as_good_as_alone(name: str, statistics: Statistics):
    supernet, paths = supernet_of(SPACES[name]), paths_of(SPACES[name])
    found = Evaluator(supernet, HELD_OUT, statistics, CALIBRATION)(paths)
    assert found == pytest.approx([plain_accuracy(supernet, path, statistics) for path in paths], rel=1e-12)
    assert len(set(found)) > 2


@pytest.mark.parametrize("statistics", STATISTICS, ids=str)
@pytest.mark.parametrize("name", SPACES)
def test_the_logits_are_the_same_too(name: str, statistics: Statistics, monkeypatch: pytest.MonkeyPatch):
    """Accuracies of a few images tell little of small errors."""
    supernet, paths = supernet_of(SPACES[name]), paths_of(SPACES[name])
    plain, logits = deepcopy(supernet), {}

    def watched(own: Supernet, images: Tensor, *rest: object) -> Iterator[tuple[SinglePath, Tensor]]:
        for path, out in leaves(own, images, *rest):
            logits.setdefault(path, []).append(out)
            yield path, out

    monkeypatch.setattr("fairdarts.oneshot.evaluate.leaves", watched)
    Evaluator(supernet, HELD_OUT, statistics, CALIBRATION)(paths)
    assert logits.keys() == set(paths)
    for path, outs in logits.items():
        expected = plain_logits(plain, path, statistics, HELD_OUT())
        torch.testing.assert_close(torch.cat(outs[-3:]), expected, rtol=1e-9, atol=1e-9)


def counted(supernet: Supernet) -> Counter[str]:
    """How often stem, tail, and every choice of every stage run, from now on."""
    counts: Counter[str] = Counter()

    def count(name: str) -> Callable[..., None]:
        return lambda *_: counts.update([name])

    modules = {"stem": supernet.stem, "tail": supernet.tail}
    for depth, stage in enumerate(supernet.stages):
        modules[f"stage {depth}"] = stage
        if stage.points and not isinstance(supernet.tail, nn.Sequential):
            modules |= {f"choice {depth} {index}": choice for index, choice in enumerate(stage.candidates)}
    for name, module in modules.items():
        module.register_forward_hook(count(name))
    return counts


@pytest.mark.parametrize(("statistics", "passes"), [("tracked", 3), ("batch", 3), (2, 5)])
def test_what_paths_have_in_common_runs_once(statistics: Statistics, passes: int):
    """`passes` counts the batches: three to judge by, and those of the calibration."""
    supernet, paths = supernet_of(CHAIN), paths_of(CHAIN)
    counts = counted(supernet)
    Evaluator(supernet, HELD_OUT, statistics, CALIBRATION)(paths)
    distinct = set(paths)
    expected = Counter({"stem": passes, "tail": passes * len(distinct)})
    for depth in range(4):
        prefixes = {path[: depth + 1] for path in distinct}
        expected[f"stage {depth}"] = passes * len(prefixes)
        for index in range(3):
            expected[f"choice {depth} {index}"] = passes * sum(prefix[-1] == index for prefix in prefixes)
    assert counts == +expected
    assert counts["stage 0"] < counts["stage 3"]


def test_cells_that_read_the_same_points_branch_once():
    supernet, paths = supernet_of(BENCH), paths_of(BENCH)
    counts = counted(supernet)
    Evaluator(supernet, HELD_OUT)(paths)
    distinct = 3 * len(set(paths))
    fixed = [stage for stage in supernet.stages if isinstance(stage, Fixed)]
    assert len(fixed) == 2
    assert counts == {"stem": 3, "tail": distinct, **{f"stage {depth}": distinct for depth in range(5)}}


def test_leaves_are_the_paths_in_the_order_of_the_tree():
    supernet, paths = supernet_of(CHAIN).eval(), every_path(CHAIN)
    ((images, _),) = batches_of(1)
    with torch.no_grad():
        gates = {path: gates_of(supernet, path) for path in paths}
        found = list(leaves(supernet, images, gates, lambda _name, _modules, compute: compute()))
        assert [path for path, _ in found] == paths
        for path, logits in found[::13]:
            torch.testing.assert_close(logits, supernet(images, gates_of(supernet, path)), rtol=1e-12, atol=1e-12)


def test_no_path_is_judged_twice():
    supernet, asked = supernet_of(CHAIN), []

    def held_out() -> list[Batch]:
        asked.append(True)
        return HELD_OUT()

    counts = counted(supernet)
    evaluator = Evaluator(supernet, held_out)
    first, second = [(0, 1, 2, 0), (1, 1, 1, 1), (0, 1, 2, 0)], [(1, 1, 1, 1), (2, 0, 0, 2)]
    found = evaluator(first)
    assert found[0] == found[2]
    assert counts["tail"] == 3 * 2
    assert evaluator(second)[0] == found[1]
    assert counts["tail"] == 3 * 3
    assert len(asked) == 2
    assert evaluator(first + second) == [*found, *evaluator(second)]
    assert evaluator([]) == []
    assert len(asked) == 2
    assert set(evaluator.known) == {*first, *second}


@pytest.mark.parametrize("statistics", STATISTICS, ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_the_supernet_is_left_as_it_was(statistics: Statistics, training: bool, fails: bool):
    supernet = supernet_of(CHAIN).train(training)
    for number, norm in enumerate(norms([supernet])):
        norm.momentum = 0.1 + number / 100
    before, momenta = deepcopy(supernet.state_dict()), [norm.momentum for norm in norms([supernet])]

    def held_out() -> Iterator[Batch]:
        yield from HELD_OUT()
        if fails:
            raise OSError("no more images")

    evaluator = Evaluator(supernet, held_out, statistics, CALIBRATION)
    if fails:
        with pytest.raises(OSError, match="no more images"):
            evaluator(paths_of(CHAIN))
        assert not evaluator.known
    else:
        evaluator(paths_of(CHAIN))
    after = supernet.state_dict()
    assert all(torch.equal(after[name], held) for name, held in before.items())
    assert [norm.momentum for norm in norms([supernet])] == momenta
    assert all(module.training is training for module in supernet.modules())
    assert all(weight.grad is None for weight in supernet.parameters())


def test_a_batch_of_another_size_counts_by_its_images():
    supernet, path = supernet_of(CHAIN), (1, 2, 1, 0)
    sizes = (30, 6)
    batches = [batches_of(1, size, seed)[0] for seed, size in enumerate(sizes)]
    with torch.no_grad():
        logits = supernet.eval()(batches[0][0], gates_of(supernet, path))
    labels = logits.argmax(1), (supernet(batches[1][0], gates_of(supernet, path)).argmax(1) + 1) % CLASSES
    judged = [(images, label) for (images, _), label in zip(batches, labels, strict=True)]
    assert Evaluator(supernet, lambda: judged)([path]) == [pytest.approx(100 * 30 / 36)]

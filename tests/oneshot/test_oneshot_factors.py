"""Supernets of every kind of space under the paper's factors: they train, stop and go on, and are judged."""

from collections import Counter
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fairdarts.supernet.factors import Factors
from fairdarts.supernet.path import PathSupernet, path_supernet
from norms import lived_in
from one_shot import BENCH, CELLS, CHAIN, CLASSES, GRAPH, batches_of, settings_of
from runs import Watch
from trainings import Go, Whole, assert_same_training

from fairdarts.config import UserError
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.step import Learner, supernet_step
from fairdarts.oneshot.train import check_fit, check_sampler
from fairdarts.runtime.stop import Interrupted
from fairdarts.spaces.gates import subnet
from fairdarts.spaces.space import Space

KINDS: dict[str, tuple[Space, dict[str, Any]]] = {
    "chain": (CHAIN, {"track": False, "affine": False, "global_dropout": 0.3}),
    "bench": (BENCH, {"operations": "node", "wsbn": True, "ofa_kernel": True, "path_dropout": 0.2}),
    "cells": (CELLS, {"track": False, "path_dropout": 0.2, "global_dropout": 0.1}),
    "graph": (GRAPH, {"track": False, "dynamic_channels": "interpolate", "path_dropout": 0.2}),
    "shuffled": (GRAPH, {"dynamic_channels": "shuffle", "wsbn": True}),
}


def supernet_of(kind: str) -> PathSupernet:
    space, factors = KINDS[kind]
    torch.manual_seed(0)
    supernet = path_supernet(space, CLASSES, 3, Factors(**factors))
    return lived_in(supernet) if factors.get("track", True) else supernet.double()


@pytest.mark.parametrize("sampler", ["strict_fair", "uniform"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_stopped_once_is_as_if_it_never_was(go: Go, whole: Whole, tmp_path: Path, kind: str, sampler: str):
    space, factors = KINDS[kind]
    options = {"sampler": sampler, "space": space, **{f"supernet.{key}": value for key, value in factors.items()}}
    with pytest.raises(Interrupted):
        go("stopped", Watch(step=6), **options)
    torch.manual_seed(99)  # what else draws does not count
    go("stopped", resume=True, **options)
    assert_same_training(tmp_path / "stopped", whole(**options))


@pytest.mark.parametrize("kind", KINDS)
def test_paths_judged_together_are_as_good_as_alone_and_nothing_is_dropped(kind: str):
    space, factors = KINDS[kind]
    supernet, random = supernet_of(kind), Random(1)
    paths = sorted({space.random_path(random.randrange) for _ in range(8)})
    held_out = batches_of(2, 20)
    statistics = "tracked" if factors.get("track", True) else "batch"
    torch.manual_seed(5)
    state = torch.get_rng_state()
    before = {key: value.clone() for key, value in supernet.state_dict().items()}
    found = Evaluator(supernet.train(), lambda: held_out, statistics)(paths)
    assert torch.equal(torch.get_rng_state(), state)
    assert supernet.training
    assert all(torch.equal(value, before[key]) for key, value in supernet.state_dict().items())
    torch.manual_seed(6)
    assert found == Evaluator(supernet, lambda: held_out, statistics)(paths)
    assert found[2:5] == Evaluator(supernet, lambda: held_out, statistics)(paths[2:5])
    supernet.eval()
    with torch.no_grad():
        for path, accuracy in zip(paths, found, strict=True):
            right = [(supernet(x, subnet(path)).argmax(1) == labels).sum() for x, labels in held_out]
            assert accuracy == pytest.approx(100 * float(sum(right)) / 40)


@pytest.mark.parametrize("kind", ["bench", "cells", "graph"])
def test_the_mean_gradient_of_a_step_is_that_over_the_paths_that_run_a_weight(kind: str):
    """Paths of one topology all run its projections and preprocessing, and two of them a kernel that is shared."""
    space, factors = KINDS[kind]
    factors = factors | {"path_dropout": 0.0, "global_dropout": 0.0}
    options = {f"supernet.{key}": value for key, value in factors.items()}
    still = {"weights.shared_gradient": "mean", "weights.momentum": 0, "weights.weight_decay": 0, "weights.lr": 1}
    settings, (batch,) = settings_of("strict_fair", **options, **still), batches_of(1)
    torch.manual_seed(0)
    supernet = path_supernet(space, CLASSES, 3, settings.supernet).double()
    plain, before = deepcopy(supernet), {name: weight.clone() for name, weight in supernet.named_parameters()}
    sampler = make_sampler(settings.sampler, space, torch.Generator().manual_seed(3))
    ((subnets,), learner) = sampler.draw(0), Learner(settings, supernet, torch.optim.SGD(supernet.parameters(), 1.0))
    runs = Counter()
    for chosen in subnets:
        F.cross_entropy(plain(batch[0], chosen), batch[1]).backward()
        runs.update({weight for part in (plain.stem, *plain.active(chosen)) for weight in part.parameters()})
    shared = {"bench": "whole", "cells": "preprocess", "graph": "projections"}[kind]
    times = {name: runs[weight] for name, weight in plain.named_parameters() if weight.grad is not None}
    most = max(count for name, count in times.items() if shared in name)
    assert most > 1 if kind == "bench" else most == len(subnets)
    supernet_step(learner, [list(subnets)], batch)
    for (name, weight), own in zip(supernet.named_parameters(), plain.parameters(), strict=True):
        moved = own.grad / times[name] if name in times else torch.zeros_like(weight)
        torch.testing.assert_close(before[name] - weight, moved, rtol=1e-8, atol=1e-10, msg=name)


def test_what_a_space_cannot_be_sampled_by_is_named():
    with pytest.raises(UserError) as error:
        check_sampler("one_shot", GRAPH)
    expected = "sampler.kind: one_shot: runs all choices, but in space nasbench101 paths choose inputs, too"
    assert str(error.value) == expected
    with pytest.raises(UserError, match=r"sampler\.kind: architecture: .* not counted for cells, as in space darts"):
        check_sampler("architecture", CELLS)
    for kind, space in (("architecture", GRAPH), ("one_shot", BENCH), ("strict_fair", CELLS)):
        check_sampler(kind, space)


@pytest.mark.parametrize(("space", "factors"), [(GRAPH, {}), (BENCH, {"operations": "node"})], ids=["graph", "node"])
def test_processes_cannot_share_paths_whose_norms_remember_in_part(space: Space, factors: dict[str, Any]):
    options = {f"supernet.{key}": value for key, value in factors.items()} | {"compute.parallel": "path"}
    with pytest.raises(UserError, match=r"compute\.parallel: path: .*set supernet\.track false, or take parallel data"):
        check_fit(settings_of(**options), space, None)

"""A sampler that learns: paths are drawn from a controller, which is trained in turns with the weights they share.

ENAS (arXiv:1802.03268, section 2.2): for an epoch the weights learn on paths of the controller, which stays as it is;
then the controller learns by REINFORCE, with the accuracy of its paths on held-out batches as reward, and the weights
stay. In the end several paths are drawn from it, and the best by held-out accuracy is what it has found (section 2.3).

The authors add the entropy of what a path was drawn from to its reward, without a gradient of its own (their code,
`micro_controller.py`); so a choice that comes first has no bonus at all. Here the gradient is that of the expected
reward plus the weighted entropy, as a whole.
"""

from collections.abc import Sequence
from copy import deepcopy
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from fairdarts.oneshot.policy import Policy
from fairdarts.oneshot.sampler import Judge, Sampler, Step
from fairdarts.oneshot.settings import ControllerSettings
from fairdarts.spaces.gates import SinglePath, subnet
from fairdarts.spaces.space import Space


def objective(log_probs: Tensor, entropy: Tensor, advantages: Tensor, weight: float) -> Tensor:
    """What REINFORCE ascends, the mean over paths drawn from the policy.

    log_probs and entropy [B, T] are those of every choice, advantages [B] the rewards above a baseline that knows
    nothing of the path. A reward is the accuracy plus the weighted entropy of its path; the gradient is then, on
    average, that of the expected accuracy plus the weighted entropy of a path.
    """
    return (log_probs.sum(1) * advantages + weight * entropy.sum(1)).mean()


class Controlled(Sampler):
    """One path, drawn from a controller (ENAS). float32, on the CPU; equal in all processes, as their rewards are."""

    passes = 1

    def __init__(self, space: Space, generator: torch.Generator, **told: Any):
        """A controller that draws all choices with equal probability; `told` are the keys of its settings."""
        super().__init__(space, generator)
        own = self.settings = ControllerSettings(kind="controller", **told)
        with torch.random.fork_rng(devices=[]):  # modules know no other generator; that of a GPU is not touched
            torch.default_generator.manual_seed(self.below(2**62))
            self.policy = Policy(
                self.counts, own.hidden, layers=own.lstm_layers, temperature=own.temperature, bound=own.bound
            )
        parameters = [
            own for name, own in self.policy.named_parameters() if name.startswith(("previous", "lstm", "actor"))
        ]
        self.optimizer = torch.optim.Adam(parameters, own.lr, own.betas, own.eps, fused=True)
        self.baseline: float | None = None

    @property
    def batches(self) -> int:
        return self.settings.updates

    @property
    def learnt(self) -> list[Tensor]:
        return list(self.policy.parameters())

    def draw(self, progress: float) -> Step:
        return [[subnet(self._draw(1, self.generator)[0])]]

    def promising(self, count: int, generator: torch.Generator) -> list[SinglePath]:
        return self._draw(count, generator)

    def learn(self, judge: Judge) -> dict[str, Any]:
        """Takes the updates of an epoch, each from some paths on one held-out batch.

        Gives the means over all paths, accuracy in percent and entropy of a path in nats, and the baseline.
        """
        accuracies, entropies = [], []
        for _ in range(self.settings.updates):
            paths = self._draw(self.settings.paths, self.generator)
            accuracies += (judged := judge(paths))
            entropies += self.update(paths, judged)
        return {"reward": fmean(accuracies), "entropy": fmean(entropies), "baseline": self.baseline}

    def update(self, paths: Sequence[SinglePath], accuracies: Sequence[float]) -> list[float]:
        """One step of Adam for paths as drawn since the last one; gives the entropy of each in nats."""
        log_probs, entropy, _ = self.policy.judge(torch.tensor(paths), None)
        entropies, weight = entropy.detach().sum(1).tolist(), self.settings.entropy
        rewards = [accuracy / 100 + weight * own for accuracy, own in zip(accuracies, entropies, strict=True)]
        advantages = torch.tensor([self._advantage(reward) for reward in rewards])
        self.optimizer.zero_grad()
        (-objective(log_probs, entropy, advantages, weight)).backward()
        self.optimizer.step()
        return entropies

    def state(self) -> dict[str, Any]:
        held = {"policy": self.policy.state_dict(), "optimizer": self.optimizer.state_dict(), "baseline": self.baseline}
        return deepcopy({**held, "generator": self.generator.get_state()})

    def restore(self, state: Any) -> None:
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.baseline = state["baseline"]
        self.generator.set_state(state["generator"])

    def _draw(self, count: int, generator: torch.Generator) -> list[SinglePath]:
        return self.policy.draw(count, None, generator, f"sampler.lr ({self.settings.lr})")

    def _advantage(self, reward: float) -> float:
        """A reward above the moving average of those before it, which it then moves; the first one is the average."""
        before = reward if self.baseline is None else self.baseline
        self.baseline = before + (1 - self.settings.decay) * (reward - before)
        return reward - before

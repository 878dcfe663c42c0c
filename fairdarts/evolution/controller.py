"""The reinforcement-learning controller of the second stage: a policy that emits paths and learns from their rewards.

FairNAS (arXiv:1907.01845v1, section 3.2, A.2 and B.1) mutates by the "reinforced controller" of MoreMNAS
(arXiv:1901.01074), with Proximal Policy Optimization (PPO, arXiv:1707.06347) in place of REINFORCE; its rival MnasNet
learns by PPO, too. Printed is how often the controller mutates; neither text prints its network, what it is shown of
the parent, how it learns, or any number of these. Our reading:

- An episode is a path. An LSTM emits its choices one after another, π(aₜ | a₍<ₜ₎, parent): a mutation is drawn in sight
  of the parent, first of all its choices together and then of each at its own point; MnasNet's paths have no parent.
- The untrained policy keeps a choice of the parent with a probability that is set, and is uniform otherwise.
- The reward comes at the end and is the return of every step (γ = 1). Another head of the LSTM learns it as baseline.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from fairdarts.evolution.settings import PPO, ControllerSettings
from fairdarts.oneshot.policy import Policy
from fairdarts.runtime.seed import PATHS, WEIGHTS, fold
from fairdarts.spaces.gates import SinglePath


def clipped(log_probs: Tensor, old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """PPO's objective (arXiv:1707.06347, eq. 7) of every choice, from its log-probability now and of old."""
    ratio = (log_probs - old).exp()
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def normalized(advantages: Tensor, rewards: Tensor) -> Tensor:
    """Advantages of mean 0 and deviation 1; as they are where all rewards are equal, as they then tell of no choice
    that it is better than another, and would be blown up."""
    if (rewards == rewards[0]).all():
        return advantages
    return (advantages - advantages.mean()) / (advantages.std() + 1e-8)


class Controller:
    """Draws paths, or mutations of parents, and learns from their rewards. float32, on the CPU."""

    def __init__(self, choices: Sequence[int], settings: ControllerSettings, seed: int):
        """A controller for points of so many choices; all its chance comes from the seed."""
        self.settings = settings
        self.generator = torch.Generator().manual_seed(fold(seed, PATHS))
        with torch.random.fork_rng(devices=[]):  # modules know no other generator; that of a GPU is not touched
            torch.default_generator.manual_seed(fold(seed, WEIGHTS))
            self.policy = Policy(choices, settings.hidden, settings.keep)
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=settings.lr, fused=True)

    def draw(self, count: int, parents: Sequence[SinglePath] | None) -> list[SinglePath]:
        """So many paths, or a mutation of each of so many parents; some may be equal, or equal to their parent.

        Raises Diverged where learning has led to probabilities that are not finite.
        """
        if not count:
            return []
        given = None if parents is None else torch.tensor(parents)  # [B, T]
        return self.policy.draw(count, given, self.generator, f"evolve.controller.lr ({self.settings.lr})")

    def learn(
        self, paths: Sequence[SinglePath], parents: Sequence[SinglePath] | None, rewards: Sequence[float]
    ) -> dict[str, float]:
        """Makes choices likelier whose paths were rewarded; paths are as drawn from these parents, since the last call.

        Rewards are z-scores, over a generation or so: where zero lies and how far they spread is for the caller to say.
        Gives the mean entropy of a choice in nats and the baseline's mean squared error, when the paths were drawn.
        """
        if not paths:
            return {}
        chosen, given = torch.tensor(paths), None if parents is None else torch.tensor(parents)  # [B, T]
        returns = torch.tensor(rewards, dtype=torch.float32)[:, None]  # [B, 1]
        old, advantages, numbers = None, None, {}
        for _ in range(self.settings.epochs if isinstance(self.settings, PPO) else 1):
            log_probs, entropy, expected = self.policy.judge(chosen, given)
            error = (expected - returns).square().mean()
            if old is None or advantages is None:  # what the policy that drew the paths makes of them
                old, advantages = log_probs.detach(), normalized(returns - expected.detach(), returns)
                numbers = {"entropy": entropy.mean().item(), "error": error.item()}
            clip = self.settings.clip if isinstance(self.settings, PPO) else None
            gain = log_probs * advantages if clip is None else clipped(log_probs, old, advantages, clip)
            loss = -gain.mean() - self.settings.entropy * entropy.mean() + self.settings.baseline * error
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return numbers

    def state(self) -> dict[str, Any]:
        """All that later draws and updates depend on: tensors and numbers, a copy."""
        state = {"policy": self.policy.state_dict(), "optimizer": self.optimizer.state_dict()}
        return deepcopy({**state, "generator": self.generator.get_state()})

    def restore(self, state: dict[str, Any]) -> None:
        """Puts a state back. Raises KeyError, TypeError, ValueError or RuntimeError where it is none that fits."""
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))  # else it would go on in the caller's tensors
        self.generator.set_state(state["generator"])

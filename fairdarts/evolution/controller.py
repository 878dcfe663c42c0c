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
from math import log
from typing import Any

import torch
from torch import Tensor, nn

from fairdarts.evolution.settings import PPO, ControllerSettings
from fairdarts.runtime.seed import PATHS, WEIGHTS, fold
from fairdarts.runtime.stop import Diverged
from fairdarts.spaces.gates import SinglePath

ControllerState = tuple[Tensor, Tensor]
"""The hidden and the cell state of an LSTM, [1, B, hidden] each."""


class Policy(nn.Module):
    """What the choices of a path are drawn from, and what return is expected.

    A choice is a token of its own at every point, which tells the LSTM how far it has come.
    """

    absent: Tensor
    offsets: Tensor

    def __init__(self, choices: Sequence[int], hidden: int, keep: float):
        super().__init__()
        points, most = len(choices), max(choices)
        counts = torch.tensor(choices)[:, None]  # [T, 1]
        absent = torch.zeros(points, most).masked_fill(torch.arange(most) >= counts, -torch.inf)  # [T, M]
        self.register_buffer("absent", absent, persistent=False)
        # The tokens of a point begin here; 0 stands before the first choice.
        self.register_buffer("offsets", 1 + counts[:, 0].cumsum(0) - counts[:, 0], persistent=False)  # [T]
        self.previous = nn.Embedding(1 + sum(choices), hidden)
        self.parent = nn.Embedding(1 + sum(choices), hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.actor, self.critic = nn.Linear(hidden, most), nn.Linear(hidden, 1)
        for parameter in (*self.actor.parameters(), *self.critic.parameters()):
            nn.init.zeros_(parameter)
        # Among m choices whose logits are else 0, this one makes the parent's as likely as `keep`.
        self.kept = nn.Parameter(torch.tensor([log(max(m - 1, 1) * keep / (1 - keep)) for m in choices]))  # [T]

    def start(self, parents: Tensor | None) -> ControllerState | None:
        """The state before the first choice: what is seen of the whole of parents [B, T]."""
        if parents is None:
            return None
        seen = self.parent(parents + self.offsets).mean(1)[None]
        return seen, seen

    def forward(
        self, tokens: Tensor, parents: Tensor | None, state: ControllerState | None, points: slice = slice(None)
    ) -> tuple[Tensor, Tensor, ControllerState]:
        """Logits [B, T, M] at these points, -inf where there is no such choice; returns expected [B, T]; the state.

        tokens [B, T] are the choices before each, parents [B, T] the parents' choices at the points.
        """
        seen = self.previous(tokens)
        if parents is not None:
            seen = seen + self.parent(parents + self.offsets[points])
        hidden, state = self.lstm(seen, state)
        logits = self.actor(hidden) + self.absent[points]
        if parents is not None:
            logits = logits + self.kept[points, None] * nn.functional.one_hot(parents, logits.shape[-1])
        return logits, self.critic(hidden).squeeze(-1), state

    def judge(self, paths: Tensor, parents: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Of every choice in paths [B, T], given those before: its log-probability, the entropy of what it is drawn
        from in nats, and the return expected before it, all [B, T]."""
        tokens = nn.functional.pad((paths + self.offsets)[:, :-1], (1, 0))
        logits, expected, _ = self(tokens, parents, self.start(parents))
        log_probs = logits.log_softmax(-1)  # [B, T, M]
        entropy = -(log_probs.exp() * log_probs.masked_fill(self.absent.isinf(), 0)).sum(-1)  # 0 · log 0 is 0
        return log_probs.gather(-1, paths[..., None]).squeeze(-1), entropy, expected


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

    @torch.no_grad()
    def draw(self, count: int, parents: Sequence[SinglePath] | None) -> list[SinglePath]:
        """So many paths, or a mutation of each of so many parents; some may be equal, or equal to their parent.

        Raises Diverged where learning has led to probabilities that are not finite.
        """
        if not count:
            return []
        given = None if parents is None else torch.tensor(parents)  # [B, T]
        state, tokens, drawn = self.policy.start(given), torch.zeros(count, 1, dtype=torch.long), []
        for point, offset in enumerate(self.policy.offsets):
            here = slice(point, point + 1)
            logits, _, state = self.policy(tokens, None if given is None else given[:, here], state, here)
            probabilities = logits[:, 0].softmax(-1)
            if not probabilities.isfinite().all():
                lower = f"lower evolve.controller.lr ({self.settings.lr})"
                raise Diverged(f"the controller's probabilities are no longer finite; {lower}")
            drawn.append(torch.multinomial(probabilities, 1, generator=self.generator))  # [B, 1]
            tokens = drawn[-1] + offset
        return list(map(tuple, torch.cat(drawn, 1).tolist()))

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

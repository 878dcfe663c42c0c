"""A policy over paths: an LSTM emits the choices of a path one after another, each in sight of those before it.

Two controllers learn one: that of ENAS in turns with the weights of a supernet (`controlled`), and those of MnasNet,
MoreMNAS and FairNAS in the second stage (`evolution.controller`), which may draw in sight of a parent.
"""

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor, nn

from fairdarts.runtime.stop import Diverged
from fairdarts.spaces.gates import SinglePath

ControllerState = tuple[Tensor, Tensor]
"""The hidden and the cell state of an LSTM, [layers, B, hidden] each."""


class Policy(nn.Module):
    """What the choices of a path are drawn from, and what return is expected.

    A choice is a token of its own at every point, which tells the LSTM how far it has come.
    """

    absent: Tensor
    offsets: Tensor

    def __init__(
        self,
        choices: Sequence[int],
        hidden: int,
        keep: float = 0.5,
        layers: int = 1,
        temperature: float = 1.0,
        bound: float | None = None,
    ):
        """A policy of so many choices at every point.

        `keep` is for mutations, the probability of a parent's choice at the start. Logits are `bound` times the tanh of
        themselves over the temperature (ENAS, arXiv:1802.03268), or as they are where there is no bound.
        """
        super().__init__()
        self.temperature, self.bound = temperature, bound
        points, most = len(choices), max(choices)
        counts = torch.tensor(choices)[:, None]  # [T, 1]
        absent = torch.zeros(points, most).masked_fill(torch.arange(most) >= counts, -torch.inf)  # [T, M]
        self.register_buffer("absent", absent, persistent=False)
        # The tokens of a point begin here; 0 stands before the first choice.
        self.register_buffer("offsets", 1 + counts[:, 0].cumsum(0) - counts[:, 0], persistent=False)  # [T]
        self.previous = nn.Embedding(1 + sum(choices), hidden)
        self.parent = nn.Embedding(1 + sum(choices), hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
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
        logits = self.actor(hidden)
        if self.bound is not None:
            logits = self.bound * (logits / self.temperature).tanh()
        logits = logits + self.absent[points]
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

    @torch.no_grad()
    def draw(self, count: int, parents: Tensor | None, generator: torch.Generator, lower: str) -> list[SinglePath]:
        """So many paths, or a mutation of each of so many parents [B, T]; some may be equal, or equal to their parent.

        Raises Diverged, saying what to `lower`, where learning has led to probabilities that are not finite.
        """
        state, tokens, drawn = self.start(parents), torch.zeros(count, 1, dtype=torch.long), []
        for point, offset in enumerate(self.offsets):
            here = slice(point, point + 1)
            logits, _, state = self(tokens, None if parents is None else parents[:, here], state, here)
            probabilities = logits[:, 0].softmax(-1)
            if not probabilities.isfinite().all():
                raise Diverged(f"the controller's probabilities are no longer finite; lower {lower}")
            drawn.append(torch.multinomial(probabilities, 1, generator=generator))  # [B, 1]
            tokens = drawn[-1] + offset
        return list(map(tuple, torch.cat(drawn, 1).tolist()))

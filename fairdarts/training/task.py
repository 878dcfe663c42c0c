"""What differs between trainings: the network, the images that it sees, what is minimized, and what it is worth."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fairdarts.config import Settings
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.shape import Shape

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W]; what is to be said of them: labels [B], or a label for every pixel [B, H, W]"""

Measure = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""(a network's output, the labels) → (what is minimized, the share of labels that it gets right)"""


class Evaluation(NamedTuple):
    """Images that say what a network is worth."""

    name: str
    """which they are: test, held-out, val"""
    images: int
    """how many"""
    score: Callable[[nn.Module], dict[str, Any]]
    """network → its numbers by name: the loss, others of which higher is better, and what else is to be recorded"""


@dataclass(frozen=True)
class Task:
    """What is trained, on what."""

    device: torch.device
    shape: Shape
    """the images, as far as a network's size depends on them"""
    kind: str
    """where they come from, as the settings call it"""
    blueprint: Settings
    """all of the network but its weights"""
    form: str
    """under which key a checkpoint holds the blueprint"""
    identity: dict[str, str]
    """what makes the training this one"""
    facts: dict[str, Any]
    """what a model is to tell of its images"""
    build: Callable[[], nn.Module]
    """makes the network, with fresh weights"""
    measure: Measure
    batches: Callable[[int], Generator[Batch, None, None]]
    """endless training batches on the device, of each this process's share, from batch number … on; to be closed"""
    steps: int
    """of an epoch"""
    numbers: tuple[str, ...]
    """what a judge's numbers are called besides the loss; the first chooses the best epoch"""
    validation: Evaluation | None
    """the images that choose it"""
    test: Evaluation | None
    """those that the result is told for"""
    begin: Callable[[RunDirectory], None] = lambda run: None
    """writes into the run directory what is to be known of the images"""
    begin_epoch: Callable[[nn.Module, int], None] = lambda network, epoch: None
    """sets what changes from epoch to epoch, counted from 0"""

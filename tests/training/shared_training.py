"""A tiny training in all processes that torchrun starts.

python shared_training.py FOLDER     trains into FOLDER/whole; stops FOLDER/stopped after step 5, and resumes it;
                                     trains FOLDER/given with weights that the first process alone is given
"""

import sys
from contextlib import suppress
from pathlib import Path

import torch
from networks import halve, settings_of
from runs import Watch

from fairdarts.data.sources import open_source
from fairdarts.networks.zoo import load_genotype
from fairdarts.runtime import distributed
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Interrupted
from fairdarts.training.classify import classification, judging_images
from fairdarts.training.loop import train


def main(folder: Path) -> None:
    """The trainings, whose run directories the first process makes."""
    torch.set_num_threads(1)
    settings, (genotype, space) = settings_of(drop_path=0, ema=0.9), load_genotype("fairdarts-a")
    with distributed.joined():
        for name, stops in (("whole", (None,)), ("stopped", (5, None)), ("given", (None,))):
            given = halve if name == "given" and distributed.rank() == 0 else None
            if distributed.rank() == 0:
                create(folder / name, settings, space)
            distributed.agree(None)  # the others wait for the directory
            for number, step in enumerate(stops):
                watch = Watch(step=step)
                source, run = open_source(settings.data), RunDirectory(folder / name)
                with suppress(Interrupted):
                    judges = judging_images(settings, source)
                    task = classification(settings, genotype, space, source, judges)
                    train(settings, task, run, watch, watch.stop, number > 0, given)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

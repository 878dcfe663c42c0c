#!/usr/bin/env python3
"""FairNAS' second stage with the paper's recipe: `fairdarts evolve RUN …`, RUN being that of a supernet.

On several GPUs, or machines: `torchrun --nproc-per-node N [--nnodes M …] tools/evolve.py RUN …`.
"""

import sys

from fairdarts.cli import main

sys.exit(main(["evolve", *sys.argv[1:]]))

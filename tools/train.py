#!/usr/bin/env python3
"""The network of a genotype by the papers' recipes: `fairdarts train GENOTYPE …`.

On several GPUs, or machines: `torchrun --nproc-per-node N [--nodes M …] tools/train.py GENOTYPE …`.
"""

import sys

from fairdarts.cli import main

sys.exit(main(["train", *sys.argv[1:]]))

#!/usr/bin/env python3
"""DeepLabv3+ on the network of a genotype: `fairdarts segment GENOTYPE …`.

On several GPUs, or machines: `torchrun --nproc-per-node N [--nodes M …] tools/segment.py GENOTYPE …`.
"""

import sys

from fairdarts.cli import main

sys.exit(main(["segment", *sys.argv[1:]]))

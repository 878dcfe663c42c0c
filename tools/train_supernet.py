#!/usr/bin/env python3
"""FairNAS' supernet on ImageNet with the paper's recipe: `fairdarts supernet --config fairnas-a-imagenet …`.

On several GPUs, or machines: `torchrun --nproc-per-node N [--nnodes M …] tools/train_supernet.py …`.
"""

import sys

from fairdarts.cli import main

chosen = any(word.split("=")[0] in ("--resume", "--config") for word in sys.argv)
sys.exit(main(["supernet", *([] if chosen else ["--config", "fairnas-a-imagenet"]), *sys.argv[1:]]))

#!/usr/bin/env python3
"""FairDARTS on ImageNet with the paper's recipe: `fairdarts search --config fairdarts-s2-imagenet …`.

On several GPUs, or machines: `torchrun --nproc-per-node N [--nnodes M …] tools/search_imagenet.py …`.
"""

import sys

from fairdarts.cli import main

chosen = any(word.split("=")[0] in ("--resume", "--config") for word in sys.argv)
sys.exit(main(["search", *([] if chosen else ["--config", "fairdarts-s2-imagenet"]), *sys.argv[1:]]))

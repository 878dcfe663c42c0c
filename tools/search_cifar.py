#!/usr/bin/env python3
"""FairDARTS on CIFAR-10 with the paper's recipe: `fairdarts search --config fairdarts-s1-cifar10 …`."""

import sys

from fairdarts.cli import main

sys.exit(main(["search", *([] if "--resume" in sys.argv else ["--config", "fairdarts-s1-cifar10"]), *sys.argv[1:]]))

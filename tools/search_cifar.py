#!/usr/bin/env python3
"""FairDARTS on CIFAR-10 with the paper's recipe: `fairdarts search --config fairdarts-s1-cifar10 …`."""

import sys

from fairdarts.cli import main

resumes = any(word.split("=")[0] == "--resume" for word in sys.argv)
sys.exit(main(["search", *([] if resumes else ["--config", "fairdarts-s1-cifar10"]), *sys.argv[1:]]))

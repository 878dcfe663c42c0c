#!/usr/bin/env python3
"""A trained model as ONNX and safetensors files: `fairdarts export WHAT …`, WHAT being a run or a checkpoint."""

import sys

from fairdarts.cli import main

sys.exit(main(["export", *sys.argv[1:]]))

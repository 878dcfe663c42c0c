"""`python -m fairdarts`: the command line."""

import sys

from fairdarts.cli import main

sys.exit(main())

"""`python -m tests.cluster.nvml build DIR`: compile the NVML double and print its path."""

from __future__ import annotations

import sys
from pathlib import Path

from . import __doc__ as usage
from . import build

if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "build":
        sys.exit(usage)
    print(build(Path(sys.argv[2]).resolve()))

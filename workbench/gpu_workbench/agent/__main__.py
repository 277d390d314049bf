"""``python -m gpu_workbench.agent``, and the archive's own entry."""

import sys

from gpu_workbench.agent.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

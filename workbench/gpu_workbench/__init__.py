"""Run a notebook cell on any number of Kubernetes GPUs as if it ran here.

``%load_ext gpu_workbench`` in a notebook, or ``import gpu_workbench as gw`` anywhere.
"""

from gpu_workbench.__about__ import __version__

__all__ = ["__version__"]


def load_ipython_extension(shell: object) -> None:
    """Called by ``%load_ext gpu_workbench``."""
    from gpu_workbench.surfaces.magics.extension import load

    load(shell)

"""Whether an interrupt is a person's, or Jupyter's, which interrupts a kernel right before it asks it to end.

What runs elsewhere is to go on then: a restarted kernel or server finds it again.
Source: ``jupyter_client.KernelManager.shutdown_kernel``; ``exit_now`` is set by ipykernel's ``do_shutdown``.
"""

from __future__ import annotations

import sys
import time

WITHIN = 0.25
"""Seconds after the interrupt within which the request comes, also on a machine that has much to do."""

_EVERY = 0.01


def kernel_ends() -> bool:
    """Whether this process is a kernel that is asked to end, right after an interrupt. Waits a moment for that."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    end = time.monotonic() + WITHIN
    while not shell.exit_now and time.monotonic() < end:
        time.sleep(_EVERY)
    return bool(shell.exit_now)

"""What an interrupt of a cell means for what it runs elsewhere."""

from __future__ import annotations

import sys
import threading
import time

PRESSES_COUNT_AS_ONE = 5.0
"""Seconds within which several interrupts are one."""

WITHIN = 0.25
"""Seconds after an interrupt within which a kernel is asked to end, also on a machine that has much to do."""


class Presses:
    """A person's interrupts of one cell."""

    def __init__(self) -> None:
        self._first: float | None = None

    def grade(self) -> int | None:
        """What to do over there, now that it was interrupted.

        1: raise KeyboardInterrupt. 2: restart the process, for that has not worked. ``None``: nothing, it is the same press.
        """
        now = time.monotonic()
        if self._first is not None and now - self._first < PRESSES_COUNT_AS_ONE:
            return None
        again, self._first = self._first is not None, now
        return 2 if again else 1


def kernel_ends() -> bool:
    """Whether it is no person's interrupt: Jupyter interrupts a kernel right before it asks it to end.

    What runs elsewhere is to go on then: a restarted kernel or server finds it again. Waits a moment for the request.
    Source: ``jupyter_client.KernelManager.shutdown_kernel``; ipykernel's ``do_shutdown`` sets ``exit_now``.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    asked = threading.Event()

    def tell(_: object) -> None:
        asked.set()

    shell.observe(tell, "exit_now")
    try:
        return bool(shell.exit_now) or asked.wait(WITHIN)
    finally:
        shell.unobserve(tell, "exit_now")

"""Which rank's failure began it, where several have failed.

When one rank of a gang goes, the others fail in the collective operation they share with it, often before its own end has
been heard of. So what a failure is counts first, and when it was heard of second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpu_workbench.core.model import Cause, Failure

_BY_ANOTHER = re.compile(
    r"connection (closed|reset|refused)( by peer)?|broken pipe|remote process exited|socket timeout|"
    r"timed out waiting|timed out after \d|wait timeout|watchdog caught collective|store (has )?been shut down|"
    r"ncclremoteerror|ncclsystemerror|ncclinternalerror|failed to connect to|connectfullmesh|"
    r"peer closed|no route to host",
    re.IGNORECASE,
)
"""What gloo, NCCL and the rendezvous say of a rank that went. Source: their messages in torch 2."""

_OWN = (Cause.OUT_OF_MEMORY, Cause.CUDA_OUT_OF_MEMORY, Cause.SIGNALLED, Cause.EXITED)


def first_failure(failures: Sequence[Failure]) -> Failure:
    """The failure that began it.

    Args:
        failures: One of each rank that failed, in the order in which they were heard of; at least one.
    """
    return min(enumerate(failures), key=lambda one: (_rank_of(one[1]), one[0]))[1]


def follows_another(failure: Failure) -> bool:
    """Whether it says that another rank is gone, and nothing of its own."""
    last = failure.detail.strip().rpartition("\n")[2]
    return failure.cause is Cause.USER_ERROR and bool(_BY_ANOTHER.search(f"{failure.what}\n{last}"))


def _rank_of(failure: Failure) -> int:
    """What ends a process begins things; so does an error in the code; a broken connection and an interrupt follow."""
    if failure.cause in _OWN:
        return 0
    if failure.cause is Cause.LOST:
        return 2
    if failure.cause is Cause.INTERRUPTED:
        return 4
    return 3 if follows_another(failure) else 1

"""Which rank's failure began it."""

from __future__ import annotations

import pytest

from gpu_workbench.core.gang import first_failure, follows_another
from gpu_workbench.core.model import Cause, Failure


def failed(rank: int, what: str, cause: Cause = Cause.USER_ERROR, detail: str = "") -> Failure:
    return Failure(cause, what, detail, rank=rank)


GLOO = "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.4]:1"
OWN = failed(3, "ValueError: no")


def test_of_equals_the_first_that_was_heard_of() -> None:
    assert first_failure([failed(2, "KeyError: 'a'"), OWN]).rank == 2


@pytest.mark.parametrize(
    "other",
    [
        failed(0, GLOO),
        failed(0, "torch.distributed.DistBackendError: NCCL error", detail="x\nremote process exited"),
        failed(0, "torch.distributed.DistStoreError: Timed out after 61 seconds waiting for clients"),
        failed(0, "KeyboardInterrupt", Cause.INTERRUPTED),
        failed(0, "Rank 0 is gone", Cause.LOST),
    ],
    ids=lambda failure: failure.what[:40],
)
def test_what_follows_from_another_rank_is_not_what_began_it_though_it_was_heard_first(
    other: Failure,
) -> None:
    assert first_failure([other, OWN]) is OWN
    assert first_failure([other]) is other


def test_a_process_that_is_gone_comes_before_every_error() -> None:
    gone = failed(1, "The session's process was killed by SIGKILL", Cause.SIGNALLED)
    assert first_failure([failed(0, GLOO), OWN, gone]) is gone


def test_an_error_of_the_code_itself_follows_nobody() -> None:
    assert not follows_another(OWN)
    assert not follows_another(
        failed(0, "ValueError: bad", detail="print('connection closed')\nValueError: bad")
    )
    assert follows_another(failed(0, GLOO))

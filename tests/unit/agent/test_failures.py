"""What a cell's own exceptions are taken for, from a real kernel's reply: it names them by class and message alone."""

from __future__ import annotations

import pytest

from gpu_workbench.core import events as e
from gpu_workbench.core.model import Cause, Phase

from .harness import AgentProcess

TORCHS = """
import sys, types
torch, cuda = types.ModuleType("torch"), types.ModuleType("torch.cuda")
class OutOfMemoryError(RuntimeError): pass
OutOfMemoryError.__module__ = "torch.cuda"
torch.cuda, cuda.OutOfMemoryError = cuda, OutOfMemoryError
raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB")
"""


@pytest.mark.parametrize(
    ("cell", "cause", "what"),
    [
        (
            TORCHS,
            Cause.CUDA_OUT_OF_MEMORY,
            "OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB",
        ),
        (
            "raise RuntimeError('CUDA out of memory. Tried')",
            Cause.CUDA_OUT_OF_MEMORY,
            "RuntimeError: CUDA out",
        ),
        (
            "raise RuntimeError('CUDA error: out of memory')",
            Cause.CUDA_OUT_OF_MEMORY,
            "RuntimeError: CUDA err",
        ),
        ("raise RuntimeError('out of luck')", Cause.USER_ERROR, "RuntimeError: out of luck"),
        ("raise MemoryError", Cause.OUT_OF_MEMORY, "MemoryError"),
    ],
    ids=["torch's", "older torch's", "the driver's", "another", "the machine's"],
)
async def test_which_memory_ran_out_is_told(shared: AgentProcess, cell: str, cause: Cause, what: str) -> None:
    async with shared.client() as client:
        end = await client.event(e.RunEnded, run=await client.submit(cell))
        assert end.phase is Phase.FAILED
        assert end.failure is not None
        assert end.failure.cause is cause
        assert end.failure.what.startswith(what)
        assert end.failure.detail

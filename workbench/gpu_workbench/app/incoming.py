"""Brings values back: bytes straight to their final place, and only then an object of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu_workbench.backends.channel import Channel
from gpu_workbench.backends.kept import Kept
from gpu_workbench.core.errors import ForgedValue, NotFound, ShippingError, WorkbenchError
from gpu_workbench.values.codecs import Decoder
from gpu_workbench.values.signing import ContentDigest, verify


async def fetch(
    channel: Channel,
    name: str,
    *,
    run: str = "",
    namespace: dict[str, Any] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> object:
    """A variable of the session, or a run's result.

    Args:
        channel: To the agent. It speaks to nobody but who has the workload's own key, so a pickle is as good as signed.
        name: Of the variable.
        run: The run whose result it is; empty for the present value.
        namespace: What functions of the notebook read as their globals here.
        progress: Called with the name, the bytes received and the length.

    Raises:
        NotFound, NotPicklable: see :meth:`Channel.get_value`.
        ShippingError: it cannot be made here.
    """
    reply = await channel.get_value(name, run=run)
    try:
        codec = reply.headers.get("gpu-workbench-codec", "")
        decoder = Decoder(codec, length=reply.length, trust_pickle=True, namespace=namespace)
        received = 0
        while not decoder.done:
            count = await reply.readinto(decoder.get_buffer())
            if not count:
                break
            decoder.buffer_updated(count)
            received += count
            if progress is not None:
                progress(name, received, reply.length)
    finally:
        reply.close()
    return _made(name, decoder)


async def read_kept(kept: Kept, name: str, *, run: str, namespace: dict[str, Any] | None = None) -> object:
    """A stored result: verified first, loaded then.

    Raises:
        NotFound: there is none of that name.
        ForgedValue: it is not what the run signed; nothing was loaded.
    """
    found = await kept.result(name)
    if found is None:
        stored = ", ".join(await kept.names()) or "none"
        raise NotFound(f"There is no stored result {name!r}", why=f"stored are: {stored}")
    if not kept.run_key:
        raise ForgedValue("The result was not loaded", why="the key it was signed with is not here")
    digest = await asyncio.to_thread(_digest_of, found.path)
    if digest != found.digest:
        raise ForgedValue(
            f"The result {name!r} was not loaded", why="its bytes are not those that were signed"
        )
    verify(kept.run_key, found.signature, run=run, name=name, codec=found.codec, digest=digest)
    decoder = Decoder(found.codec, length=found.length, trust_pickle=True, namespace=namespace)
    with found.path.open("rb") as file:
        decoder.filler.read(file)
    return _made(name, decoder)


def _digest_of(path: Path) -> str:
    state = ContentDigest()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            state.update(chunk)
    return state.hex()


def _made(name: str, decoder: Decoder) -> object:
    try:
        return decoder.value()
    except WorkbenchError:
        raise
    except Exception as error:
        raise ShippingError(
            f"{name} cannot be made here",
            why=f"{type(error).__name__}: {error}",
            fix="Install here what it is made of, or bring back a plainer value",
        ) from error

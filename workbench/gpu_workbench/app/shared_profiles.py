"""Profiles that everybody who works in a namespace has: a ConfigMap there, read again after a while."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace

from gpu_workbench.app.config import Config, ConfigFile, read_config
from gpu_workbench.backends.checks import SharesProfiles
from gpu_workbench.backends.protocol import Backend
from gpu_workbench.core.errors import BackendError
from gpu_workbench.transport.timing import within

FRESH = 60.0
"""Seconds for which they are taken as they were read."""


PATIENCE = 2.0
"""Seconds after which those known hold for another while: a session that is there needs no API server for its next cell."""


class SharedProfiles:
    """What each backend shares, as it was read last."""

    def __init__(self) -> None:
        self._known: dict[Backend, tuple[float, tuple[ConfigFile, ...]]] = {}

    async def added_to(self, config: Config, backend: Backend) -> Config:
        """The settings, with what the backend shares before all files of this machine.

        Raises:
            ProfileError: what is shared is wrong.
            BackendError: the backend cannot be asked, and never was.
        """
        files = await self._files(backend)
        return replace(config, files=(*files, *config.files)) if files else config

    async def _files(self, backend: Backend) -> tuple[ConfigFile, ...]:
        if not isinstance(backend, SharesProfiles):
            return ()
        known = self._known.get(backend)
        if known is None:
            files = await _read(backend)
        elif time.monotonic() - known[0] < FRESH:
            return known[1]
        else:
            files = known[1]
            with contextlib.suppress(BackendError, asyncio.TimeoutError):
                files = await within(_read(backend), PATIENCE)
        self._known[backend] = time.monotonic(), files
        return files


async def _read(backend: SharesProfiles) -> tuple[ConfigFile, ...]:
    source, text = await backend.profiles()
    return (read_config(text, source=source, level="namespace"),) if text else ()

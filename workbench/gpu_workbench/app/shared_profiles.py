"""Profiles that everybody who works in a namespace has: a ConfigMap there, read again after a while."""

from __future__ import annotations

import time
from dataclasses import replace

from gpu_workbench.app.config import Config, ConfigFile, read_config
from gpu_workbench.backends.checks import SharesProfiles
from gpu_workbench.backends.protocol import Backend

FRESH = 60.0
"""Seconds for which they are taken as they were read."""


class SharedProfiles:
    """What each backend shares, as it was read last."""

    def __init__(self) -> None:
        self._known: dict[Backend, tuple[float, tuple[ConfigFile, ...]]] = {}

    async def added_to(self, config: Config, backend: Backend) -> Config:
        """The settings, with what the backend shares before all files of this machine.

        Raises:
            ProfileError: what is shared is wrong.
            BackendError: the backend cannot be asked.
        """
        files = await self._files(backend)
        return replace(config, files=(*files, *config.files)) if files else config

    async def _files(self, backend: Backend) -> tuple[ConfigFile, ...]:
        if not isinstance(backend, SharesProfiles):
            return ()
        read, files = self._known.get(backend, (-FRESH, ()))
        if time.monotonic() - read >= FRESH:
            source, text = await backend.profiles()
            files = (read_config(text, source=source, level="namespace"),) if text else ()
            self._known[backend] = time.monotonic(), files
        return files
